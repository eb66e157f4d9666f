"""Sources, networks and sinks whose faults and pace a test decides."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from types import SimpleNamespace, TracebackType
from typing import Any

import numpy as np

from gcpose_trt.pose import PoseFrame
from gcpose_trt.pose.drawing import PaintOptions
from gcpose_trt.runtime.timing import Timing
from gcpose_trt.video.frames import Frame, Image, Result
from gcpose_trt.video.live import LivePipeline, Output
from gcpose_trt.video.live_types import Controls, Reading, Settings, Status

WAIT = 30.0  # seconds after which a test gives up
END = Reading(Status.END)


def until(condition: Callable[[], bool]) -> None:
    """Wait until something has become true."""
    deadline = time.monotonic() + WAIT
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.002)


def picture(value: int = 0, size: tuple[int, int] = (8, 8)) -> Image:
    return np.full((*size, 3), value % 256, np.uint8)


def ok(index: int, size: tuple[int, int] = (8, 8)) -> Reading:
    """A frame whose pixels are its index."""
    return Reading(Status.OK, Frame(index, index / 25, picture(index, size), "fake"))


class FakeCapture:
    """Gives readings, or raises exceptions, one after the other; a callable among them is called first.

    Args:
        script: what comes; afterwards END.
    """

    kind, path, frames, rate = "camera", None, None, 25.0

    def __init__(self, script: Iterable[Any], *, name: str = "fake", live: bool = False) -> None:
        self.name, self.uri, self.live = name, f"fake://{name}", live
        self.warnings: list[str] = []
        self.reconnects = 0
        self.closed = threading.Event()
        self._script = iter(script)

    def read(self, timeout: float) -> Reading:
        while not self.closed.is_set():
            entry = next(self._script, END)
            if isinstance(entry, Exception):
                raise entry
            if isinstance(entry, Reading):
                return entry
            entry()
        return END

    def close(self) -> None:
        self.closed.set()


class FakeEstimator:
    """Finds one person a frame, whose box's right edge is the frame's pixel value.

    Args:
        bad: pixel values of frames that make it raise.
        before: called with the pixel values before each batch.
    """

    backend, precision, device = "fake", "fp32", "cpu"

    def __init__(self, bad: Iterable[int] = (), before: Callable[[list[int]], object] | None = None) -> None:
        self.info = SimpleNamespace(model="tiny")
        self.min_score = 0.3
        self.batches: list[list[int]] = []
        self.min_scores: list[float] = []
        self.error: Exception = RuntimeError("a bad frame")
        self._bad, self._before = set(bad), before

    def run_batch(self, frames: Sequence[Image]) -> tuple[list[PoseFrame], Timing]:
        values = [int(frame[0, 0, 0]) for frame in frames]
        if self._before is not None:
            self._before(values)
        self.batches.append(values)
        self.min_scores.append(self.min_score)
        if self._bad.intersection(values):
            raise self.error
        return [one_person(value) for value in values], Timing(1, 2, 3, 4)


class StreamingEstimator(FakeEstimator):
    """Takes a frame more before it gives the poses of one, as on a GPU."""

    backend = "tensorrt"

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.streams = 0

    def stream(self, frames: Iterable[Image]) -> Iterator[tuple[PoseFrame, Timing]]:
        self.streams += 1
        waiting: list[Image] = []
        min_score = self.min_score
        for frame in frames:
            waiting.append(frame)
            if len(waiting) == 2:
                yield self._one(waiting.pop(0), min_score)
        for frame in waiting:
            yield self._one(frame, min_score)

    def _one(self, frame: Image, min_score: float) -> tuple[PoseFrame, Timing]:
        self.min_scores.append(min_score)
        if int(frame[0, 0, 0]) in self._bad:
            raise self.error
        return one_person(int(frame[0, 0, 0])), Timing(1, 2, 3, 4)


def one_person(value: int) -> PoseFrame:
    return PoseFrame([[0, 0, value, 1]], [0.9], np.zeros((1, 17, 3)))


class FakeSink:
    """Remembers what it gets.

    Args:
        before: called with each result before it is taken; what it raises is the sink's fault.
    """

    def __init__(self, *, needs_picture: bool = False, before: Callable[[Result], object] | None = None) -> None:
        self.needs_picture = needs_picture
        self.seen: list[tuple[int, int]] = []
        self.results: list[Result] = []
        self.left_by: list[type[BaseException] | None] = []
        self._before = before

    def indices(self, stream: int = 0) -> list[int]:
        return [index for of, index in self.seen if of == stream]

    def write(self, result: Result) -> None:
        if self._before is not None:
            self._before(result)
        self.results.append(result)
        self.seen.append((result.frame.stream, result.frame.index))

    def __enter__(self) -> FakeSink:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.left_by.append(kind)


class FakePainter:
    """Adds one to every pixel, 100 where heads are blurred."""

    made: int = 0

    def __init__(self, stream: int = 0) -> None:
        FakePainter.made += 1
        self.lines: list[str] = []
        self.options = PaintOptions()

    def paint(self, image: Image, poses: PoseFrame, hud_lines: Sequence[str]) -> Image:
        self.lines = list(hud_lines)
        return image + (100 if self.options.blur_heads else 1)


class Numbering:
    """A tracker that gives ids from its own count of frames, so that a reset shows."""

    def __init__(self) -> None:
        self.times: list[float] = []

    def update(self, poses: PoseFrame, time_s: float) -> PoseFrame:
        self.times.append(time_s)
        return PoseFrame(poses.boxes, poses.scores, poses.keypoints, np.full(len(poses), len(self.times)))

    def reset(self) -> None:
        self.times.clear()


class Shifting:
    """A smoother that moves joints by its strength."""

    def __init__(self, strength: float) -> None:
        self.strength = strength

    def update(self, poses: PoseFrame, time_s: float) -> PoseFrame:
        assert poses.ids is not None
        return PoseFrame(poses.boxes, poses.scores, poses.keypoints + self.strength, poses.ids)

    def reset(self) -> None:
        pass


def make(captures: Any, estimator: Any, *outputs: Output, **options: Any) -> tuple[LivePipeline, list[str]]:
    """Return a pipeline of fakes and the list that its log goes to."""
    log: list[str] = []
    options = {
        "controls": Controls(Settings()),
        "policy": "all",
        "tracking": False,
        "painter_factory": FakePainter,
        "tracker_factory": Numbering,
        "smoother_factory": Shifting,
        "log": log.append,
    } | options
    captures = captures if isinstance(captures, list) else [captures]
    return LivePipeline(captures, estimator, outputs, **options), log


def lossless(sink: Any, name: str = "file", stream: int | None = None) -> Output:
    return Output(name, sink, stream, lossless=True)


def no_threads_left() -> bool:
    return not any(thread.name.startswith("gcpose-") for thread in threading.enumerate())


def open_descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))
