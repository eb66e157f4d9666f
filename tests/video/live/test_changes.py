"""Settings that change while it runs, and frames that do; whose times tracking goes by."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from gcpose_trt.pose import PoseFrame
from gcpose_trt.video.frames import Frame
from gcpose_trt.video.live import Output
from gcpose_trt.video.live.faults import Quiet
from gcpose_trt.video.live.track_stage import TrackStage
from gcpose_trt.video.live_types import Controls, Settings
from tests.video.live.fakes import (
    WAIT,
    FakeCapture,
    FakeEstimator,
    FakeSink,
    Numbering,
    Shifting,
    StreamingEstimator,
    lossless,
    make,
    ok,
    picture,
    until,
)

ESTIMATORS = pytest.mark.parametrize("estimator_class", [FakeEstimator, StreamingEstimator])


def frames(count: int) -> list[Any]:
    return [ok(index) for index in range(count)]


@ESTIMATORS
def test_settings_act_at_the_next_batch(estimator_class: type[FakeEstimator]) -> None:
    controls, sink = Controls(Settings()), FakeSink()

    def change(people: int) -> None:
        controls.update(min_score=0.7, smooth=0.5)

    pipeline, _ = make(
        FakeCapture(frames(20)),
        estimator := estimator_class(),
        lossless(sink),
        controls=controls,
        progress=change,
        tracking=True,
    )
    pipeline.run()
    assert sink.indices() == list(range(20))
    assert estimator.min_scores[0] == 0.3
    assert estimator.min_scores[-1] == 0.7
    assert (sink.results[0].poses.keypoints == 0).all()
    assert (sink.results[-1].poses.keypoints == 0.5).all()
    if isinstance(estimator, StreamingEstimator):
        assert estimator.streams == 2


def test_a_paused_file_waits() -> None:
    controls = Controls(Settings())
    sink = FakeSink()
    estimator = FakeEstimator(before=lambda values: values == [9] and controls.update(paused=True))
    pipeline, _ = make(FakeCapture(frames(20)), estimator, lossless(sink), controls=controls)
    thread = threading.Thread(target=pipeline.run)
    thread.start()
    until(lambda: len(sink.seen) == 10 and pipeline.snapshot().sources[0].captured >= 13)
    assert pipeline.snapshot().sources[0].state == "paused"
    controls.update(paused=False)
    thread.join(WAIT)
    assert sink.indices() == list(range(20))


@pytest.mark.parametrize("policy", ["latest", "all"])
def test_a_paused_camera_goes_on_being_emptied(policy: str) -> None:
    controls = Controls(Settings(paused=True))
    estimator, sink = FakeEstimator(), FakeSink()
    capture = FakeCapture([*frames(100), lambda: controls.update(paused=False)], live=True)
    capture._script = iter([*frames(100), lambda: controls.update(paused=False), ok(100)])
    pipeline, _ = make(capture, estimator, Output("web", sink), controls=controls, policy=policy)
    summary = pipeline.run()
    assert 1 <= summary.frames <= 4
    assert summary.frames + summary.dropped == 101
    assert estimator.batches[-1] == [100]


def test_stopping_while_paused() -> None:
    pipeline, _ = make(FakeCapture(frames(20)), FakeEstimator(), controls=Controls(Settings(paused=True)))
    thread = threading.Thread(target=pipeline.run)
    thread.start()
    until(lambda: pipeline.snapshot().sources[0].captured >= 3)
    pipeline.stop()
    thread.join(WAIT)
    assert not thread.is_alive()


def test_smoothing_follows_people_without_showing_their_ids() -> None:
    sink = FakeSink()
    pipeline, _ = make(
        FakeCapture(frames(3)), FakeEstimator(), lossless(sink), controls=Controls(Settings(smooth=0.25))
    )
    pipeline.run()
    assert all(result.poses.ids is None for result in sink.results)
    assert all((result.poses.keypoints == 0.25).all() for result in sink.results)


def test_frames_that_change_size_start_tracks_anew() -> None:
    sink = FakeSink(needs_picture=True)
    script = [ok(0), ok(1), ok(2, (16, 12)), ok(3, (16, 12)), ok(4)]
    pipeline, log = make(FakeCapture(script, name="street"), FakeEstimator(), lossless(sink), tracking=True)
    pipeline.run()
    assert [int(result.poses.ids[0]) for result in sink.results] == [1, 2, 1, 2, 1]  # type: ignore[index]
    assert log == ["frames of street are now 12x16, not 8x8", "frames of street are now 8x8, not 12x16"]
    source = pipeline.snapshot().sources[0]
    assert (source.width, source.height) == (8, 8)


def test_heads_are_blurred_from_the_next_picture_on() -> None:
    controls = Controls(Settings())
    sink = FakeSink(needs_picture=True)

    def change(result: Any) -> None:
        controls.update(blur_heads=True)

    sink._before = change
    make(FakeCapture(frames(30)), FakeEstimator(), lossless(sink), controls=controls)[0].run()
    added = [int(result.picture[0, 0, 0]) - result.frame.index for result in sink.results]  # type: ignore[index]
    assert added[0] == 1
    assert added[-1] == 100
    assert added == sorted(added)


@pytest.mark.parametrize(
    ("live", "time_s", "used"), [(True, 0.5, 70.0), (False, 0.5, 0.5), (False, None, 0.08), (True, None, 70.0)]
)
def test_whose_times_tracking_goes_by(live: bool, time_s: float | None, used: float) -> None:
    """The clock of the capture for what is live, the clip's own times else; images have none."""
    tracker = Numbering()
    stage = TrackStage(
        "x",
        live=live,
        tracking=True,
        tracker_factory=lambda: tracker,
        smoother_factory=Shifting,
        log=print,
        quiet=Quiet(print),
    )
    stage(Frame(2, time_s, picture(), "x", captured=70.0), PoseFrame.empty(), 0.0)
    assert tracker.times == [used]
