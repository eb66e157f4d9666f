"""Counting frames a second."""

from __future__ import annotations

import threading
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from gcpose_trt.benchmark.operations import throughput
from tests.benchmark.stand_ins import Able, Plain


class Clock:
    """A clock that goes on when a contender works."""

    def __init__(self) -> None:
        self.now = 100.0

    def perf_counter(self) -> float:
        """What the clock says."""
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """The clock of the operation."""
    clock = Clock()
    monkeypatch.setattr(throughput, "time", SimpleNamespace(perf_counter=clock.perf_counter))
    return clock


class Slow(Able):
    """A call takes half a second, whatever the number of frames."""

    def __init__(self, clock: Clock) -> None:
        super().__init__()
        self.clock = clock

    def run(self, frame: Any) -> Any:
        """Find somebody, slowly."""
        self.clock.now += 0.5
        return super().run(frame)

    def run_batch(self, frames: Any) -> Any:
        """Find somebody in each, slowly."""
        self.clock.now += 0.5
        return super().run_batch(frames)


def request(clip: Path, **case: int) -> dict[str, Any]:
    """Ask about the first five frames; their grey is 20 times their number."""
    return {"clip": str(clip), "indices": [0, 1, 2, 3, 4], **case}


def test_batches_are_full_and_counted(pictures: Path, clock: Clock) -> None:
    """The last is filled up from the front; one is run before the clock counts."""
    contender = Slow(clock)
    answer = throughput.run(contender, request(pictures, batch=2))
    assert answer == {"fps": 4.0, "frames": 6}
    assert contender.calls == [(80, 0), (0, 20), (40, 60), (80, 0)]


def test_one_stream(pictures: Path, clock: Clock) -> None:
    """The first frame is not counted: it starts the clock."""
    contender = Slow(clock)
    assert throughput.run(contender, request(pictures, streams=1)) == {"fps": 2.0, "frames": 5}
    assert contender.calls == [0, 20, 40, 60, 80, 0]


@pytest.mark.parametrize("streams", [2, 3])
def test_streams_run_at_the_same_time(pictures: Path, streams: int) -> None:
    """Each call waits until as many others are inside; a stream that were alone would never come out."""
    together = threading.Barrier(streams, timeout=60)

    class Meeting(Able):
        def run(self, frame: Any) -> Any:
            together.wait()
            time.sleep(0)
            return super().run(frame)

    contender = Meeting()
    answer = throughput.run(contender, request(pictures, streams=streams))
    assert answer["frames"] == 6
    assert answer["fps"] > 0
    assert len(contender.calls) == 6 + streams


def test_a_stream_that_fails_is_heard_of(pictures: Path) -> None:
    """Not swallowed by its thread."""

    class Failing(Able):
        def run(self, frame: Any) -> Any:
            raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        throughput.run(Failing(), request(pictures, streams=2))


def test_left_out(pictures: Path) -> None:
    """Who takes one frame a call, and who may not be called by several threads."""
    assert "one frame" in throughput.run(Plain(), request(pictures, batch=2))["left_out"]
    assert "threads" in throughput.run(Plain(), request(pictures, streams=2))["left_out"]
