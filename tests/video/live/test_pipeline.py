"""The whole, with sources, networks and sinks whose pace and end a test decides."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gcpose_trt.errors import GcposeError
from gcpose_trt.video.live import Output, Summary
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
    open_descriptors,
    until,
)

ESTIMATORS = pytest.mark.parametrize("estimator_class", [FakeEstimator, StreamingEstimator])


def frames(count: int) -> list[Any]:
    return [ok(index) for index in range(count)]


@ESTIMATORS
def test_a_file_goes_through_completely(estimator_class: type[FakeEstimator]) -> None:
    plain, drawn, people = FakeSink(), FakeSink(needs_picture=True), []
    estimator = estimator_class()
    pipeline, log = make(
        FakeCapture(frames(40)), estimator, lossless(plain), lossless(drawn, "mp4"), progress=people.append
    )
    summary = pipeline.run()
    assert plain.indices() == drawn.indices() == list(range(40))
    assert [result.poses.boxes[0, 2] for result in plain.results] == list(range(40))
    assert all(result.picture is None for result in plain.results)
    assert [int(result.picture[0, 0, 0]) for result in drawn.results] == list(range(1, 41))  # type: ignore[index]
    assert all(result.unix_time is None and result.latency_ms is not None for result in plain.results)
    assert plain.left_by == drawn.left_by == [None]
    assert people == [1] * 40
    assert log == []
    assert (summary.frames, summary.dropped, summary.failed, summary.failures) == (40, 0, 0, [])
    assert not summary.interrupted
    assert no_threads_left()


@settings(deadline=None, max_examples=12, derandomize=True)
@given(st.lists(st.integers(0, 25), min_size=1, max_size=3), st.booleans(), st.sampled_from(["latest", "all"]))
def test_whatever_the_sources_order_holds_and_nothing_goes_uncounted(
    counts: list[int], live: bool, policy: str
) -> None:
    plain, drawn, one = FakeSink(), FakeSink(needs_picture=True), FakeSink(needs_picture=True)
    captures = [FakeCapture(frames(count), name=f"s{n}", live=live) for n, count in enumerate(counts)]
    outputs = (lossless(plain), Output("web", drawn), Output("window", one, stream=0))
    pipeline, log = make(captures, FakeEstimator(), *outputs, policy=policy, tracking=True)
    summary = pipeline.run()
    for stream, count in enumerate(counts):
        source = pipeline.snapshot().sources[stream]
        assert source.captured == source.estimated + source.dropped == count
        assert source.state == "ended"
        for sink in (plain, drawn, one):
            assert sink.indices(stream) == sorted(set(sink.indices(stream)))
    assert {stream for stream, _ in one.seen} <= {0}
    for sink, told in zip((plain, drawn), pipeline.snapshot().sinks, strict=False):
        assert told.written == len(sink.seen)
        assert told.written + told.dropped == summary.frames
    if policy == "all":
        assert [plain.indices(stream) for stream in range(len(counts))] == [list(range(count)) for count in counts]
    assert log == []


def test_the_newest_frame_waits_and_the_replaced_ones_are_counted() -> None:
    busy, captured = threading.Event(), threading.Event()
    estimator = FakeEstimator(before=lambda _: (busy.set(), captured.wait(WAIT)))
    capture = FakeCapture(
        [ok(0), lambda: busy.wait(WAIT), *[ok(index) for index in range(1, 10)], captured.set], live=True
    )
    sink = FakeSink()
    pipeline, _ = make(capture, estimator, Output("web", sink), policy="latest")
    assert pipeline.run().dropped == 8
    assert sink.indices() == [0, 9]
    assert all(result.unix_time is not None and result.unix_time > 1.6e9 for result in sink.results)


def test_the_network_holds_up_the_source_where_all_frames_are_wanted() -> None:
    given_out = []
    go = threading.Event()
    script: list[Any] = []
    for index in range(20):
        script += [lambda index=index: given_out.append(index), ok(index)]
    pipeline, _ = make(FakeCapture(script), FakeEstimator(before=lambda _: go.wait(WAIT)), lossless(FakeSink()))
    thread = threading.Thread(target=pipeline.run)
    thread.start()
    until(lambda: len(given_out) == 5)  # one in the network, three that wait, one that would
    go.set()
    thread.join(WAIT)
    assert len(given_out) == 20


def test_a_slow_sink_holds_up_nobody() -> None:
    go = threading.Event()
    slow, fast = FakeSink(needs_picture=True, before=lambda _: go.wait(WAIT)), FakeSink()
    estimator = FakeEstimator()
    pipeline, _ = make(FakeCapture([*frames(50), go.set]), estimator, Output("web", slow), lossless(fast))
    pipeline.run()
    assert fast.indices() == list(range(50))
    assert len(slow.seen) < 50
    assert slow.indices()[-1] == 49  # what came last is what is shown
    told = pipeline.snapshot().sinks[0]
    assert told.dropped == 50 - len(slow.seen)


def test_a_lossless_sink_holds_up_the_network() -> None:
    go = threading.Event()
    sink, estimator = FakeSink(before=lambda _: go.wait(WAIT)), FakeEstimator()
    pipeline, _ = make(FakeCapture(frames(50)), estimator, lossless(sink))
    thread = threading.Thread(target=pipeline.run)
    thread.start()
    until(
        lambda: len(estimator.batches) == 13
    )  # one being written, eight that wait, two to follow, two in threads that wait
    go.set()
    thread.join(WAIT)
    assert sink.indices() == list(range(50))


def test_no_source_waits_for_another() -> None:
    """A frame of each source that has one goes into a batch; a silent source stops nobody."""
    done = threading.Event()
    sink = FakeSink()
    silent = FakeCapture([lambda: done.wait(WAIT), ok(0)], name="silent", live=True)
    pipeline, _ = make([silent, FakeCapture(frames(20))], FakeEstimator(), lossless(sink), progress=None)
    thread = threading.Thread(target=pipeline.run)
    thread.start()
    until(lambda: len(sink.indices(1)) == 20)
    assert sink.indices(0) == []
    done.set()
    thread.join(WAIT)
    assert sink.indices(0) == [0]


def test_frames_that_wait_together_make_one_batch() -> None:
    waiting = threading.Barrier(3)
    first = threading.Event()

    def before(values: list[int]) -> None:
        if not first.is_set():
            first.set()
            waiting.wait(WAIT)

    script = [ok(0), first.wait, ok(1)]
    captures = [FakeCapture([*script, lambda: waiting.wait(WAIT)], name=f"s{n}", live=True) for n in range(2)]
    estimator = FakeEstimator(before=before)
    pipeline, _ = make(captures, estimator, Output("web", FakeSink()), policy="latest")
    pipeline.run()
    assert [1, 1] in estimator.batches


@ESTIMATORS
def test_max_frames(estimator_class: type[FakeEstimator]) -> None:
    sink = FakeSink()
    pipeline, _ = make(FakeCapture(frames(40)), estimator_class(), lossless(sink), max_frames=7)
    assert pipeline.run().frames == 7
    assert sink.indices() == list(range(7))
    many = make([FakeCapture(frames(40)) for _ in range(3)], FakeEstimator(), lossless(FakeSink()), max_frames=7)[0]
    assert many.run().frames == 7


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_signals_end_it_after_the_frame_and_everything_is_flushed(number: signal.Signals) -> None:
    before = signal.getsignal(number)

    def interrupt(values: list[int]) -> None:
        if len(estimator.batches) == 4:
            os.kill(os.getpid(), number)

    estimator, sink, drawn = FakeEstimator(before=interrupt), FakeSink(), FakeSink(needs_picture=True)
    pipeline, _ = make(FakeCapture(frames(200)), estimator, lossless(sink), lossless(drawn, "mp4"))
    summary = pipeline.run()
    assert summary.interrupted
    assert summary.frames == len(sink.seen) == len(drawn.seen) == 5
    assert sink.left_by == drawn.left_by == [None]
    assert signal.getsignal(number) is before
    assert no_threads_left()


def test_a_closed_terminal_that_is_ignored_stays_so() -> None:
    """As under nohup."""
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        estimator = FakeEstimator(before=lambda _: os.kill(os.getpid(), signal.SIGHUP))
        pipeline, _ = make(FakeCapture(frames(9)), estimator, lossless(FakeSink()))
        summary = pipeline.run()
        assert (summary.frames, summary.interrupted) == (9, False)
        assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, before)


@pytest.mark.parametrize("wake", ["signal", "signal-in-another-thread", "stop"])
def test_the_end_comes_while_nothing_else_does(wake: str) -> None:
    """A camera that is silent, and a Ctrl-C: nobody polls, but everybody wakes, whoever takes the signal."""
    capture = FakeCapture([ok(0)], live=True)
    capture._script = iter([ok(0), lambda: capture.closed.wait(WAIT)])
    sink = FakeSink()
    pipeline, _ = make(capture, FakeEstimator(), Output("web", sink), policy="latest")

    def end() -> None:
        until(lambda: len(sink.seen) == 1)
        if wake == "signal":
            os.kill(os.getpid(), signal.SIGINT)
        elif wake == "signal-in-another-thread":
            signal.pthread_kill(threading.get_ident(), signal.SIGINT)
        else:
            pipeline.stop()
            pipeline.stop()

    thread = threading.Thread(target=end)
    thread.start()
    summary = pipeline.run()
    thread.join(WAIT)
    assert summary.interrupted == (wake != "stop")
    assert capture.closed.is_set()
    assert sink.left_by == [None]


def test_in_another_thread() -> None:
    summaries: list[Summary] = []
    pipeline, _ = make(FakeCapture(frames(20)), FakeEstimator(), lossless(FakeSink()))
    thread = threading.Thread(target=lambda: summaries.append(pipeline.run()))
    thread.start()
    thread.join(WAIT)
    assert summaries[0].frames == 20


def test_a_sink_that_changes_its_mind_about_pictures_keeps_its_order() -> None:
    sink = FakeSink(needs_picture=True)

    def change(result: Any) -> None:
        sink.needs_picture = result.frame.index % 7 < 4

    sink._before = change
    pipeline, _ = make(FakeCapture(frames(60)), FakeEstimator(), lossless(sink))
    pipeline.run()
    assert sink.indices() == list(range(60))
    assert {result.picture is None for result in sink.results} == {True, False}


def test_what_progress_raises_ends_the_run() -> None:
    def progress(people: int) -> None:
        raise BrokenPipeError

    sink = FakeSink()
    pipeline, _ = make(FakeCapture(frames(60)), FakeEstimator(), lossless(sink), progress=progress)
    with pytest.raises(BrokenPipeError):
        pipeline.run()
    assert sink.left_by == [GcposeError]
    assert no_threads_left()


def test_nothing_is_drawn_for_nobody() -> None:
    before = FakePainter.made
    captures = [FakeCapture(frames(5)) for _ in range(2)]
    sink = FakeSink(needs_picture=True)
    make(captures, FakeEstimator(), lossless(FakeSink()), lossless(sink, "mp4", 1))[0].run()
    assert FakePainter.made == before + 1
    assert sink.indices(1) == list(range(5))


def test_snapshot() -> None:
    pipeline, _ = make(FakeCapture(frames(9)), FakeEstimator(), lossless(FakeSink(needs_picture=True)), tracking=True)
    assert pipeline.snapshot().sources[0].state == "starting"
    pipeline.run()
    found = pipeline.snapshot()
    assert (found.model, found.backend, found.precision, found.device) == ("tiny", "fake", "fp32", "cpu")
    assert set(found.stages_ms) == {"wait", "preprocess", "detector", "pose", "postprocess", "track", "draw"}
    assert found.stages_ms["detector"] == 2
    assert found.sinks[0].state == "closed"
    assert found.to_dict()["sources"][0]["people"] == 1


def test_summary() -> None:
    sink = FakeSink()
    captures = [FakeCapture(frames(4), name="a", live=True), FakeCapture(frames(3), name="b")]
    text = "\n".join(make(captures, FakeEstimator(bad=[2]), lossless(sink))[0].run().lines())
    assert "frames      5 in " in text
    assert "people      1.00 a frame, at most 1" in text
    assert "end to end" in text
    assert "skipped     2 frames" in text
    assert "source      a: 3 frames, " in text
    assert "source      b: 2 frames, " in text
    assert len(Summary().lines()) == 4


def test_percentiles_of_a_summary() -> None:
    summary = make(FakeCapture(frames(20)), FakeEstimator(), lossless(FakeSink()))[0].run()
    np.testing.assert_allclose(summary.percentiles(lambda timing: timing.total), [10, 10])
    np.testing.assert_allclose(summary.percentiles(lambda timing: timing.network), [5, 5])


def test_runs_leave_nothing_behind() -> None:
    def one() -> None:
        make([FakeCapture(frames(3)) for _ in range(2)], FakeEstimator(), lossless(FakeSink()))[0].run()

    one()
    before = open_descriptors()
    for _ in range(5):
        one()
    assert open_descriptors() == before
    assert no_threads_left()


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: make(FakeCapture([]), FakeEstimator(), policy="some"), "no policy is called 'some'"),
        (lambda: make([], FakeEstimator()), "there is no source"),
        (lambda: make(FakeCapture([]), FakeEstimator(), Output("a", FakeSink()), Output("a", FakeSink())), "two outp"),
    ],
)
def test_what_cannot_run(build: Callable[[], object], message: str) -> None:
    with pytest.raises(GcposeError, match=message):
        build()
