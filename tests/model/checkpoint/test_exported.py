"""Weights out of the shipped ONNX files."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="torch is not installed; pip install 'gcpose-trt[export]'")
onnx = pytest.importorskip("onnx", reason="onnx is not installed; pip install 'gcpose-trt[export]'")

from gcpose_trt import PoseEstimator  # noqa: E402
from gcpose_trt.assets import FOLDER  # noqa: E402
from gcpose_trt.errors import GcposeError  # noqa: E402
from gcpose_trt.model import build_model, load_checkpoint  # noqa: E402
from gcpose_trt.model.checkpoint import read_checkpoint  # noqa: E402

SHIPPED = FOLDER / "mobile"


@pytest.fixture()
def copy(tmp_path: Path) -> Path:
    return Path(shutil.copytree(SHIPPED, tmp_path / "mobile"))


def test_every_weight_comes_back() -> None:
    model = build_model("mobile")
    report = load_checkpoint(model, SHIPPED)
    assert report.initialised == ()
    content = read_checkpoint(SHIPPED / "pose.onnx")
    assert content["config"] == "mobile"
    for name, tensor in model.state_dict().items():
        assert torch.equal(tensor, content["model"][name]), name


def test_both_backends_find_the_same_people() -> None:
    from gcpose_trt.assets import SAMPLE
    from gcpose_trt.video.sources import open_source

    with open_source(SAMPLE) as source:
        frame = next(iter(source)).image
    with PoseEstimator("mobile", threads=1) as exported, PoseEstimator("mobile", "torch", threads=1) as network:
        ours, theirs = exported(frame), network(frame)
    assert len(ours) >= 1
    np.testing.assert_allclose(ours.boxes, theirs.boxes, atol=0.05)
    np.testing.assert_allclose(ours.keypoints, theirs.keypoints, atol=0.05)


def test_a_changed_weight_is_noticed(copy: Path) -> None:
    model = onnx.load(copy / "pose.onnx")
    tensor = next(tensor for tensor in model.graph.initializer if tensor.name == "model.keypoint_head.reduce.bias")
    values = onnx.numpy_helper.to_array(tensor) + 1
    tensor.CopyFrom(onnx.numpy_helper.from_array(values, tensor.name))
    onnx.save(model, copy / "pose.onnx")
    with pytest.raises(GcposeError, match="does not hold the weights"):
        read_checkpoint(copy)


def test_damaged_and_missing_files(copy: Path) -> None:
    data = (copy / "pose.onnx").read_bytes()
    (copy / "pose.onnx").write_bytes(data[: len(data) // 2])
    with pytest.raises(GcposeError, match="damaged"):
        read_checkpoint(copy)
    (copy / "pose.onnx").unlink()
    with pytest.raises(GcposeError, match=r"no pose\.onnx"):
        read_checkpoint(copy)
