"""Our own checkpoints, and what is no checkpoint of anyone's."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from gcpose_trt.errors import GcposeError
from gcpose_trt.model import GCPoseRCNN, build_model, load_checkpoint
from gcpose_trt.model.checkpoint import CheckpointError


def assert_equal(a: GCPoseRCNN, b: GCPoseRCNN) -> None:
    expected = b.state_dict()
    assert all(torch.equal(value, expected[name]) for name, value in a.state_dict().items())


def test_files_of_the_trainer(mobile: GCPoseRCNN, tmp_path: Path) -> None:
    path = tmp_path / "model.pt"
    torch.save({"model": mobile.state_dict(), "config": "mobile", "recipe": {"steps": (1, 2)}, "seed": 0}, path)
    other = build_model("mobile")
    report = load_checkpoint(other, path)
    assert_equal(other, mobile)
    assert set(report.loaded) == set(mobile.state_dict())
    assert report.initialised == report.ignored == ()
    assert "0 left as they were" in report.summary()


def test_bare_state_dict(mobile: GCPoseRCNN) -> None:
    other = build_model("mobile")
    load_checkpoint(other, mobile.state_dict())
    assert_equal(other, mobile)


def test_half_precision(mobile: GCPoseRCNN) -> None:
    other = build_model("mobile")
    halves = {k: v.half() if v.is_floating_point() else v for k, v in mobile.state_dict().items()}
    load_checkpoint(other, halves)
    assert other.rpn.deltas.weight.dtype == torch.float32
    assert torch.allclose(other.rpn.deltas.weight, mobile.rpn.deltas.weight, atol=1e-3)


def test_missing_and_misshapen(mobile: GCPoseRCNN) -> None:
    tensors = mobile.state_dict()
    del tensors["rpn.deltas.bias"]
    tensors["box_head.fc2.bias"] = torch.zeros(7)
    with pytest.raises(CheckpointError) as caught:
        load_checkpoint(build_model("mobile"), tensors)
    width = len(mobile.box_head.fc2.bias)
    assert caught.value.listing == (
        "missing: rpn.deltas.bias",
        f"of another shape: box_head.fc2.bias is 7, not {width}",
    )


def test_named_for_another_model(mobile: GCPoseRCNN, blank_r50: GCPoseRCNN) -> None:
    with pytest.raises(CheckpointError, match="of the model mobile, not r50"):
        load_checkpoint(blank_r50, {"model": mobile.state_dict(), "config": "mobile"})


def test_bare_tensors_of_another_model(mobile: GCPoseRCNN, blank_r50: GCPoseRCNN) -> None:
    with pytest.raises(CheckpointError, match=r"for mobile \(mobilenet_v2\), not for r50"):
        load_checkpoint(blank_r50, mobile.state_dict())
    with pytest.raises(CheckpointError, match=r"for r50 \(resnet50\), not for mobile"):
        load_checkpoint(mobile, blank_r50.state_dict())


@pytest.mark.parametrize(
    ("content", "what"), [({}, "no tensors"), ({"encoder.weight": torch.zeros(3)}, "encoder.weight")]
)
def test_no_known_family(mobile: GCPoseRCNN, content: dict[str, torch.Tensor], what: str) -> None:
    with pytest.raises(CheckpointError, match=what):
        load_checkpoint(mobile, content)


def test_unknown_model() -> None:
    with pytest.raises(GcposeError, match="choose one of r50, r101, mobile"):
        build_model("r18")
