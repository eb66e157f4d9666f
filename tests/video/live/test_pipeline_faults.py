"""What goes wrong: one line each, and the rest goes on."""

from __future__ import annotations

import resource
import threading
from pathlib import Path
from typing import Any

import pytest

from gcpose_trt.errors import GcposeError
from gcpose_trt.pose import PoseFrame
from gcpose_trt.video.live import Output
from gcpose_trt.video.live.inference import MOST_FAILURES
from gcpose_trt.video.live_types import Reading, Status
from tests.video.live.fakes import (
    WAIT,
    FakeCapture,
    FakeEstimator,
    FakePainter,
    FakeSink,
    StreamingEstimator,
    lossless,
    make,
    no_threads_left,
    ok,
    until,
)

LOST = Reading(Status.TIMEOUT, message="street is silent; check the cable")
DEAD = Reading(Status.ERROR, message="street is gone; plug it in")


def frames(count: int) -> list[Any]:
    return [ok(index) for index in range(count)]


def fail_at(index: int, error: BaseException) -> Any:
    def check(result: Any) -> None:
        if result.frame.index == index:
            raise error

    return check


@pytest.mark.parametrize("needs_picture", [False, True])
@pytest.mark.parametrize(
    ("error", "line"),
    [
        (GcposeError("cannot write x.mp4 (No space left on device); free some space"), "cannot write x.mp4"),
        (ValueError("odd"), "bad failed: ValueError: odd; the rest goes on without it"),
    ],
)
def test_a_sink_that_fails_fails_alone(error: Exception, line: str, needs_picture: bool) -> None:
    bad, good = FakeSink(needs_picture=needs_picture, before=fail_at(5, error)), FakeSink(needs_picture=True)
    pipeline, log = make(FakeCapture(frames(30)), FakeEstimator(), lossless(bad, "bad"), lossless(good, "good"))
    summary = pipeline.run()
    assert bad.indices() == list(range(5))
    assert good.indices() == list(range(30))
    assert bad.left_by == [type(error)]
    assert good.left_by == [None]
    assert len(log) == 1
    assert log[0].startswith(line)
    assert summary.failures == log
    assert "failed      " + log[0] in summary.lines()
    states = {sink.name: (sink.state, sink.message) for sink in pipeline.snapshot().sinks}
    assert states == {"bad": ("failed", log[0]), "good": ("closed", "")}


def test_without_any_sink_left_the_run_ends() -> None:
    capture = FakeCapture([], live=True)
    capture._script = iter([ok(0), lambda: capture.closed.wait(WAIT)])
    pipeline, log = make(capture, FakeEstimator(), lossless(FakeSink(before=fail_at(0, GcposeError("full; free it")))))
    with pytest.raises(GcposeError, match="full; free it"):
        pipeline.run()
    assert log == []  # said once, by the error
    assert no_threads_left()


class BadDoor(FakeSink):
    """Cannot be entered, or left."""

    def __init__(self, door: str) -> None:
        super().__init__()
        self.door = door

    def __enter__(self) -> BadDoor:
        if self.door == "in":
            raise GcposeError("no screen; use --web")
        return self

    def __exit__(self, *reason: Any) -> None:
        super().__exit__(*reason)
        if self.door == "out":
            raise OSError(28, "No space left on device")


def test_a_sink_that_cannot_be_opened_ends_the_run_before_it_begins() -> None:
    good, estimator, capture = FakeSink(), FakeEstimator(), FakeCapture(frames(5))
    pipeline, _ = make(capture, estimator, lossless(good), lossless(BadDoor("in"), "window"))
    with pytest.raises(GcposeError, match="no screen"):
        pipeline.run()
    assert estimator.batches == []
    assert good.left_by == [GcposeError]
    assert capture.closed.is_set()
    assert no_threads_left()


def test_a_sink_that_cannot_be_completed() -> None:
    good = FakeSink()
    pipeline, log = make(FakeCapture(frames(5)), FakeEstimator(), lossless(good), lossless(BadDoor("out"), "mp4"))
    summary = pipeline.run()
    assert summary.failures == log == ["mp4 failed: No space left on device; the rest goes on without it"]
    alone, _ = make(FakeCapture(frames(5)), FakeEstimator(), lossless(BadDoor("out"), "mp4"))
    with pytest.raises(GcposeError, match="No space left"):
        alone.run()


