"""Which block suffers most from INT8: one block quantized at a time, the rest in float."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray

from gcpose_trt.compare.matching import match
from gcpose_trt.compare.onnx_side import open_session, run_session
from gcpose_trt.compare.points import add_outputs, logits_point
from gcpose_trt.errors import GcposeError
from gcpose_trt.graph.prepare import PreparedGraphs
from gcpose_trt.graph.qdq import blocks_of, insert
from gcpose_trt.quantization.record import GRAPHS, CalibrationRecord
from gcpose_trt.runtime.preprocess import Image, SizeRule, fit, place

MIN_SCORE = 0.3  # of the float network's people whose boxes and joints are followed
_MOST_PEOPLE = 10
_SAME = 0.5  # overlap from which a box is still the same person's

Array = NDArray[Any]
Bar = Callable[[Sequence[str], str], Iterable[str]]


@dataclass(frozen=True)
class BlockError:
    """What quantizing one block alone does.

    Attributes:
        graph: that has it.
        block: its name, as `insert` takes it in `exclude`.
        layers: weighted layers that are quantized in it.
        heatmap: root mean square error of the joints' logits, in parts of their spread.
        p2: the same of the map that the pose graph reads; 0 for blocks of the pose graph.
        box: mean movement of a box's sides in parts of its size; a person that is lost counts as 1.
        lost: share of the people that are lost.
        ap_drop: points (0 to 100) of keypoint AP that are lost, None where it was not measured.
    """

    graph: str
    block: str
    layers: int
    heatmap: float
    p2: float
    box: float
    lost: float
    ap_drop: float | None = None

    @property
    def harm(self) -> float:
        """What blocks are ranked by: both errors are parts of a person's extent."""
        return self.heatmap + self.box

    def to_dict(self) -> dict[str, Any]:
        """Return the numbers as what JSON can hold."""
        return {**asdict(self), "harm": self.harm}


@dataclass(frozen=True)
class _Reference:
    """What the float network says of one image."""

    image: Array
    size: Array
    p2: Array
    people: Array
    logits: Array


class Quantizer:
    """Makes quantized versions of a float model.

    Args:
        graphs: float, as `prepare_bundle` returns them.
        record: its calibration; checked.
        target: "cpu" or "tensorrt", see `insert`.
        method: which ranges.

    Attributes:
        blocks: by (graph, block), how many layers are quantized there by default; blocks without any are left out.

    Raises:
        GcposeError: the calibration belongs to another model.
    """

    def __init__(self, graphs: PreparedGraphs, record: CalibrationRecord, target: str, method: str) -> None:
        record.check(graphs.detector, graphs.pose)
        self.models = {"detector": graphs.detector, "pose": graphs.pose}
        self._record = record
        self._target = target
        self._method = method
        self.blocks: dict[tuple[str, str], int] = {}
        for graph in GRAPHS:
            quantized = set(self._insert(graph)[1])
            for block, layers in blocks_of(self.models[graph], graph).items():
                count = len(quantized.intersection(layers))
                if count:
                    self.blocks[graph, block] = count

    def only(self, graph: str, block: str) -> onnx.ModelProto:
        """Return a graph of which one block is quantized."""
        return self._insert(graph, blocks=[block])[0]

    def without(self, kept: Iterable[str]) -> dict[str, onnx.ModelProto]:
        """Return both graphs, quantized but for the blocks named."""
        names = set(kept)
        return {graph: self._without(graph, [b for g, b in self.blocks if g == graph], names) for graph in GRAPHS}

    def _without(self, graph: str, blocks: Sequence[str], kept: set[str]) -> onnx.ModelProto:
        if kept.issuperset(blocks):
            return self.models[graph]
        return self._insert(graph, exclude=[block for block in blocks if block in kept])[0]

    def _insert(self, graph: str, **options: Any) -> tuple[onnx.ModelProto, tuple[str, ...]]:
        model = onnx.ModelProto()
        model.CopyFrom(self.models[graph])
        report = insert(model, graph, self._record, target=self._target, method=self._method, **options)
        return model, report.layers


