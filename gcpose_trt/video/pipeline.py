"""Source -> estimator -> sink, with what it took."""

from __future__ import annotations

import itertools
import signal
import threading
import time
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from gcpose_trt.pose.types import PoseFrame
from gcpose_trt.runtime.estimator import Timing
from gcpose_trt.video.background import ReadAhead, WriteBehind
from gcpose_trt.video.frames import Frame, Image, Sink, Source


class Estimator(Protocol):
    """What the pipeline asks of `gcpose_trt.PoseEstimator`, whose `stream` it prefers: there frames may overlap."""

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
    with (
        _interruptions() as interrupted,
        WriteBehind(sink) as behind,
        ReadAhead(frames) as ahead,
        closing(_estimates(estimator, ahead)) as estimates,
    ):
        for frame, poses, timing in estimates:
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


def _estimates(estimator: Estimator, frames: Iterable[Frame]) -> Generator[tuple[Frame, PoseFrame, Timing], None, None]:
    """Give each frame with its poses; a streaming estimator may have taken later frames by then."""
    stream = getattr(estimator, "stream", None)
    if stream is None:
        for frame in frames:
            yield frame, *estimator.run(frame.image)
        return
    taken: deque[Frame] = deque()

    def images() -> Iterator[Image]:
        for frame in frames:
            taken.append(frame)
            yield frame.image

    with closing(stream(images())) as results:
        for poses, timing in results:
            yield taken.popleft(), poses, timing


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
