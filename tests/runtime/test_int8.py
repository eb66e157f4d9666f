"""Precision int8 in ONNX Runtime: which files run, and what is refused."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import onnx
import pytest

from gcpose_trt.assets import FOLDER as SHIPPED
from gcpose_trt.errors import GcposeError
from gcpose_trt.runtime import bundle
from gcpose_trt.runtime.estimator import PoseEstimator
from gcpose_trt.video.sampling import read_frames
from tests.support.bundles import make_bundle


def mark_quantized(folder: Path) -> None:
    """Say of a stand-in that it is quantized."""
    for graph in bundle.GRAPHS:
        model = onnx.load(folder / f"{graph}.onnx")
        model.metadata_props.add(key=bundle.INT8_KEY, value="{}")
        onnx.save(model, folder / f"{graph}.onnx")


def test_the_shipped_model_in_int8_finds_the_same_people() -> None:
    with PoseEstimator("mobile", threads=1) as estimator:
        frame, expected = max(((frame, estimator(frame)) for frame in read_frames(None)), key=lambda pair: len(pair[1]))
    with PoseEstimator("mobile", threads=1, precision="int8") as estimator:
        found = estimator(frame)
    with PoseEstimator("mobile-int8", threads=1) as estimator:
        by_name = estimator(frame)
    assert len(found) == len(expected) > 0
    np.testing.assert_allclose(found.boxes, expected.boxes, atol=12)
    sure = expected.keypoints[..., 2] > 0.5
    distance = np.linalg.norm(found.keypoints[..., :2] - expected.keypoints[..., :2], axis=-1)[sure]
    assert 0 < np.median(distance) < 4  # pixels of a frame of 960x540
    np.testing.assert_array_equal(by_name.keypoints, found.keypoints)


def test_shipped_files_are_int8_and_small() -> None:
    paths = bundle.find("mobile")
    quantized = bundle.int8_form(paths)
    assert quantized is not None
    assert quantized.detector.parent == SHIPPED / "mobile-int8"
    sizes = [sum(file.stat().st_size for file in (part.detector, part.pose)) for part in (quantized, paths)]
    assert sizes[0] < 0.4 * sizes[1]


def test_without_an_int8_form(tmp_path: Path) -> None:
    model = make_bundle(tmp_path / "net")
    with pytest.raises(GcposeError, match=r"is not quantized.*gcpose-trt quantize .*net --calibration JSON") as caught:
        PoseEstimator(model, threads=1, precision="int8")
    assert "\n" not in str(caught.value)


def test_of_other_weights(tmp_path: Path) -> None:
    model = make_bundle(tmp_path / "net")
    other = make_bundle(tmp_path / "net-int8", weights_sha256="1" * 64)
    mark_quantized(other)
    with pytest.raises(GcposeError, match=f"made from weights {'1' * 64}, but .* has {'0' * 64}; make it again"):
        PoseEstimator(model, threads=1, precision="int8")


def test_beside_the_float_model_and_by_itself(tmp_path: Path) -> None:
    model = make_bundle(tmp_path / "net")
    mark_quantized(make_bundle(tmp_path / "net-int8"))
    frame = np.full((64, 64, 3), 255, np.uint8)
    for source in (model, tmp_path / "net-int8", tmp_path / "net" / "pose.onnx"):
        with PoseEstimator(source, threads=1, precision="int8") as estimator:
            assert len(estimator(frame)) > 0
    shutil.rmtree(model)
    with PoseEstimator(tmp_path / "net-int8", threads=1, precision="int8") as estimator:
        assert len(estimator(frame)) > 0


def test_backends_without_it_refuse(tmp_path: Path) -> None:
    pytest.importorskip("torch", reason="torch is not installed; pip install 'gcpose-trt[export]'")
    with pytest.raises(GcposeError, match="backend torch does not run in int8; use backend onnxruntime"):
        PoseEstimator("mobile", backend="torch", precision="int8")
    with pytest.raises(GcposeError, match="is quantized to INT8; leave the precision out, or give the float model"):
        PoseEstimator("mobile-int8", precision="fp16")
