"""From a float model and images to a calibration: streaming, resumable, the same every time."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

from gcpose_trt import __version__
from gcpose_trt.errors import GcposeError
from gcpose_trt.files import check_writable
from gcpose_trt.graph.prepare import PreparedGraphs, Source, prepare_bundle
from gcpose_trt.quantization import state
from gcpose_trt.quantization.collecting import MIN_SCORE, MOST_PEOPLE, Collector
from gcpose_trt.quantization.histogram import BINS
from gcpose_trt.quantization.identity import graph_sha256
from gcpose_trt.quantization.images import ImageList, choose_images, too_many_unreadable
from gcpose_trt.quantization.record import CalibrationRecord
from gcpose_trt.quantization.tensors import weight_ranges
from gcpose_trt.quantization.thresholds import summarise
from gcpose_trt.runtime.preprocess import SizeRule
from gcpose_trt.video.images import read_image

SAVE_EVERY = 10  # images; writing the state takes about 20 ms
_FEW_PEOPLE = 50

Bar = Callable[[Iterable[Path], int, int], Iterable[Path]]


@dataclass(frozen=True)
class Options:
    """How to calibrate.

    Attributes:
        max_images: see `choose_images`.
        seed: of the choice of images.
        size: how large images become; None: as the model says.
        bins: of each histogram, a power of two.
        threads: of one inference; None: all cores.
    """

    max_images: int | None = None
    seed: int = 0
    size: SizeRule | None = None
    bins: int = BINS
    threads: int | None = None


@dataclass(frozen=True)
class Result:
    """A calibration, and what is to be said of it.

    Attributes:
        record: as written.
        resumed: images that an interrupted run had looked at already.
        skipped: why each image that was left out was.
        notes: what to know before using it, a line each.
    """

    record: CalibrationRecord
    resumed: int
    skipped: tuple[str, ...]
    notes: tuple[str, ...] = field(default_factory=tuple)


def calibrate(
    source: Source,
    images: str | os.PathLike[str],
    output: str | os.PathLike[str],
    options: Options | None = None,
    *,
    bar: Bar | None = None,
    say: Callable[[str], None] = lambda line: None,
) -> Result:
    """Run the float network over images and write the ranges of its tensors.

    Interrupted, it leaves `output`.partial and goes on from there when it is called again with the same arguments.

    Args:
        source: the model, as `prepare_bundle` takes it.
        images: folder of them, at least `images.FEWEST` unless `options` accept fewer; up to 5 % may be unreadable.
        output: JSON file to write.
        options: see `Options`.
        bar: given the images that are left, how many are done and how many there are, yields them and shows progress.
        say: told of a state that was found.

    Raises:
        GcposeError: no such model, images or output; too many unreadable; nobody in any image; NaN in a tensor.
    """
    options = options or Options()
    target = check_writable(output)
    chosen = choose_images(Path(images), options.max_images, options.seed)
    graphs = _prepared(source)
    rule = _rule(graphs, options)
    collector = Collector(graphs.detector, graphs.pose, rule, bins=options.bins, threads=options.threads)
    identity = _identity(graphs, chosen, rule, options)
    partial = state.path_of(target)
    key = state.key_of({**identity, "threads": options.threads})
    progress = _resume(partial, key, collector, say)
    resumed = progress.done
    left = chosen.files[resumed:]
    try:
        for file in bar(left, resumed, len(chosen.files)) if bar else left:
            _look(collector, file, progress, len(chosen.files))
            # An image half looked at would be counted twice, so an interruption falls back to the last full state.
            if progress.done % SAVE_EVERY == 0:
                state.save(partial, key, progress, collector.histograms)
        _check_people(progress, images)
    except GcposeError:
        partial.unlink(missing_ok=True)  # what is wrong with the images or the model is so the next time too
        raise
    record = _record(graphs, identity, progress, collector, chosen)
    record.save(target)
    partial.unlink(missing_ok=True)
    return Result(record, resumed, tuple(progress.skipped), tuple(_notes(record, progress)))


def _check_people(progress: state.Progress, images: str | os.PathLike[str]) -> None:
    if not progress.people:
        raise GcposeError(
            f"nobody was found in the {progress.done} images of {images}, and the pose graph never ran; give images "
            "with people"
        )


def _prepared(source: Source) -> PreparedGraphs:
    graphs = prepare_bundle(source)
    for name, model in (("detector", graphs.detector), ("pose", graphs.pose)):
        if any(node.op_type in ("QuantizeLinear", "DequantizeLinear") for node in model.graph.node):
            raise GcposeError(f"the {name} graph is quantized already; calibrate the float model that it was made from")
    return graphs


def _rule(graphs: PreparedGraphs, options: Options) -> SizeRule:
    fixed = graphs.info.size
    if options.size is None:
        return graphs.info.size_rule
    if fixed is not None and options.size.exact != fixed:
        raise GcposeError(
            f"this model takes inputs of {fixed[0]}x{fixed[1]} only; leave --size out, or export without a size"
        )
    return options.size


def _identity(graphs: PreparedGraphs, chosen: ImageList, rule: SizeRule, options: Options) -> dict[str, Any]:
    """Return all that the result depends on, as what JSON can hold."""
    exact = None if rule.exact is None else list(rule.exact)
    return {
        "model": graphs.info.model,
        "weights_sha256": graphs.info.weights_sha256,
        "graph_sha256": {"detector": graph_sha256(graphs.detector), "pose": graph_sha256(graphs.pose)},
        "list_sha256": chosen.sha256,
        "input": {"size": exact, "short": rule.short, "long": None if exact else rule.long},
        "seed": options.seed,
        "settings": {"bins": options.bins, "min_score": MIN_SCORE, "most_people": MOST_PEOPLE},
        "tools": {"gcpose_trt": __version__, **{name: version(name) for name in ("numpy", "onnx", "onnxruntime")}},
    }


def _resume(partial: Path, key: str, collector: Collector, say: Callable[[str], None]) -> state.Progress:
    if not partial.is_file():
        return state.Progress()
    found = state.load(partial, key, collector.histograms)
    if isinstance(found, str):
        say(f"{partial} is left over, but {found}; starting afresh")
        return state.Progress()
    say(f"going on after {found.done} images, as {partial} says")
    return found


def _look(collector: Collector, file: Path, progress: state.Progress, total: int) -> None:
    try:
        image = read_image(file)
    except GcposeError as error:
        progress.skipped.append(str(error))
        if too_many_unreadable(len(progress.skipped), total):
            raise GcposeError(
                f"{len(progress.skipped)} of {total} images cannot be read, more than one in twenty; the last: {error}"
            ) from error
    else:
        people = collector.add(image, file.name)
        progress.people += people
        progress.empty += not people
    progress.done += 1


def _record(
    graphs: PreparedGraphs, identity: dict[str, Any], progress: state.Progress, collector: Collector, chosen: ImageList
) -> CalibrationRecord:
    tensors = {}
    for (graph, name), histogram in collector.histograms.items():
        shared = graph == "pose" and ("detector", name) in collector.histograms
        tensors[f"pose:{name}" if shared else name] = summarise(histogram, graph)
    skipped = len(progress.skipped)
    return CalibrationRecord(
        model=identity["model"],
        weights_sha256=identity["weights_sha256"],
        graph_sha256=identity["graph_sha256"],
        images={
            "count": len(chosen.files) - skipped,
            "skipped": skipped,
            "without_people": progress.empty,
            "people": progress.people,
            "list_sha256": chosen.sha256,
        },
        input=identity["input"],
        seed=identity["seed"],
        tensors=tensors,
        weights={**weight_ranges(graphs.detector), **weight_ranges(graphs.pose)},
        tools=identity["tools"],
        settings=identity["settings"],
    )


def _notes(record: CalibrationRecord, progress: state.Progress) -> Iterator[str]:
    if progress.people < _FEW_PEOPLE:
        yield f"only {progress.people} people: the pose graph's ranges are rough; add images with people"
    constant = [name for name, entry in record.tensors.items() if entry.constant]
    if constant:
        yield f"{len(constant)} tensors never changed, and need no INT8: {', '.join(constant[:8])}"