def test_a_sink_that_hangs_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gcpose_trt.video.live.outputs._CLOSE_S", 0.05)
    release = threading.Event()
    good = FakeSink()
    hanging = FakeSink(before=lambda _: release.wait(WAIT))
    pipeline, log = make(FakeCapture(frames(30)), FakeEstimator(), lossless(good), Output("mqtt", hanging))
    summary = pipeline.run()
    release.set()
    assert good.indices() == list(range(30))
    assert len(summary.failures) == len(log) == 1
    assert "mqtt did not finish" in log[0]
    until(no_threads_left)


@pytest.mark.parametrize("estimator_class", [FakeEstimator, StreamingEstimator])
def test_the_network_fails_once(estimator_class: type[FakeEstimator]) -> None:
    sink = FakeSink()
    pipeline, log = make(FakeCapture(frames(20)), estimator_class(bad=[5]), lossless(sink))
    summary = pipeline.run()
    assert sink.indices() == [index for index in range(20) if index != 5]
    assert [int(result.poses.boxes[0, 2]) for result in sink.results] == sink.indices()
    assert log == ["the network failed: RuntimeError: a bad frame; the frame is skipped"]
    assert summary.failed == pipeline.snapshot().failures == 1
    assert summary.failures == []


def test_a_bad_frame_costs_the_other_sources_nothing() -> None:
    sink = FakeSink()
    captures = [FakeCapture(frames(10), name="a"), FakeCapture([ok(100 + index) for index in range(10)], name="b")]
    pipeline, _ = make(captures, FakeEstimator(bad=[104]), lossless(sink))
    pipeline.run()
    assert sink.indices(0) == list(range(10))
    assert sink.indices(1) == [index for index in range(100, 110) if index != 104]


@pytest.mark.parametrize("estimator_class", [FakeEstimator, StreamingEstimator])
@pytest.mark.parametrize("live", [False, True])
def test_the_network_fails_for_good(estimator_class: type[FakeEstimator], live: bool) -> None:
    estimator, sink = estimator_class(bad=range(5, 100)), FakeSink()
    estimator.error = GcposeError("out of memory; choose a smaller size")
    pipeline, log = make(FakeCapture(frames(100), live=live), estimator, lossless(sink))
    with pytest.raises(GcposeError, match="out of memory"):
        pipeline.run()
    assert sink.indices() == list(range(5))
    assert pipeline.snapshot().failures <= MOST_FAILURES
    assert len(log) == 1
    assert sink.left_by == [None if live else GcposeError]  # what was recorded of a camera cannot be had again
    assert no_threads_left()


def test_a_network_that_never_succeeded() -> None:
    pipeline, _ = make(FakeCapture(frames(1)), FakeEstimator(bad=[0]), lossless(FakeSink()))
    with pytest.raises(GcposeError, match="a bad frame"):
        pipeline.run()


def test_a_source_that_goes_and_comes_back() -> None:
    sink, states = FakeSink(), []
    script = [ok(0), LOST, LOST, lambda: states.append(pipeline.snapshot().sources[0]), ok(1), LOST, ok(2)]
    pipeline, log = make(FakeCapture(script, name="street", live=True), FakeEstimator(), lossless(sink))
    summary = pipeline.run()
    assert sink.indices() == [0, 1, 2]
    assert (states[0].state, states[0].message) == ("reconnecting", LOST.message)
    assert log == [LOST.message, "street is back"] * 2
    assert summary.failures == []


@pytest.mark.parametrize("fault", [DEAD, GcposeError("street is gone; plug it in"), ValueError("street is gone")])
def test_a_source_that_fails_for_good_while_another_goes_on(fault: Any) -> None:
    sink = FakeSink()
    captures = [FakeCapture([ok(0), fault, ok(1)], name="street", live=True), FakeCapture(frames(10), name="file")]
    pipeline, log = make(captures, FakeEstimator(), lossless(sink))
    summary = pipeline.run()
    assert sink.indices(0) == [0]
    assert sink.indices(1) == list(range(10))
    assert len(log) == 1
    assert "street is gone" in log[0]
    assert [source.state for source in pipeline.snapshot().sources] == ["failed", "ended"]
    assert summary.failures == log