class ErrorMeter:
    """Errors of a quantized graph against the float one on a few images.

    Args:
        models: float graphs by name.
        images: BGR frames with their names; those without people count for `p2` only.
        rule: how large they become.
        threads: of one inference.

    Raises:
        GcposeError: nobody in any of the images.
    """

    def __init__(
        self, models: Mapping[str, onnx.ModelProto], images: Sequence[Image], rule: SizeRule, threads: int | None = None
    ) -> None:
        logits = logits_point(models["pose"])
        if logits is None:
            raise GcposeError("the pose graph shows no heat maps (no node that decodes them); export the model again")
        self._logits = logits
        self._threads = threads
        self._pose = self._open("pose", models["pose"])
        detector = self._open("detector", models["detector"])
        self._references = [self._reference(detector, image, rule) for image in images]
        if not any(len(reference.people) for reference in self._references):
            raise GcposeError(f"nobody was found in the {len(images)} images; give images with people")

    def _open(self, graph: str, model: onnx.ModelProto) -> Any:
        return open_session(
            add_outputs(model, [self._logits]) if graph == "pose" else model, Path(graph), self._threads
        )

    def _reference(self, session: Any, image: Image, rule: SizeRule) -> _Reference:
        box = fit((image.shape[0], image.shape[1]), rule)
        pixels, size = place(image, box)[None], np.array([box.content], np.int64)
        found = run_session(session, {"image": pixels, "image_size": size})
        rows = np.flatnonzero(found["scores"][0, : int(found["count"][0])] >= MIN_SCORE)[:_MOST_PEOPLE]
        people = found["boxes"][0, rows]
        return _Reference(pixels, size, found["p2"], people, self._heat(self._pose, found["p2"], people))

    def _heat(self, session: Any, p2: Array, people: Array) -> Array:
        if not len(people):
            return np.zeros((0, 1))
        feeds = {"p2": p2, "boxes": people, "batch_index": np.zeros(len(people), np.int64)}
        return run_session(session, feeds, [self._logits])[self._logits]

    def measure(self, graph: str, block: str, layers: int, model: onnx.ModelProto) -> BlockError:
        """Return the errors of a version of one graph, the other being float."""
        session = self._open(graph, model)
        heat, maps, boxes = _Relative(), _Relative(), []
        for reference in self._references:
            if graph == "pose":
                heat.add(reference.logits, self._heat(session, reference.p2, reference.people))
                continue
            found = run_session(session, {"image": reference.image, "image_size": reference.size})
            maps.add(reference.p2, found["p2"])
            heat.add(reference.logits, self._heat(self._pose, found["p2"], reference.people))
            boxes.append(box_errors(reference.people, found["boxes"][0, : int(found["count"][0])]))
        moved = np.concatenate(boxes) if boxes else np.zeros(1)
        return BlockError(
            graph, block, layers, heat.read(), maps.read(), float(moved.mean()), float((moved >= 1).mean())
        )


class _Relative:
    """Root mean square error in parts of the reference's spread."""

    def __init__(self) -> None:
        self._error = self._spread = 0.0

    def add(self, reference: Array, value: Array) -> None:
        if reference.size:
            self._error += float(np.square(value - reference, dtype=np.float64).sum())
            self._spread += float(np.square(reference - reference.mean(), dtype=np.float64).sum())

    def read(self) -> float:
        return float(np.sqrt(self._error / self._spread)) if self._spread else 0.0


def box_errors(people: Array, found: Array) -> NDArray[np.float64]:
    """Return by person how far the sides of the box moved, in parts of its size; at most 1, which is a lost one.

    Args:
        people: (N, 4) xyxy of the float network.
        found: (M, 4) of the quantized one.
    """
    errors = np.ones(len(people))
    for row, column in match(people, found, _SAME):
        size = np.sqrt(max(1e-6, float(np.prod(people[row, 2:] - people[row, :2]))))
        errors[row] = min(0.99, float(np.abs(people[row] - found[column]).mean()) / size)
    return errors


def rank_blocks(
    quantizer: Quantizer,
    meter: ErrorMeter,
    ap_drop: Callable[[Mapping[str, onnx.ModelProto]], float] | None = None,
    bar: Bar | None = None,
) -> list[BlockError]:
    """Return every block's errors, the most harmful first.

    Args:
        quantizer: of the model.
        meter: of the same model.
        ap_drop: points of AP that a pair of graphs loses; None leaves AP out.
        bar: shows progress over the blocks' names.
    """
    found = []
    places = {f"{graph}: {block}": (graph, block) for graph, block in quantizer.blocks}
    for name in bar(list(places), "sensitivity") if bar else places:
        graph, block = places[name]
        model = quantizer.only(graph, block)
        error = meter.measure(graph, block, quantizer.blocks[graph, block], model)
        if ap_drop is not None:
            error = replace(error, ap_drop=ap_drop({**quantizer.models, graph: model}))
        found.append(error)
    return sorted(found, key=_order)


def _order(error: BlockError) -> tuple[float, str, str]:
    return -error.harm, error.graph, error.block
