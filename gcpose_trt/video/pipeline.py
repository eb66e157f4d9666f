"""Source -> estimator -> sink, with what it took."""

from __future__ import annotations

import itertools
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from gcpose_trt.pose.types import PoseFrame
from gcpose_trt.runtime.estimator import Timing
from gcpose_trt.video.background import ReadAhead, WriteBehind
from gcpose_trt.video.frames import Image, Sink, Source


class Estimator(Protocol):
    """What the pipeline asks of `gcpose_trt.PoseEstimator`."""

    def run(self, frame: Image) -> tuple[PoseFrame, Timing]: ...


@dataclass
class Summary:
    """What a run found and took.

    Attributes:
        people: people in each frame.
        timings: of each frame.
        seconds: the whole, with decoding, drawing and encoding.
        interrupted: whether Ctrl-C or SIGTERM ended it.
    """

    people: list[int] = field(default_factory=list)
    timings: list[Timing] = field(default_factory=list)
    seconds: float = 0.0
    interrupted: bool = False

    @property
    def frames(self) -> int:
        """Frames done."""
        return len(self.people)

    def percentiles(self, part: Callable[[Timing], float]) -> NDArray[np.float64]:
        """Return median and 90th percentile, in milliseconds, of one part of the frames' timings."""
        return np.percentile([part(timing) for timing in self.timings] or [0.0], [50, 90])

    def lines(self) -> list[str]:
        """Return the summary as lines of a table."""
        total, network = self.percentiles(lambda t: t.total), self.percentiles(lambda t: t.network)
        rate = self.frames / self.seconds if self.seconds else 0.0
        people = self.people or [0]
        return [
            f"frames      {self.frames} in {self.seconds:.1f} s: {rate:.1f} FPS with decoding, drawing and encoding",
            f"people      {np.mean(people):.2f} a frame, at most {max(people)}",
            f"end to end  {total[0]:.1f} ms median, {total[1]:.1f} ms p90 (frame in, poses out)",
            f"network     {network[0]:.1f} ms median, {network[1]:.1f} ms p90",
        ]


def run_pipeline(
    source: Source,
    estimator: Estimator,
    sink: Sink,
    *,
    max_frames: int | None = None,
    progress: Callable[[int], object] | None = None,
) -> Summary:
    """Run the estimator over a source and hand frames and poses to a sink.

    Ctrl-C and SIGTERM end it after the frame at hand; the sink completes what it has.

    Args:
        source: opened, not yet iterated.
        estimator: called from this thread.
        sink: entered and left here.
        max_frames: stop after so many; None takes all.
        progress: called with the number of people after each frame.

    Raises:
        GcposeError: the source turns out unreadable, the network fails, or the sink cannot write.
    """
    summary = Summary()
    start = time.perf_counter()
    frames = itertools.islice(source, max_frames)
    with _interruptions() as interrupted, WriteBehind(sink) as behind, ReadAhead(frames) as ahead:
        for frame in ahead:
            poses, timing = estimator.run(frame.image)
            behind.write(frame, poses)
            summary.people.append(len(poses))
            summary.timings.append(timing)
            if progress is not None:
                progress(len(poses))
            if interrupted.is_set():
                summary.interrupted = True
                break
    summary.seconds = time.perf_counter() - start
    return summary


@contextmanager
def _interruptions() -> Iterator[threading.Event]:
    """Turn SIGINT and SIGTERM into a flag while the block runs.

    An exception between any two instructions could strike while a file is being completed; a flag cannot.
    """
    flag = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield flag  # only the main thread may handle signals; whoever runs us in another handles them
        return
    signals = (signal.SIGINT, signal.SIGTERM)
    before = [signal.signal(number, lambda *_: flag.set()) for number in signals]
    try:
        yield flag
    finally:
        for number, handler in zip(signals, before, strict=True):
            signal.signal(number, handler)
