"""Source, estimator and sink together, with a stand-in for the estimator."""

from __future__ import annotations

import json
import os
import signal
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from gcpose_trt.errors import GcposeError
from gcpose_trt.pose import PoseFrame
from gcpose_trt.runtime.estimator import Timing
from gcpose_trt.video.clips import VideoSource
from gcpose_trt.video.pipeline import Summary, run_pipeline
from gcpose_trt.video.sinks import JsonLinesSink
from tests.support.clips import make_clip

ONE = PoseFrame([[1, 2, 30, 40]], [0.5], np.zeros((1, 17, 3)))


class StandIn:
    """Finds one person in every other frame; may do something at frame `at`."""

    def __init__(self, at: int = -1, action: object = None) -> None:
        self.calls, self.at, self.action = 0, at, action

    def run(self, frame: np.ndarray) -> tuple[PoseFrame, Timing]:
        if self.calls == self.at and callable(self.action):
            self.action()
        self.calls += 1
        return (ONE if self.calls % 2 else PoseFrame.empty()), Timing(1, self.calls, 2, 1)


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    return make_clip(tmp_path / "clip.mp4", [np.full((32, 32, 3), 9 * n, np.uint8) for n in range(20)])


def run(clip: Path, estimator: StandIn, **options: object) -> tuple[Summary, list[str]]:
    lines = clip.with_suffix(".jsonl")
    with VideoSource(clip) as source:
        summary = run_pipeline(source, estimator, JsonLinesSink(lines), **options)  # type: ignore[arg-type]
    return summary, lines.read_text().splitlines()


def test_the_whole_clip(clip: Path) -> None:
    seen: list[int] = []
    summary, lines = run(clip, StandIn(), progress=seen.append)
    assert summary.frames == len(lines) == 20
    assert summary.people == seen == [1, 0] * 10
    assert not summary.interrupted
    np.testing.assert_allclose(summary.percentiles(lambda timing: timing.detector), [10.5, 18.1])
    text = "\n".join(summary.lines())
    assert "20 in" in text
    assert "0.50 a frame, at most 1" in text
    assert "14.5 ms median, 22.1 ms p90 (frame in" in text
    assert "12.5 ms median, 20.1 ms p90" in text


class Streaming(StandIn):
    """Takes a frame more before it gives the poses of one, as a GPU's estimator does."""

    def __init__(self) -> None:
        super().__init__()
        self.closed = False

    def stream(self, frames: Iterator[np.ndarray]) -> Iterator[tuple[PoseFrame, Timing]]:
        waiting: list[np.ndarray] = []
        try:
            for frame in frames:
                waiting.append(frame)
                if len(waiting) == 2:
                    yield self.poses(waiting.pop(0))
            for frame in waiting:
                yield self.poses(frame)
        finally:
            self.closed = True

    def poses(self, frame: np.ndarray) -> tuple[PoseFrame, Timing]:
        level = float(frame.mean())
        return PoseFrame([[0, 0, level, 32]], [0.5], np.zeros((1, 17, 3))), Timing(1, 1, 1, 1)


def test_frames_that_overlap_keep_their_poses(clip: Path) -> None:
    estimator = Streaming()
    summary, lines = run(clip, estimator)
    assert summary.frames == len(lines) == 20
    widths = [json.loads(line)["people"][0]["box"][2] for line in lines]
    np.testing.assert_allclose(widths, 9 * np.arange(20), atol=4)
    assert [json.loads(line)["frame"] for line in lines] == list(range(20))
    assert estimator.closed
    assert run(clip, Streaming(), max_frames=7)[0].frames == 7


def test_max_frames(clip: Path) -> None:
    summary, lines = run(clip, StandIn(), max_frames=7)
    assert summary.frames == len(lines) == 7


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_signals_end_it_after_the_frame(clip: Path, number: signal.Signals) -> None:
    before = signal.getsignal(number)
    summary, lines = run(clip, StandIn(4, lambda: os.kill(os.getpid(), number)))
    assert summary.interrupted
    assert summary.frames == len(lines) == 5
    assert signal.getsignal(number) is before


def test_an_error_of_the_network(clip: Path) -> None:
    def fail() -> None:
        raise GcposeError("out of memory; choose a smaller size")

    with pytest.raises(GcposeError, match="out of memory"):
        run(clip, StandIn(4, fail))
    assert not clip.with_suffix(".jsonl").exists()


def test_in_another_thread(clip: Path) -> None:
    results: list[Summary] = []
    thread = threading.Thread(target=lambda: results.append(run(clip, StandIn())[0]))
    thread.start()
    thread.join(30)
    assert results[0].frames == 20


def test_summary_of_nothing() -> None:
    assert len(Summary().lines()) == 4
