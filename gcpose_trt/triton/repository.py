"""Writing a model repository for NVIDIA Triton Inference Server."""

from __future__ import annotations

import re
import shutil
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from gcpose_trt.errors import GcposeError
from gcpose_trt.plugins.library import LIBRARY_NAME
from gcpose_trt.runtime.halves import CHUNK
from gcpose_trt.runtime.preprocess import fit
from gcpose_trt.triton import configs, served
from gcpose_trt.triton.placing import CONFIG, README, staging
from gcpose_trt.triton.readme import OURS, readme
from gcpose_trt.triton.serving import Settings
from gcpose_trt.triton.source import Source, open_source

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")
_LARGEST_BATCH = 64
_LARGEST_DELAY = 10_000_000  # ten seconds: beyond, a client has given up
_WARMUP = "warmup"  # Triton's name of the folder


@dataclass(frozen=True)
class ExportRequest:
    """One run of `gcpose-trt export-triton`.

    Attributes:
        model: see `open_source`.
        output: the repository.
        runtime: likewise.
        precision: likewise.
        instances: copies of the network.
        max_batch: most frames that go through the network together; None is 8, or what the engines take.
        queue_delay: microseconds that a request may wait for others to go with.
        size: how large frames are for the network, None for the model's own rule.
        min_score: leave out people below this score; None is the model's own.
        max_people: keep the best so many; None is the model's own.
        name: of the model that clients call, and what the others' names begin with.
        force: see `staging`.
    """

    model: str
    output: Path
    runtime: str = "auto"
    precision: str | None = None
    instances: int = 1
    max_batch: int | None = None
    queue_delay: int = 2000
    size: str | None = None
    min_score: float | None = None
    max_people: int | None = None
    name: str = "gcpose"
    force: bool = False


def export(request: ExportRequest) -> configs.Plan:
    """Write the repository.

    Returns:
        What was written.

    Raises:
        GcposeError: no such model, an option is out of range or does not go with it, or the repository cannot be
            written; nothing is then.
    """
    _check(request)
    source = open_source(request.model, request.runtime, request.precision)
    plan = make_plan(request, source)
    names = [plan.name, plan.frame, plan.settings.detector, plan.settings.pose]
    with staging(request.output, names, request.force) as work:
        _write_service(work / plan.name, configs.service_config(plan, frames=False), "picture")
        _write_service(work / plan.frame, configs.service_config(plan, frames=True), "frame")
        _write_half(work / plan.settings.detector, configs.detector_config(plan), source, "detector")
        _write_half(work / plan.settings.pose, configs.pose_config(plan), source, "pose")
        _write_sizes(work / plan.settings.detector / _WARMUP, plan)
        if source.plugins is not None:
            shutil.copyfile(source.plugins, work / plan.settings.detector / LIBRARY_NAME)
        (work / _readme_name(request.output, plan.name)).write_text(readme(plan, request.output), encoding="utf-8")
    return plan


def _check(request: ExportRequest) -> None:
    if not _NAME.fullmatch(request.name):
        raise GcposeError(
            f"--name {request.name!r} is no name of a model; use letters, digits, '_', '-' and '.', beginning with a "
            "letter or digit"
        )
    for option, value, least, most in (
        ("instances", request.instances, 1, 256),
        ("max-batch", request.max_batch, 1, _LARGEST_BATCH),
        ("queue-delay-us", request.queue_delay, 0, _LARGEST_DELAY),
        ("max-people", request.max_people, 1, 10**6),
    ):
        if value is not None and not least <= value <= most:
            raise GcposeError(f"--{option} is from {least} to {most}, not {value}; choose a number in between")
    if request.min_score is not None and not 0 <= request.min_score <= 1:
        raise GcposeError(f"--min-score is from 0 to 1, not {request.min_score}; choose a number in between")


def make_plan(request: ExportRequest, source: Source) -> configs.Plan:
    """Return what to write.

    Raises:
        GcposeError: an option does not go with the model.
    """
    info = source.info
    limit = source.batch_limit
    if limit is not None and request.max_batch is not None and request.max_batch > limit:
        raise GcposeError(
            f"{request.model} takes {limit} frame{'s' * (limit > 1)} a call, not {request.max_batch}; leave "
            f"--max-batch out, or build engines with: gcpose-trt build-engine --batch {request.max_batch}"
        )
    if request.max_people is not None and request.max_people > info.max_people:
        raise GcposeError(
            f"the model returns at most {info.max_people} people, not {request.max_people}; choose fewer, or export it "
            f"again with: gcpose-trt export --max-people {request.max_people}"
        )
    settings = Settings(
        info=info,
        detector=f"{request.name}_detector",
        pose=f"{request.name}_pose",
        size=request.size,
        min_score=info.min_score if request.min_score is None else request.min_score,
        max_people=info.max_people if request.max_people is None else request.max_people,
        batch=request.max_batch or limit or CHUNK,
        batch_limit=limit,
        buckets=source.buckets,
        int64=source.int64,
    )
    if settings.rule == info.size_rule:  # raises for a size that the model does not take
        settings = replace(settings, size=None)
    return configs.Plan(source, settings, request.name, request.instances, request.queue_delay)


def _write_service(folder: Path, config: str, kind: str) -> None:
    version = folder / "1"
    version.mkdir(parents=True)
    (folder / CONFIG).write_text(config, encoding="utf-8")
    shutil.copyfile(Path(served.__file__).with_name(f"{kind}.py"), version / "model.py")


def _write_half(folder: Path, config: str, source: Source, graph: str) -> None:
    version = folder / "1"
    version.mkdir(parents=True)
    (folder / CONFIG).write_text(config, encoding="utf-8")
    file = source.detector.file if graph == "detector" else source.pose.file
    name = {"onnxruntime": "model.onnx", "tensorrt": "model.plan", "python": f"{graph}.onnx"}[source.runtime]
    shutil.copyfile(file, version / name)
    if source.runtime == "python":
        shutil.copyfile(Path(served.__file__).with_name(f"{graph}.py"), version / "model.py")


def _write_sizes(folder: Path, plan: configs.Plan) -> None:
    """Write the size of the frame in the input that the detector warms up with: zero would be no frame at all."""
    folder.mkdir()
    rows = 1 if configs.detector_batch(plan) else plan.settings.batch_limit or 1
    content = fit(configs.WARMUP_FRAME, plan.settings.rule).content
    kind = next(tensor.kind for tensor in plan.source.detector.inputs if tensor.name == "image_size")
    sizes = np.array([content] * rows, np.int64 if kind == "INT64" else np.int32)
    (folder / configs.WARMUP_SIZE).write_bytes(sizes.tobytes())


def _readme_name(output: Path, name: str) -> str:
    """Return the file for our text: README.md, unless that is somebody else's."""
    try:
        there = (output / README).read_text(encoding="utf-8", errors="replace")
    except OSError:
        return README
    return README if there.startswith(OURS) else f"README-{name}.md"
