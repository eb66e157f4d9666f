"""Opening a contender in its own process, and what that takes."""

from __future__ import annotations

import builtins
import importlib
import importlib.metadata
import os
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gcpose_trt.benchmark import peers
from gcpose_trt.benchmark.contender import Contender, ContenderInfo, ContenderSpec

if TYPE_CHECKING:
    from gcpose_trt.benchmark.contender import Image
    from gcpose_trt.pose.types import PoseFrame
    from gcpose_trt.runtime.estimator import PoseEstimator

_ON_GPU = ("cuda", "tensorrt", "gpu")


def open_contender(spec: ContenderSpec) -> tuple[Contender, dict[str, float]]:
    """Open one of ours or a peer.

    Args:
        spec: which; without a number of threads it gets one a physical core, whatever its library would take.

    Returns:
        The contender, and milliseconds: "import" of libraries, "load" of the model.

    Raises:
        GcposeError: it cannot be opened.
    """
    if spec.threads is None and not runs_on_gpu(spec):
        spec = replace(spec, threads=physical_cores())
    start = time.perf_counter()
    with _import_clock() as imports:
        contender = peers.load(spec.peer).open(spec) if spec.peer else Ours(spec)
    opened = 1e3 * (time.perf_counter() - start)
    return contender, {"import": imports[0], "load": opened - imports[0]}


def runs_on_gpu(spec: ContenderSpec) -> bool:
    """Say whether a contender has no CPU threads to set."""
    from gcpose_trt.runtime.bundle import engine_folder

    words = f"{spec.backend} {spec.device or ''}".lower()
    if any(word in words for word in _ON_GPU):
        return True
    return not spec.peer and spec.backend == "auto" and engine_folder(spec.model) is not None


def physical_cores(topology: Path = Path("/sys/devices/system/cpu")) -> int:
    """Return how many cores this process may run on; two hardware threads of a core count once."""
    usable = os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else set(range(os.cpu_count() or 1))
    cores = set()
    for number in usable:
        try:
            cores.add((topology / f"cpu{number}/topology/thread_siblings_list").read_text().strip())
        except OSError:
            cores.add(str(number))
    return max(1, len(cores))


class Ours:
    """A model of ours behind the protocols of `contender`.

    Args:
        spec: see `PoseEstimator` for the words.

    Raises:
        GcposeError: see `PoseEstimator`.

    Attributes:
        thread_safe: several threads may call it at once; what does not say so is not measured with several streams.
    """

    thread_safe = True

    def __init__(self, spec: ContenderSpec) -> None:
        from gcpose_trt.runtime.estimator import PoseEstimator

        model: Any = spec.model
        if spec.backend == "torch" or (spec.backend == "auto" and spec.model.endswith((".pth", ".pt"))):
            from gcpose_trt.model import load_model

            model = load_model(spec.model)  # held as it was read, for the digest of its weights
        self._estimator: PoseEstimator = PoseEstimator(
            model,
            backend="auto" if spec.backend in ("", "auto") else spec.backend,
            size=spec.size,
            min_score=spec.min_score,
            threads=spec.threads,
            precision=spec.precision,
            device=spec.device,
        )
        self.info = _info(spec, self._estimator, model)

    def run(self, frame: Image) -> tuple[PoseFrame, dict[str, float]]:
        """See `Contender.run`."""
        poses, timing = self._estimator.run(frame)
        stages = asdict(timing)
        if self._estimator.backend != "tensorrt":
            del stages["upload"]  # of the others it is no part of its own
        return poses, stages

    def run_batch(self, frames: Sequence[Image]) -> list[PoseFrame]:
        """See `BatchContender.run_batch`."""
        return self._estimator.run_batch(list(frames))[0]

    def run_people(self, frame: Image, people: int) -> dict[str, float]:
        """See `PeopleContender.run_people`.

        The pose network is given `people` boxes of assorted sizes in place of what the detector found. Backend
        tensorrt goes from frames to poses by itself: there it is the detector's best so many, however unsure it is.

        Raises:
            GcposeError: the detector proposes fewer (tensorrt).
        """
        from gcpose_trt.benchmark import counted

        return counted.run(self._estimator, frame, people)

    def close(self) -> None:
        """Free the network."""
        self._estimator.close()


def _info(spec: ContenderSpec, estimator: PoseEstimator, model: Any) -> ContenderInfo:
    info = estimator.info
    digest = info.weights_sha256
    if estimator.backend == "torch" and not digest:
        from gcpose_trt.model.checkpoint.exported import weights_digest

        digest = weights_digest(model.state_dict())
    return ContenderInfo(
        backend=estimator.backend,
        precision=estimator.precision,
        device=estimator.device,
        version=_version(estimator.backend, spec.model),
        size=_size(spec.size, info),
        weights_sha256=digest,
        files=_files(estimator.backend, estimator.precision, spec.model),
        licence="Apache-2.0",
        rank=info.rank,
        keypoint_threshold=info.keypoint_threshold,
    )


def _version(backend: str, model: str) -> str:
    if backend == "tensorrt":
        from gcpose_trt.runtime.engine_record import EngineRecord

        record = EngineRecord.load(_engines(model))
        return f"{record.target} {record.tensorrt}"
    return f"{backend} {importlib.metadata.version(backend)}"


def _size(size: str | None, info: Any) -> str:
    from gcpose_trt.runtime.preprocess import parse_size

    rule = parse_size(size) or info.size_rule
    if rule.exact is not None:
        return f"{rule.exact[0]}x{rule.exact[1]}"
    return f"long side {rule.long}" if rule.short is None else f"short side {rule.short}, long side up to {rule.long}"


def _files(backend: str, precision: str, model: str) -> list[str]:
    from gcpose_trt.runtime import bundle

    if backend == "tensorrt":
        return [str(path) for path in sorted(_engines(model).iterdir()) if path.suffix in (".engine", ".plan")]
    if Path(model).is_file() and Path(model).suffix != ".onnx":
        return [model]
    if backend == "torch" and model not in bundle.shipped_names() and not Path(model).exists():
        return []  # an architecture by its name, with random weights
    paths = bundle.find(model)
    if precision == "int8":
        paths = bundle.int8_form(paths) or paths
    return [str(paths.detector), str(paths.pose)]


def _engines(model: str) -> Path:
    from gcpose_trt.runtime.bundle import engine_folder

    folder = engine_folder(model)
    assert folder is not None  # it was opened
    return folder


@contextmanager
def _import_clock() -> Iterator[list[float]]:
    """Add up the milliseconds that the block spends in import statements, those inside of imports not twice."""
    spent, depth, mine = [0.0], 0, threading.get_ident()
    originals = builtins.__import__, importlib.import_module

    def timed(original: Any) -> Any:
        def call(*args: Any, **kwargs: Any) -> Any:
            nonlocal depth
            if threading.get_ident() != mine:  # nobody waits for those
                return original(*args, **kwargs)
            start = time.perf_counter()
            depth += 1
            try:
                return original(*args, **kwargs)
            finally:
                depth -= 1
                if depth == 0:
                    spent[0] += 1e3 * (time.perf_counter() - start)

        return call

    builtins.__import__, importlib.import_module = map(timed, originals)
    try:
        yield spent
    finally:
        builtins.__import__, importlib.import_module = originals