@pytest.mark.parametrize("live", [False, True])
def test_all_sources_failed(live: bool) -> None:
    sink = FakeSink()
    pipeline, _ = make([FakeCapture([ok(0), DEAD], live=live) for _ in range(2)], FakeEstimator(), lossless(sink))
    with pytest.raises(GcposeError, match="street is gone; plug it in"):
        pipeline.run()
    assert sink.indices(0) == sink.indices(1) == [0]
    assert sink.left_by == [None if live else GcposeError]


def test_closing_a_source_under_its_read_is_no_fault() -> None:
    capture = FakeCapture([], live=True)

    def fail() -> None:
        capture.closed.wait(WAIT)
        raise ValueError("read on a closed file")

    capture._script = iter([ok(0), fail])
    pipeline, log = make(capture, FakeEstimator(), Output("web", FakeSink()), max_frames=1, policy="latest")
    assert pipeline.run().failures == log == []


class BrokenPainter(FakePainter):
    """Fails at one frame."""

    def paint(self, image: Any, poses: PoseFrame, hud_lines: Any) -> Any:
        if int(image[0, 0, 0]) == 4:
            raise ZeroDivisionError
        return super().paint(image, poses, hud_lines)


def test_a_frame_that_cannot_be_drawn_goes_to_no_sink_that_wants_pictures() -> None:
    plain, drawn = FakeSink(), FakeSink(needs_picture=True)
    pipeline, log = make(
        FakeCapture(frames(9)),
        FakeEstimator(),
        lossless(plain),
        lossless(drawn, "mp4"),
        painter_factory=BrokenPainter,
    )
    pipeline.run()
    assert plain.indices() == list(range(9))
    assert drawn.indices() == [0, 1, 2, 3, 5, 6, 7, 8]
    assert len(log) == 1
    assert pipeline.snapshot().sinks[1].dropped == 1


class BrokenTracker:
    """Fails at every third frame."""

    def __init__(self) -> None:
        self.calls = 0

    def update(self, poses: PoseFrame, time_s: float) -> PoseFrame:
        self.calls += 1
        if self.calls == 3:
            raise ZeroDivisionError
        return poses

    def reset(self) -> None:
        pass


def test_tracking_that_fails_starts_again() -> None:
    sink = FakeSink()
    pipeline, log = make(
        FakeCapture(frames(9)), FakeEstimator(), lossless(sink), tracking=True, tracker_factory=BrokenTracker
    )
    pipeline.run()
    assert sink.indices() == list(range(9))
    assert len(log) == 1


def test_a_clock_that_jumps_changes_no_duration(monkeypatch: pytest.MonkeyPatch) -> None:
    import time

    now = iter([1e9, 5.0, 2e9, 7.0, *range(100)])
    monkeypatch.setattr(time, "time", lambda: next(now))
    sink, tracker_times = FakeSink(), []

    class Listening:
        def update(self, poses: PoseFrame, time_s: float) -> PoseFrame:
            tracker_times.append(time_s)
            return poses

    pipeline, log = make(
        FakeCapture(frames(8), live=True), FakeEstimator(), lossless(sink), tracking=True, tracker_factory=Listening
    )
    summary = pipeline.run()
    assert all(0 <= result.latency_ms < 1e3 * WAIT for result in sink.results)  # type: ignore[operator]
    assert tracker_times == sorted(tracker_times)
    assert 0 <= summary.seconds < WAIT
    assert log == []


def test_a_file_that_cannot_grow_stops_nothing_else(tmp_path: Path) -> None:
    """A limit on the size of files stands for a full disk."""
    from gcpose_trt.video.sinks import JsonLinesSink

    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    good = FakeSink()
    bad = JsonLinesSink(tmp_path / "poses.jsonl")
    pipeline, log = make(FakeCapture(frames(100)), FakeEstimator(), lossless(bad, "bad"), lossless(good, "good"))
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, before[1]))
    try:
        summary = pipeline.run()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert good.indices() == list(range(100))
    assert summary.failures == log
    assert len(log) == 1
    assert "poses.jsonl" in log[0]
