"""A thread that follows the people while the network looks at the next frames, and hands on the results, in order."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from gcpose_trt.pose.types import PoseFrame
from gcpose_trt.runtime.timing import Timing
from gcpose_trt.video.frames import Result
from gcpose_trt.video.live.capture_stage import Arrival
from gcpose_trt.video.live.queues import Lanes, StoppedError
from gcpose_trt.video.live.statistics import Meters
from gcpose_trt.video.live.track_stage import TrackStage
from gcpose_trt.video.live_types import Controls

_DEPTH = 2


@dataclass(frozen=True)
class Estimate:
    """What the network found.

    Attributes:
        timing: the frame's share of its batch.
        waited_ms: how long it waited for the network.
    """

    arrival: Arrival
    poses: PoseFrame
    timing: Timing
    waited_ms: float


class FollowStage:
    """Gives people ids, smooths them, and hands over the results.

    Args:
        tracks: what follows the people, one a source.
        controls: how much is smoothed.
        deliver: gets each result.
        meters: where times and counts are noted.
        progress: called with the number of people after each frame.
    """

    def __init__(
        self,
        tracks: Sequence[TrackStage],
        *,
        controls: Controls,
        deliver: Callable[[Result], None],
        meters: Meters,
        progress: Callable[[int], object] | None = None,
    ) -> None:
        self._tracks, self._controls, self._deliver = tracks, controls, deliver
        self._meters, self._progress = meters, progress
        self._error: BaseException | None = None
        self._queue: Lanes[Estimate] = Lanes(1, _DEPTH)
        self._thread = threading.Thread(target=self._run, name="gcpose-follow", daemon=True)

    def start(self) -> None:
        """Begin to work."""
        self._thread.start()

    def put(self, estimate: Estimate) -> None:
        """Queue an estimate; waits while the queue is full.

        Raises:
            BaseException: what `deliver` or `progress` raised.
        """
        try:
            self._queue.put(estimate)
        except StoppedError:
            if self._error is not None:
                raise self._error from None
            raise

    def finish(self) -> BaseException | None:
        """Work through what waits, end, and return what `deliver` or `progress` raised."""
        self._queue.close()
        if self._thread.ident is not None:
            self._thread.join()
        return self._error

    def _run(self) -> None:
        try:
            while estimates := self._queue.take():
                self._follow(estimates[0])
                del estimates  # a frame must not outlive its turn while the next is waited for
        except BaseException as error:  # raised again in the thread that puts
            self._error = error
            self._queue.stop()

    def _follow(self, estimate: Estimate) -> None:
        arrival, frame = estimate.arrival, estimate.arrival.frame
        start = time.perf_counter()
        poses = self._tracks[frame.stream](frame, estimate.poses, self._controls.settings.smooth)
        now = time.perf_counter()
        latency = None if frame.captured is None else 1e3 * (now - frame.captured)
        timing, tracked = estimate.timing, 1e3 * (now - start)
        self._meters.estimated(frame.stream, len(poses), timing, estimate.waited_ms, tracked, latency)
        self._deliver(Result(frame, poses, None, timing, latency, arrival.unix_time))
        if self._progress is not None:
            self._progress(len(poses))
