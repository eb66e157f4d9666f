"""The stage that every frame passes: one batch of what waits, a frame a source, through the network at a time."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from typing import Any, Protocol

from gcpose_trt.errors import GcposeError
from gcpose_trt.pose.types import PoseFrame
from gcpose_trt.runtime.timing import Timing
from gcpose_trt.video.frames import Image
from gcpose_trt.video.live.capture_stage import Arrival
from gcpose_trt.video.live.faults import Quiet, as_gcpose_error
from gcpose_trt.video.live.follow_stage import Estimate
from gcpose_trt.video.live.queues import Lanes
from gcpose_trt.video.live.statistics import Meters
from gcpose_trt.video.live_types import Controls, Settings

MOST_FAILURES = 10  # in a row; more are no accident
_PAUSE_S = 0.05  # how often a paused run looks whether it goes on


class Estimator(Protocol):
    """What a live system asks of `gcpose_trt.PoseEstimator`.

    One with `backend` "tensorrt" also has `stream(images)`, where frames overlap. `info.model`, `backend`, `precision`
    and `device` are shown where they exist.
    """

    min_score: float

    def run_batch(self, frames: Sequence[Image]) -> tuple[list[PoseFrame], Timing]: ...


class Inference:
    """Takes frames as they come and hands on what the network finds in them, in order.

    Args:
        lanes: where frames wait, a lane a source.
        live: which lanes are emptied while the run is paused.
        estimator: called from the thread that calls `run`.
        controls: the settings, read before each batch.
        deliver: gets what was found.
        meters: where failures are noted.
        quiet: gets a line when the network fails.
        overlap: use the estimator's `stream`.
        max_frames: end after so many frames.

    Attributes:
        stopping: set to True to end after the batch at hand.
        last_error: of the network.
    """

    def __init__(
        self,
        lanes: Lanes[Arrival],
        live: Sequence[bool],
        estimator: Estimator,
        *,
        controls: Controls,
        deliver: Callable[[Estimate], None],
        meters: Meters,
        quiet: Quiet,
        overlap: bool = False,
        max_frames: int | None = None,
    ) -> None:
        self.stopping = False
        self.last_error: GcposeError | None = None
        self._lanes, self._live, self._estimator = lanes, live, estimator
        self._controls, self._deliver = controls, deliver
        self._meters, self._quiet, self._overlap = meters, quiet, overlap
        self._left = max_frames
        self._failures = 0

    def run(self) -> None:
        """Work until the sources end, or `stopping`.

        Raises:
            GcposeError: the network failed ten times in a row.
        """
        while (settings := self._ready()) is not None:
            self._estimator.min_score = settings.min_score
            if self._overlap:
                self._stream(settings.min_score)
            else:
                self._batch(self._take())

    def _ready(self) -> Settings | None:
        """Wait until a frame may be taken and return the settings for it; None at the end."""
        while not self.stopping and self._left != 0 and self._lanes.wait():
            settings = self._controls.settings
            if not settings.paused:
                return None if self.stopping else settings
            for stream, live in enumerate(self._live):
                if live:
                    self._meters.dropped(stream, len(self._lanes.drain(stream)))
            self._lanes.sleep(_PAUSE_S)
        return None

    def _take(self) -> list[Arrival]:
        arrivals = self._lanes.take()
        if self._left is not None:
            arrivals = arrivals[: self._left]
            self._left -= len(arrivals)
        return arrivals

    def _batch(self, arrivals: list[Arrival]) -> None:
        if not arrivals:
            return
        start = time.perf_counter()
        try:
            poses, timing = self._estimator.run_batch([arrival.frame.image for arrival in arrivals])
        except Exception as error:
            if len(arrivals) == 1:
                self._failed(arrivals[0], error)
                return
            for arrival in arrivals:  # one bad frame must not cost the other sources theirs
                self._batch([arrival])
            return
        share = timing if len(arrivals) == 1 else timing / len(arrivals)
        for arrival, found in zip(arrivals, poses, strict=True):
            self._done(arrival, found, share, start)

    def _stream(self, min_score: float) -> None:
        """Work with frames overlapping until the settings change, which the estimator reads only at the start."""
        taken: deque[tuple[Arrival, float]] = deque()
        stream: Any = self._estimator.stream  # type: ignore[attr-defined]  # the backend says so
        with closing(stream(self._images(taken, min_score))) as results:
            while True:
                try:
                    result = next(results, None)
                except Exception as error:
                    self._note(taken[0][0].frame.stream if taken else 0, error)
                    break
                if result is None:
                    return
                arrival, start = taken.popleft()
                poses, timing = result
                self._done(arrival, poses, timing, start)
        # Nobody knows which of the frames on their way was the bad one.
        for arrival, _ in taken:
            self._batch([arrival])

    def _images(self, taken: deque[tuple[Arrival, float]], min_score: float) -> Iterator[Image]:
        while (settings := self._ready()) is not None and settings.min_score == min_score:
            for arrival in self._take():
                taken.append((arrival, time.perf_counter()))
                yield arrival.frame.image

    def _done(self, arrival: Arrival, poses: PoseFrame, timing: Timing, start: float) -> None:
        self._failures = 0
        self._deliver(Estimate(arrival, poses, timing, 1e3 * (start - arrival.arrived)))

    def _failed(self, arrival: Arrival, error: Exception) -> None:
        self._meters.failed(arrival.frame.stream)
        self._note(arrival.frame.stream, error)

    def _note(self, stream: int, error: Exception) -> None:
        self._failures += 1
        self.last_error = as_gcpose_error(error, "the network failed", "the frame is skipped")
        if self._failures >= MOST_FAILURES:
            raise self.last_error
        self._quiet(("network", stream), str(self.last_error))
