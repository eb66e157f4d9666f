"""The shipped model on the sample clip, through the whole TensorRT path. Run by test_on_standins.py."""

from __future__ import annotations

import itertools
import os
from pathlib import Path

import numpy as np
import pytest

from gcpose_trt import PoseEstimator, PoseFrame
from gcpose_trt.graph.prepare import prepare_bundle
from gcpose_trt.runtime import bundle
from gcpose_trt.video.sources import open_source
from tests.support.cuda_standin import count
from tests.support.deferred_kernels import defer
from tests.support.engine_folders import make_engines

SIZE = (192, 320)
FRAMES = 3
OPTIONS = {"min_score": 0.5, "max_people": 8}  # no score of these frames is near it
defer()


@pytest.fixture(scope="module")
def frames() -> list[np.ndarray]:
    from gcpose_trt.assets import SAMPLE

    with open_source(SAMPLE) as source:
        return [frame.image for frame in itertools.islice(source, 0, 8 * FRAMES, 8)]


@pytest.fixture(scope="module")
def wanted(frames: list[np.ndarray]) -> list[PoseFrame]:
    with PoseEstimator("mobile", size=SIZE, threads=1, **OPTIONS) as estimator:
        return [estimator(frame) for frame in frames]


@pytest.mark.parametrize("batch", [1, 2])
def test_sample_clip(tmp_path: Path, frames: list[np.ndarray], wanted: list[PoseFrame], batch: int) -> None:
    graphs = prepare_bundle(bundle.find("mobile"), size=SIZE, batch=batch, max_people=8)
    folder = make_engines(
        tmp_path / "engines",
        graphs.detector,
        graphs.pose,
        generation=os.environ["GCPOSE_TEST_GENERATION"],
        buckets=(1, 2, 4, 8),
    )
    assert sum(len(poses) for poses in wanted) >= FRAMES, "the clip shows people in nearly every frame"
    with PoseEstimator(folder, **OPTIONS) as estimator:
        ways = [estimator(frames)]
        if batch == 1:
            ways.append([poses for poses, _ in estimator.stream(frames)])
    for found in ways:
        assert [len(poses) for poses in found] == [len(poses) for poses in wanted]
        for one, other in zip(found, wanted, strict=True):
            # A pixel of the input is three of the frame; the letterbox kernel is up to two grey levels from OpenCV's.
            np.testing.assert_allclose(one.boxes, other.boxes, atol=3)
            np.testing.assert_allclose(one.scores, other.scores, atol=0.05)
            sure = other.keypoints[..., 2] > 0.3
            assert sure.any()
            moved = np.linalg.norm(one.keypoints[..., :2] - other.keypoints[..., :2], axis=2)[sure]
            assert np.median(moved) < 1
            assert np.percentile(moved, 90) < 3
    assert count("device") == count("contexts") == 0
