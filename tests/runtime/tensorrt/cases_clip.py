"""The shipped model on the sample clip, through the whole TensorRT path. Run by test_on_standins.py."""

from __future__ import annotations

import itertools
import os
from pathlib import Path

import numpy as np
import pytest

from gcpose_trt import PoseEstimator, PoseFrame
from gcpose_trt.graph.prepare import prepare_bundle
from gcpose_trt.plugins.kernels import Kernels
from gcpose_trt.runtime import bundle
from gcpose_trt.runtime.preprocess import Letterbox
from gcpose_trt.video.sources import open_source
from tests.support.cuda_standin import count
from tests.support.deferred_kernels import defer
from tests.support.engine_folders import make_engines

SIZE = (192, 320)
FRAMES = 2
OPTIONS = {"min_score": 0.5, "max_people": 8}  # no score of these frames is near it
defer()


@pytest.fixture(scope="module")
def frames() -> list[np.ndarray]:
    from gcpose_trt.assets import SAMPLE

    with open_source(SAMPLE) as source:
        return [frame.image for frame in itertools.islice(source, 0, 8 * FRAMES, 8)]


def reference(frames: list[np.ndarray]) -> list[PoseFrame]:
    with PoseEstimator("mobile", size=SIZE, threads=1, **OPTIONS) as estimator:
        return estimator(frames)


def letterbox(frame: np.ndarray, box: Letterbox, out: np.ndarray) -> np.ndarray:
    """What `preprocess.place` does, by our kernel."""
    Kernels(os.environ["GCPOSE_PLUGINS"]).letterbox(
        frame=frame.ctypes.data,
        frame_pitch=frame.strides[0],
        frame_size=box.frame,
        canvas=out.ctypes.data,
        canvas_size=box.canvas,
        content_size=box.content,
    )
    return out


@pytest.fixture(scope="module")
def wanted(frames: list[np.ndarray]) -> list[PoseFrame]:
    """ONNX Runtime's answers for what the kernel makes of the frames."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("gcpose_trt.runtime.halves.place", letterbox)
        return reference(frames)


def test_kernel_and_opencv_lead_to_the_same_people(frames: list[np.ndarray], wanted: list[PoseFrame]) -> None:
    for one, other in zip(wanted, reference(frames), strict=True):
        assert len(one) == len(other) > 0
        # A pixel of the input is three of the frame; the kernel is up to two grey levels from OpenCV.
        np.testing.assert_allclose(one.boxes, other.boxes, atol=3)
        np.testing.assert_allclose(one.scores, other.scores, atol=0.05)
        sure = other.keypoints[..., 2] > 0.3
        assert np.median(np.linalg.norm(one.keypoints[..., :2] - other.keypoints[..., :2], axis=2)[sure]) < 1.5


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
    with PoseEstimator(folder, **OPTIONS) as estimator:
        found = estimator(frames) if batch == 2 else [poses for poses, _ in estimator.stream(frames)]
    for one, other in zip(found, wanted, strict=True):
        np.testing.assert_allclose(one.boxes, other.boxes, atol=0.01)
        np.testing.assert_allclose(one.scores, other.scores, atol=1e-4)
        np.testing.assert_allclose(one.keypoints, other.keypoints, atol=0.01)
    assert count("device") == count("contexts") == 0
