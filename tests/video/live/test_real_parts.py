"""The shipped model, tracker, smoother, painter, source and sinks together, on the sample clip."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from gcpose_trt import PoseEstimator
from gcpose_trt.assets import SAMPLE
from gcpose_trt.pose.drawing import Painter
from gcpose_trt.video.capture import open_capture
from gcpose_trt.video.clips import VideoSource
from gcpose_trt.video.live import LivePipeline, Output
from gcpose_trt.video.live_types import Controls, Settings
from gcpose_trt.video.sinks import JsonLinesSink, Mp4Sink
from tests.video.live.fakes import FakeSink, lossless

FRAMES = 4


@pytest.fixture(scope="module")
def estimator() -> PoseEstimator:
    return PoseEstimator("mobile", size=256, threads=1)


def test_what_an_estimator_runs_in_and_where(estimator: PoseEstimator) -> None:
    assert (estimator.precision, estimator.device) == ("fp32", "cpu")


def test_the_sample_clip(estimator: PoseEstimator, tmp_path: Path) -> None:
    log: list[str] = []
    lines, clip, taken = tmp_path / "poses.jsonl", tmp_path / "poses.mp4", FakeSink()
    pipeline = LivePipeline(
        [open_capture(str(SAMPLE))],
        estimator,
        [Output("web", taken), lossless(JsonLinesSink(lines), "poses"), lossless(Mp4Sink(clip, 25.0), "clip")],
        controls=Controls(Settings(smooth=0.3)),
        policy="all",
        tracking=True,
        painter_factory=lambda stream: Painter(),
        max_frames=FRAMES,
        log=log.append,
    )
    summary = pipeline.run()
    assert log == summary.failures == []
    assert summary.frames == FRAMES
    records = [json.loads(line) for line in lines.read_text().splitlines()]
    assert [record["frame"] for record in records] == list(range(FRAMES))
    ids = [{person["id"] for person in record["people"] if "id" in person} for record in records]
    assert ids[-2] & ids[-1]  # somebody is still who they were
    with VideoSource(clip) as written:
        pictures = list(written)
    assert len(pictures) == FRAMES
    snapshot = pipeline.snapshot()
    assert (snapshot.model, snapshot.backend) == ("mobile", "onnxruntime")
    assert snapshot.stages_ms["detector"] > 0


def test_smoothing_moves_joints_and_not_the_truth(estimator: PoseEstimator) -> None:
    """The slider changes the result: the same frames with and without."""
    found: list[FakeSink] = []
    for smooth in (0.0, 0.8):
        sink = FakeSink()
        LivePipeline(
            [open_capture(str(SAMPLE))],
            estimator,
            [lossless(sink)],
            controls=Controls(Settings(smooth=smooth)),
            policy="all",
            tracking=True,
            painter_factory=lambda stream: Painter(),
            max_frames=3,
            log=print,
        ).run()
        found.append(sink)
    raw, smooth_ = (sink.results[-1].poses for sink in found)
    assert len(raw) == len(smooth_) > 0
    moved = np.abs(raw.keypoints[..., :2] - smooth_.keypoints[..., :2]).max()
    assert 0 < moved < 50


def test_quantized_files_say_so() -> None:
    with PoseEstimator("mobile", precision="int8", threads=1) as quantized:
        assert (quantized.precision, quantized.device) == ("int8", "cpu")
