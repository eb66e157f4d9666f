"""What a live system does, over the last seconds and since its start, in bounded memory."""

from __future__ import annotations

import random
import threading
import time
from collections import deque
from collections.abc import Iterable
from dataclasses import replace
from typing import Generic, TypeVar

import numpy as np

from gcpose_trt.runtime.timing import Timing
from gcpose_trt.video.live_types import Capture, Snapshot, SourceStatistics

T = TypeVar("T")
WINDOW_S = 5.0
_MOST = 1024  # values of a window; at more than 200 frames a second it spans less time
STAGES = ("wait", "preprocess", "detector", "pose", "postprocess", "track", "draw")


class Window:
    """The values of the last seconds.

    Args:
        seconds: how far back it looks.
    """

    def __init__(self, seconds: float = WINDOW_S) -> None:
        self._seconds = seconds
        self._entries: deque[tuple[float, float]] = deque(maxlen=_MOST)

    def add(self, now: float, value: float = 0.0) -> None:
        """Note a value at `now`, seconds of a monotonic clock."""
        self._entries.append((now, value))

    def values(self, now: float) -> list[float]:
        """Return the values since `seconds` before `now`."""
        return [value for when, value in self._recent(now)]

    def rate(self, now: float) -> float:
        """Return how many values came in a second."""
        recent = self._recent(now)
        if len(recent) < 2:
            return 0.0
        first, last = recent[0][0], recent[-1][0]
        gaps = len(recent) - 1
        # While they keep coming, the time since the last is no part of it; once they stop, the rate falls.
        end = last if now - last <= 2 * (last - first) / gaps else now
        return gaps / max(end - first, 1e-9)

    def _recent(self, now: float) -> list[tuple[float, float]]:
        while self._entries and self._entries[0][0] < now - self._seconds:
            self._entries.popleft()
        return list(self._entries)


class Reservoir(Generic[T]):
    """A fair sample of any number of values: all of them up to `size`.

    Vitter's algorithm R (ACM TOMS 11(1), 1985).
    """

    def __init__(self, size: int = 4096) -> None:
        self.values: list[T] = []
        self.count = 0
        self._size = size
        self._random = random.Random(0)

    def add(self, value: T) -> None:
        """Note one value."""
        self.count += 1
        if len(self.values) < self._size:
            self.values.append(value)
        elif (place := int(self._random.random() * self.count)) < self._size:
            self.values[place] = value


class SourceMeter:
    """Counts and times of one source; see `SourceStatistics` for what they mean."""

    def __init__(self, capture: Capture) -> None:
        self.capture = capture
        self.state, self.message = "starting", ""
        self.width = self.height = self.people = 0
        self.captured = self.estimated = self.dropped = self.failed = 0
        self.people_total = self.people_most = 0
        self.arrivals, self.latencies, self.completions = Window(), Window(), Window()
        self.all_latencies: Reservoir[float] = Reservoir()

    def statistics(self, now: float, paused: bool) -> SourceStatistics:
        """Return how it does at `now`, except for the latencies."""
        return SourceStatistics(
            name=self.capture.name,
            uri=self.capture.uri,
            live=self.capture.live,
            state="paused" if paused and self.state == "running" else self.state,
            message=self.message,
            width=self.width,
            height=self.height,
            captured=self.captured,
            estimated=self.estimated,
            dropped=self.dropped,
            reconnects=self.capture.reconnects,
            source_fps=self.arrivals.rate(now),
            inference_fps=self.completions.rate(now),
            latency_p50_ms=None,
            latency_p99_ms=None,
            people=self.people,
        )


class Meters:
    """All that is measured, from any thread."""

    def __init__(self, captures: Iterable[Capture]) -> None:
        self.lock = threading.Lock()
        self.start = time.perf_counter()
        self.sources = [SourceMeter(capture) for capture in captures]
        self.stages = {stage: Window() for stage in STAGES}
        self.timings: Reservoir[Timing] = Reservoir()
        self.failures = 0

    def captured(self, stream: int, shape: tuple[int, ...]) -> None:
        """Note a frame that came from a source."""
        with self.lock:
            meter = self.sources[stream]
            meter.captured += 1
            meter.height, meter.width = shape[0], shape[1]
            meter.arrivals.add(time.perf_counter())

    def dropped(self, stream: int, frames: int = 1) -> None:
        """Note frames that were too old when their turn came."""
        with self.lock:
            self.sources[stream].dropped += frames

    def failed(self, stream: int) -> None:
        """Note a frame that the network failed for."""
        with self.lock:
            self.failures += 1
            self.sources[stream].failed += 1

    def state(self, stream: int, state: str, message: str = "") -> None:
        """Note how a source does."""
        with self.lock:
            meter = self.sources[stream]
            meter.state, meter.message = state, message

    def estimated(
        self, stream: int, people: int, timing: Timing, waited_ms: float, tracked_ms: float, latency_ms: float | None
    ) -> None:
        """Note a frame whose poses are there."""
        now = time.perf_counter()
        with self.lock:
            meter, stages = self.sources[stream], self.stages
            meter.estimated += 1
            meter.people = people
            meter.people_total += people
            meter.people_most = max(meter.people_most, people)
            meter.completions.add(now)
            if latency_ms is not None:
                meter.latencies.add(now, latency_ms)
                meter.all_latencies.add(latency_ms)
            self.timings.add(timing)
            stages["wait"].add(now, waited_ms)
            stages["preprocess"].add(now, timing.preprocess + timing.upload)
            stages["detector"].add(now, timing.detector)
            stages["pose"].add(now, timing.pose)
            stages["postprocess"].add(now, timing.postprocess)
            stages["track"].add(now, tracked_ms)

    def drawn(self, took_ms: float) -> None:
        """Note a picture."""
        with self.lock:
            self.stages["draw"].add(time.perf_counter(), took_ms)

    def latest(self, paused: bool) -> tuple[dict[str, float], tuple[SourceStatistics, ...]]:
        """Return the stages' median milliseconds and how the sources do."""
        now = time.perf_counter()
        with self.lock:
            times = {stage: window.values(now) for stage, window in self.stages.items()}
            sources = [(meter.statistics(now, paused), meter.latencies.values(now)) for meter in self.sources]
        # Outside of the lock: sorting takes longer than the stages should wait.
        medians = {stage: percentiles(values, (50,))[0] for stage, values in times.items() if values}
        return medians, tuple(_with_latency(source, values) for source, values in sources)


def _with_latency(source: SourceStatistics, values: list[float]) -> SourceStatistics:
    if not values:
        return source
    p50, p99 = percentiles(values, (50, 99))
    return replace(source, latency_p50_ms=p50, latency_p99_ms=p99)


def percentiles(values: list[float], wanted: tuple[float, ...]) -> list[float]:
    """Return percentiles of some values; nothing of none."""
    return np.percentile(values, wanted).tolist() if values else []


def hud_lines(snapshot: Snapshot, stream: int) -> list[str]:
    """Return what a picture of a source says of the system: short lines, a name, a tab and a value each."""
    source = snapshot.sources[stream]
    lines = [f"source\t{source.source_fps:.1f} FPS", f"inference\t{source.inference_fps:.1f} FPS"]
    if source.latency_p50_ms is not None and source.latency_p99_ms is not None:
        lines.append(f"latency\t{source.latency_p50_ms:.0f} ms p50, {source.latency_p99_ms:.0f} ms p99")
    return [
        *lines,
        f"dropped\t{source.dropped}",
        f"device\t{snapshot.device} ({snapshot.backend})",
        f"model\t{snapshot.model} {snapshot.precision}",
    ]
