"""The shipped model through ONNX Runtime and PyTorch: every stage is there, and both agree."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gcpose_trt.compare.comparison import A_INPUTS, compare_sides
from gcpose_trt.compare.side import open_side
from gcpose_trt.compare.spec import parse_spec
from gcpose_trt.errors import GcposeError
from gcpose_trt.runtime.preprocess import SizeRule
from gcpose_trt.video.sampling import read_frames
from tests.support.bundles import make_bundle

onnx = pytest.importorskip("onnx", reason="onnx is not installed; pip install 'gcpose-trt[export]'")


def test_onnx_runtime_and_pytorch_agree_in_every_stage(onnx_side: Any) -> None:
    pytest.importorskip("torch", reason="torch is not installed; pip install 'gcpose-trt[export]'")
    torch_side = open_side(parse_spec("mobile@torch"))
    found = compare_sides(onnx_side, torch_side, read_frames(wanted=1), SizeRule(long=256))
    assert found.failures == []
    assert found.absent == {}
    assert found.people.matched >= 1
    assert found.proposals_matched is not None
    assert found.proposals_matched > 0.95
    names = {row.name for row in found.stages}
    assert names >= {"pyramid p2", "pyramid p5", "box prior", "p2", "proposals", "box branch boxes", "logits", "boxes"}
    assert all(row.difference.count for row in found.stages)
    maps = [row.difference for row in found.stages if row.judged == "relative_largest"]
    assert len(maps) == 7
    # Float32 on both sides: rounding, and not zero, for they add in different orders.
    assert 0 < max(difference.relative_largest for difference in maps) < 1e-4
    torch_side.close()


def test_a_fault_in_the_box_branch_alone_is_seen_there(onnx_side: Any, sample: tuple[Any, Any]) -> None:
    from gcpose_trt.compare.onnx_side import OnnxSide

    detector = onnx.ModelProto()
    detector.CopyFrom(onnx_side.detector)
    bias = next(tensor for tensor in detector.graph.initializer if tensor.name == "model.box_head.deltas.bias")
    shifted = onnx.numpy_helper.to_array(bias) + np.float32(0.3)
    bias.CopyFrom(onnx.numpy_helper.from_array(shifted, bias.name))
    faulty = OnnxSide("mobile", graphs=(detector, onnx_side.pose_graph), threads=1)
    found = compare_sides(onnx_side, faulty, read_frames(wanted=1), SizeRule(long=256))
    by_name = {(row.name, row.feed): row.difference for row in found.stages}
    assert by_name["box branch boxes", A_INPUTS].median > 0.5
    assert by_name["box branch scores", A_INPUTS].largest == 0
    assert by_name["proposals", "end to end"].largest == 0
    assert by_name["p2", "end to end"].largest == 0


def test_refine_repeats_the_detector(onnx_side: Any, sample: tuple[Any, Any]) -> None:
    image, size = sample
    found = onnx_side.detect(image, size)
    boxes, scores = onnx_side.refine(found, size)
    best = scores[0].argmax()
    assert scores[0, best] == pytest.approx(found.scores[0, 0], abs=1e-6)
    np.testing.assert_allclose(boxes[0, best], found.boxes[0, 0], atol=1e-3)


def test_a_graph_without_our_nodes_tells_its_outputs_only(tmp_path: Path) -> None:
    from gcpose_trt.compare.onnx_side import OnnxSide

    side = OnnxSide(str(make_bundle(tmp_path / "tiny")))
    assert set(side.absent) == {"pyramid", "proposals", "box branch", "logits"}
    image = np.zeros((1, 64, 64, 3), np.uint8)
    image[0, 8:50, 4:40] = 200
    size = np.array([[64, 64]], np.int64)
    found = side.detect(image, size)
    assert found.count.tolist() == [3]
    assert (found.maps, found.proposals) == ({}, None)
    assert side.refine(found, size) is None
    assert side.pose(found.p2, found.boxes[0], np.zeros(3, np.int64)).logits is None


@pytest.mark.parametrize("content", [b"", b"not an onnx file", b"\x08\x0a\x12\x05hello"])
def test_corrupt_files(tmp_path: Path, content: bytes) -> None:
    from gcpose_trt.compare.onnx_side import OnnxSide

    folder = make_bundle(tmp_path / "tiny")
    (folder / "pose.onnx").write_bytes(content)
    with pytest.raises(GcposeError) as caught:
        OnnxSide(str(folder))
    assert "\n" not in str(caught.value)
    assert "pose.onnx" in str(caught.value)


def test_no_such_model() -> None:
    with pytest.raises(GcposeError, match="no model 'nothing'"):
        open_side(parse_spec("nothing"))


def test_half_precision_in_onnx_runtime_is_rounded_and_within_the_limits(onnx_side: Any) -> None:
    half = open_side(parse_spec("mobile@onnxruntime:fp16"), 1)
    found = compare_sides(onnx_side, half, read_frames(wanted=1), SizeRule(long=256))
    assert found.failures == []
    assert found.absent == {}
    assert found.people.changed == 0
    errors = {row.name: row.difference.relative_largest for row in found.stages if row.name.startswith("pyramid")}
    # Rounding every layer's output to 11 bits adds up to some 1e-3; a runtime that keeps FP32 inside shows 1e-4.
    assert all(1e-3 < error < 2e-2 for error in errors.values()), errors
    half.close()
