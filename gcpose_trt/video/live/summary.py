"""What a run found and took, for its last words."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from gcpose_trt.runtime.timing import Timing
from gcpose_trt.video.live.statistics import Meters, percentiles


@dataclass(frozen=True)
class SourceSummary:
    """What became of the frames of one source.

    Attributes:
        frames: done.
        dropped: too old when their turn came.
        failed: those that the network failed for.
        people: found in all frames together.
        people_most: in one frame.
        latency_ms: median and 99th percentile from capture to poses; empty where nobody looked.
        live: whether frames came at their own pace.
    """

    name: str
    state: str
    frames: int
    dropped: int
    failed: int
    people: int
    people_most: int
    latency_ms: tuple[float, ...]
    live: bool


@dataclass
class Summary:
    """What a run found and took; of long runs, times are of a fair sample of the frames.

    Attributes:
        sources: one by one.
        timings: of each frame; a frame's share of its batch.
        seconds: the whole, with decoding, drawing and encoding.
        interrupted: whether Ctrl-C or SIGTERM ended it.
        failures: one line for each sink or source that failed while the rest went on.
    """

    sources: list[SourceSummary] = field(default_factory=list)
    timings: list[Timing] = field(default_factory=list)
    seconds: float = 0.0
    interrupted: bool = False
    failures: list[str] = field(default_factory=list)

    @property
    def frames(self) -> int:
        """Frames done, of all sources."""
        return sum(source.frames for source in self.sources)

    @property
    def dropped(self) -> int:
        """Frames that were too old when their turn came."""
        return sum(source.dropped for source in self.sources)

    @property
    def failed(self) -> int:
        """Frames that the network failed for."""
        return sum(source.failed for source in self.sources)

    def percentiles(self, part: Callable[[Timing], float]) -> NDArray[np.float64]:
        """Return median and 90th percentile, in milliseconds, of one part of the frames' timings."""
        return np.percentile([part(timing) for timing in self.timings] or [0.0], [50, 90])

    def lines(self) -> list[str]:
        """Return the summary as lines of a table."""
        total, network = self.percentiles(lambda t: t.total), self.percentiles(lambda t: t.network)
        rate = self.frames / self.seconds if self.seconds else 0.0
        people = sum(source.people for source in self.sources) / max(self.frames, 1)
        most = max((source.people_most for source in self.sources), default=0)
        lines = [
            f"frames      {self.frames} in {self.seconds:.1f} s: {rate:.1f} FPS with decoding, drawing and encoding",
            f"people      {people:.2f} a frame, at most {most}",
            f"end to end  {total[0]:.1f} ms median, {total[1]:.1f} ms p90 (frame in, poses out)",
            f"network     {network[0]:.1f} ms median, {network[1]:.1f} ms p90",
        ]
        if len(self.sources) == 1 and self.sources[0].live and self.sources[0].latency_ms:
            lines.append(f"latency     {_latency(self.sources[0])} (captured, poses there)")
        if self.dropped:
            lines.append(f"dropped     {self.dropped} frames that were too old when their turn came")
        if self.failed:
            lines.append(f"skipped     {self.failed} frames that the network failed for")
        if len(self.sources) > 1:
            lines += [f"source      {_of_source(source, self.seconds)}" for source in self.sources]
        return lines + [f"failed      {failure}" for failure in self.failures]


def summarise(meters: Meters, seconds: float, interrupted: bool, failures: list[str]) -> Summary:
    """Return the summary of what was measured."""
    with meters.lock:
        sources = [
            SourceSummary(
                name=meter.capture.name,
                state=meter.state,
                frames=meter.estimated,
                dropped=meter.dropped,
                failed=meter.failed,
                people=meter.people_total,
                people_most=meter.people_most,
                latency_ms=tuple(percentiles(meter.all_latencies.values, (50, 99))),
                live=meter.capture.live,
            )
            for meter in meters.sources
        ]
        return Summary(sources, list(meters.timings.values), seconds, interrupted, failures)


def _latency(source: SourceSummary) -> str:
    return f"{source.latency_ms[0]:.1f} ms median, {source.latency_ms[1]:.1f} ms p99"


def _of_source(source: SourceSummary, seconds: float) -> str:
    rate = source.frames / seconds if seconds else 0.0
    parts = [f"{source.name}: {source.frames} frames, {rate:.1f} FPS", f"{source.dropped} dropped"]
    if source.latency_ms and source.live:
        parts.append(f"latency {_latency(source)}")
    return ", ".join([*parts, source.state])
