"""The TensorRT backend on a GPU: engines of the shipped model against ONNX Runtime; skipped where a part is missing."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

from gcpose_trt import PoseEstimator, PoseFrame
from gcpose_trt.assets import SAMPLE
from gcpose_trt.cli import main
from gcpose_trt.plugins import library
from gcpose_trt.runtime.cuda import open_device
from gcpose_trt.video.sources import open_source
from tests.runtime.cuda.test_door import gpus

SIZE = (192, 320)
OPTIONS = {"min_score": 0.5}


@pytest.fixture(scope="module")
def frames() -> list[np.ndarray]:
    with open_source(SAMPLE) as source:
        return [frame.image for frame in source][:16]


@pytest.fixture(scope="module", params=["fp32", "fp16"])
def engines(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    if gpus() == 0:
        pytest.skip("no NVIDIA GPU")
    if find_spec("tensorrt") is None:
        pytest.skip("TensorRT is not installed")
    if not library.default_path().is_file():
        pytest.skip("the plugin library is not built: gcpose-trt plugins build")
    folder = tmp_path_factory.mktemp(f"engines_{request.param}")
    options = ["--size", f"{SIZE[0]}x{SIZE[1]}", "--max-people", "8", "--precision", request.param]
    assert main(["build-engine", "mobile", *options, "--output", str(folder)]) == 0
    return folder


def close_to(found: list[PoseFrame], wanted: list[PoseFrame]) -> None:
    assert [len(poses) for poses in found] == [len(poses) for poses in wanted]
    for one, other in zip(found, wanted, strict=True):
        np.testing.assert_allclose(one.boxes, other.boxes, atol=6)  # two pixels of the input
        sure = other.keypoints[..., 2] > 0.3
        moved = np.linalg.norm(one.keypoints[..., :2] - other.keypoints[..., :2], axis=2)[sure]
        assert np.median(moved) < 2


@pytest.mark.gpu
@pytest.mark.slow
def test_against_onnxruntime(engines: Path, frames: list[np.ndarray]) -> None:
    with PoseEstimator("mobile", size=SIZE, max_people=8, **OPTIONS) as reference:
        wanted = reference(frames)
    with PoseEstimator(engines, **OPTIONS) as estimator:
        estimator.warmup()
        once = estimator(frames)
        close_to(once, wanted)
        for _ in range(3):
            assert estimator(frames) == once, "the same frames give the same poses, captured or not"
        with ThreadPoolExecutor(4) as pool:
            assert list(pool.map(estimator, frames)) == once
        assert [poses for poses, _ in estimator.stream(frames)] == once
        assert len(estimator(np.zeros((300, 300, 3), np.uint8))) == 0


@pytest.mark.gpu
@pytest.mark.slow
def test_nothing_is_lost(engines: Path, frames: list[np.ndarray]) -> None:
    with open_device() as device, PoseEstimator(engines) as estimator:
        estimator.warmup()
        estimator(frames)
        before = device.memory()[0]
        for _ in range(60):
            estimator(frames)
        assert abs(device.memory()[0] - before) < 16 << 20
