"""Every function body against the PyTorch op of the same name, and the rules for attaching bodies."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="torch is not installed; pip install 'gcpose-trt[export]'")
onnx = pytest.importorskip("onnx", reason="onnx is not installed; pip install 'gcpose-trt[export]'")
import onnxruntime  # noqa: E402
from hypothesis import given, settings  # noqa: E402
from hypothesis import strategies as st  # noqa: E402
from numpy.typing import NDArray  # noqa: E402

from gcpose_trt.errors import GcposeError  # noqa: E402
from gcpose_trt.graph.functions import DOMAIN, VERSION, attach_functions, function_of  # noqa: E402
from gcpose_trt.model import CONFIGS, ops  # noqa: E402

FEW = settings(max_examples=40, deadline=None)
Array = NDArray[Any]
# Eighths of a pixel, so that no sum is rounded: adaptive RoIAlign takes ceil(side / bins) samples, and where a side
# is a whole number of bins the last bit of a difference would decide between two grids.
coordinate = st.integers(-320, 1600).map(lambda eighths: eighths / 8)
side = st.sampled_from([0.0, 0.125, 0.5, 1.0, 7.25, 16.0, 56.0, 111.875, 112.0, 224.0, 300.5])


@st.composite
def boxes(draw: st.DrawFn, least: int = 1, most: int = 9, least_side: float = 0.0) -> Array:
    """(N,4) float32 boxes: partly outside, empty, thin, or exactly at the borders between pyramid levels."""
    rows = draw(st.lists(st.tuples(coordinate, coordinate, side, side), min_size=least, max_size=most))
    corner = np.array([[x, y] for x, y, _, _ in rows], np.float32)
    extent = np.array([[max(w, least_side), max(h, least_side)] for _, _, w, h in rows], np.float32)
    return np.concatenate([corner, corner + extent], 1)


def tensors(inputs: dict[str, Array]) -> list[Any]:
    return [torch.from_numpy(array) for array in inputs.values()]


def smooth_noise(rng: np.random.Generator, *shape: int) -> Array:
    """Maps without the pixel-to-pixel jumps that would turn a rounded coordinate into a visible difference."""
    coarse = torch.from_numpy(rng.normal(size=(*shape[:2], 5, 5)).astype(np.float32))
    resized: Array = torch.nn.functional.interpolate(coarse, size=shape[2:], mode="bicubic").numpy()
    return resized


@FEW
@given(
    rois=boxes(least=1, most=9),
    levels=st.sampled_from([1, 2, 4]),
    ratio=st.sampled_from([0, 2]),
    aligned=st.booleans(),
    seed=st.integers(0, 99),
)
def test_multi_level_roi_align(run_op: Any, rois: Array, levels: int, ratio: int, aligned: bool, seed: int) -> None:
    rng = np.random.default_rng(seed)
    batch_index = rng.integers(0, 2, len(rois))
    strides = [4, 8, 16, 32][:levels]
    features = [smooth_noise(rng, 2, 3, 160 // stride, 192 // stride) for stride in strides]
    inputs = {"rois": rois, "batch_index": batch_index} | {f"feature_{i}": f for i, f in enumerate(features)}
    attributes = {"output_size": 7, "sampling_ratio": ratio, "canonical_level": 4, "canonical_size": 224.0}
    (pooled,) = run_op("MultiLevelRoiAlign", inputs, strides=strides, aligned=int(aligned), **attributes)
    expected = ops.multi_level_roi_align(
        [torch.from_numpy(f) for f in features],
        torch.from_numpy(rois),
        torch.from_numpy(batch_index),
        strides=strides,
        aligned=aligned,
        **attributes,
    )
    assert pooled.shape == tuple(expected.shape)
    np.testing.assert_allclose(pooled, expected.numpy(), atol=2e-4)


def test_multi_level_roi_align_without_rois(run_op: Any) -> None:
    features = [np.ones((1, 3, 16 >> i, 16 >> i), np.float32) for i in range(4)]
    inputs = {"rois": np.zeros((0, 4), np.float32), "batch_index": np.zeros(0, np.int64)}
    inputs |= {f"feature_{i}": f for i, f in enumerate(features)}
    attributes = {"output_size": 5, "sampling_ratio": 0, "canonical_level": 4, "canonical_size": 224.0}
    (pooled,) = run_op("MultiLevelRoiAlign", inputs, strides=[4, 8, 16, 32], aligned=1, **attributes)
    assert pooled.shape == (0, 3, 5, 5)


@FEW
@given(
    candidates=boxes(least=1, most=30),
    data=st.data(),
    max_outputs=st.sampled_from([1, 4, 50]),
    iou_threshold=st.sampled_from([0.3, 0.7]),
    batch=st.sampled_from([1, 3]),
)
def test_nms(run_op: Any, candidates: Array, data: Any, max_outputs: int, iou_threshold: float, batch: int) -> None:
    count = len(candidates)
    # Few different scores, so that ties are the rule.
    scores = data.draw(st.lists(st.sampled_from([-2.0, 0.25, 0.5, 0.75, 1.0]), min_size=count, max_size=count))
    groups = data.draw(st.lists(st.integers(0, 3), min_size=count, max_size=count))
    all_boxes = np.stack([candidates + 3 * b for b in range(batch)]).astype(np.float32)
    all_scores = np.stack([np.roll(scores, b) for b in range(batch)]).astype(np.float32)
    inputs = {"boxes": all_boxes, "scores": all_scores, "groups": np.array(groups, np.int64)}
    attributes = {"iou_threshold": iou_threshold, "score_threshold": 0.25, "max_outputs": max_outputs}
    indices, number = run_op("Nms", inputs, **attributes)
    expected_indices, expected_number = ops.nms(*tensors(inputs), **attributes)
    np.testing.assert_array_equal(number, expected_number.numpy())
    np.testing.assert_array_equal(indices, expected_indices.numpy())


def test_nms_when_no_score_is_high_enough(run_op: Any) -> None:
    inputs = {
        "boxes": np.ones((2, 3, 4), np.float32),
        "scores": np.zeros((2, 3), np.float32),
        "groups": np.zeros(3, np.int64),
    }
    indices, count = run_op("Nms", inputs, iou_threshold=0.5, score_threshold=0.5, max_outputs=6)
    assert indices.shape == (2, 6)
    assert not indices.any()
    assert count.tolist() == [0, 0]


def test_nms_of_many_boxes(run_op: Any) -> None:
    rng = np.random.default_rng(5)
    corner = rng.uniform(0, 600, (1, 3000, 2)).astype(np.float32)
    extent = rng.uniform(10, 90, (1, 3000, 2)).astype(np.float32)
    inputs = {
        "boxes": np.concatenate([corner, corner + extent], 2),
        "scores": rng.normal(size=(1, 3000)).astype(np.float32),
        "groups": rng.integers(0, 5, 3000),
    }
    attributes = {"iou_threshold": 0.5, "score_threshold": -1.0, "max_outputs": 1000}
    indices, count = run_op("Nms", inputs, **attributes)
    expected_indices, expected_count = ops.nms(*tensors(inputs), **attributes)
    assert count.tolist() == expected_count.tolist()
    np.testing.assert_array_equal(indices, expected_indices.numpy())


@pytest.mark.parametrize(
    ("number", "heads", "depth", "value_depth", "height", "width"),
    [
        (1, 4, 128, 128, 14, 14),
        (7, 4, 16, 24, 14, 14),
        (2, 1, 8, 8, 3, 5),
        (2, 2, 4, 4, 6, 1),
        (1, 2, 4, 4, 1, 6),
        (3, 2, 4, 4, 1, 1),
    ],
)
def test_gcm_attention(
    run_op: Any, number: int, heads: int, depth: int, value_depth: int, height: int, width: int
) -> None:
    rng = np.random.default_rng(1)

    def normal(*shape: int) -> Array:
        return rng.normal(size=shape).astype(np.float32)

    inputs = {
        "q": normal(number, heads * depth, height, width),
        "k": normal(number, heads * depth, height, width),
        "v": normal(number, heads * value_depth, height, width),
        "rel_height": normal(2 * height - 1, depth),
        "rel_width": normal(2 * width - 1, depth),
    }
    (out,) = run_op("GcmAttention", inputs, heads=heads, height=height, width=width)
    expected = ops.gcm_attention(*tensors(inputs), heads=heads)
    assert out.shape == (number, heads * value_depth, height, width)
    np.testing.assert_allclose(out, expected.numpy(), atol=1e-5)


@FEW
@given(people=boxes(least=1, most=4), seed=st.integers(0, 99), size=st.sampled_from([8, 14]))
def test_keypoint_decode(run_op: Any, people: Array, seed: int, size: int) -> None:
    rng = np.random.default_rng(seed)
    inputs = {"logits": 4 * rng.normal(size=(len(people), 5, size, size)).astype(np.float32), "boxes": people}
    (keypoints,) = run_op("KeypointDecode", inputs, samples_per_cell=2, score_radius=0.0)
    expected = ops.keypoint_decode(*tensors(inputs), samples_per_cell=2).numpy()
    assert keypoints.shape == expected.shape
    np.testing.assert_allclose(keypoints[..., 2], expected[..., 2], rtol=1e-4, atol=1e-5)
    # Neighbouring pixels can be equal to the last bit of float32; then either is the answer.
    same = np.abs(keypoints[..., :2] - expected[..., :2]).max(-1) < 1e-2
    assert (same | (np.abs(keypoints[..., 2] / expected[..., 2] - 1) < 1e-5)).all()
    assert same.mean() > 0.8


def test_keypoint_decode_of_small_boxes_is_exhaustive(run_op: Any) -> None:
    rng = np.random.default_rng(3)
    people = np.array([[3.5, -8, 3.5, 20], [10, 10, 121.7, 80.2], [-5, 0, 40, 112]], np.float32)
    inputs = {"logits": smooth_noise(rng, 3, 17, 56, 56), "boxes": people}
    (keypoints,) = run_op("KeypointDecode", inputs, samples_per_cell=2, score_radius=0.0)
    expected = ops.keypoint_decode_exhaustive(*tensors(inputs)).numpy()
    np.testing.assert_allclose(keypoints, expected, atol=1e-3)


@FEW
@given(people=boxes(least=1, most=4), seed=st.integers(0, 99), size=st.sampled_from([3, 14, 56]), smooth=st.booleans())
def test_oks_decode(run_op: Any, people: Array, seed: int, size: int, smooth: bool) -> None:
    rng = np.random.default_rng(seed)
    shape = (len(people), 17, size, size)
    logits = 4 * smooth_noise(rng, *shape) if smooth else 4 * rng.normal(size=shape).astype(np.float32)
    spread = CONFIGS["mobile"].keypoint.spread
    assert_same_joints(run_op, {"logits": logits, "boxes": people}, spread)


@pytest.mark.parametrize(("base", "peak"), [(0.0, 1e4), (-1e4, 1e4), (1e4, 0.0), (-1e4, -1e4)])
def test_oks_decode_of_borders_and_of_extreme_logits(run_op: Any, base: float, peak: float) -> None:
    logits = np.full((2, 4, 56, 56), base, np.float32)
    for joint, (row, column) in enumerate([(0, 0), (55, 0), (30, 55), (0, 17)]):
        logits[:, joint, row, column] = peak
    people = np.array([[3.5, -8, 83.5, 200], [10, 10, 9, 8]], np.float32)
    spread = CONFIGS["mobile"].keypoint.spread[:4]
    # Where all or all but one are equal many cells do alike.
    assert_same_joints(run_op, {"logits": logits, "boxes": people}, spread, least=1.0 if peak > base else 0.0)


def assert_same_joints(run_op: Any, inputs: dict[str, Array], spread: Sequence[float], least: float = 0.9) -> None:
    """Body and operation agree; of cells that are equal to the last bits either is right, `least` of joints are one."""
    (keypoints,) = run_op("OksDecode", inputs, spread=list(spread))
    expected = ops.oks_decode(*tensors(inputs), spread=spread).numpy()
    assert keypoints.shape == expected.shape
    assert keypoints.dtype == np.float32
    np.testing.assert_allclose(keypoints[..., 2], expected[..., 2], rtol=1e-4, atol=1e-6)
    side = np.maximum(inputs["boxes"][:, 2:] - inputs["boxes"][:, :2], 1)[:, None]
    same = (np.abs(keypoints[..., :2] - expected[..., :2]) < 1e-3 * side + 1e-3).all(-1)
    tied = np.abs(keypoints[..., 2] / np.maximum(expected[..., 2], 1e-30) - 1) < 1e-5
    assert (same | tied).all()
    assert same.mean() >= least


@pytest.mark.parametrize("radius", [0.5, 4.5])
def test_keypoint_decode_scores_by_the_probability_near_the_joint(run_op: Any, radius: float) -> None:
    rng = np.random.default_rng(4)
    people = np.array([[3.5, -8, 83.5, 200], [10, 10, 121.7, 80.2], [-5, 0, 340, 412]], np.float32)
    inputs = {"logits": smooth_noise(rng, 3, 17, 56, 56), "boxes": people}
    (keypoints,) = run_op("KeypointDecode", inputs, samples_per_cell=4, score_radius=radius)
    expected = ops.keypoint_decode(*tensors(inputs), score_radius=radius).numpy()
    np.testing.assert_allclose(keypoints, expected, atol=1e-3)


def test_bodies_are_standard_onnx() -> None:
    nodes = [onnx.helper.make_node(name, ["x"] * 3, ["y"], domain=DOMAIN) for name in ("Nms", "GcmAttention")]
    nodes += [onnx.helper.make_node("KeypointDecode", ["x", "b"], ["y"], domain=DOMAIN)]
    nodes += [onnx.helper.make_node("MultiLevelRoiAlign", ["r", "i"] + ["f"] * n, ["y"], domain=DOMAIN) for n in (1, 4)]
    for node in nodes:
        function = function_of(node)
        assert function.name == node.op_type
        assert {inner.domain for inner in function.node} == {""}
        assert [(entry.domain, entry.version) for entry in function.opset_import] == [("", 18)]


def _pooling_model(level_counts: list[int]) -> onnx.ModelProto:
    helper, float_type, int_type = onnx.helper, onnx.TensorProto.FLOAT, onnx.TensorProto.INT64
    nodes = []
    for number, levels in enumerate(level_counts):
        inputs = ["rois", "batch_index", *["feature"] * levels]
        attributes = {"sampling_ratio": 0, "aligned": 1, "canonical_level": 4, "canonical_size": 224.0}
        size = {"output_size": 3 + number, "strides": [4 << i for i in range(levels)]}
        node = helper.make_node("MultiLevelRoiAlign", inputs, [f"y{number}"], domain=DOMAIN, **attributes, **size)
        nodes.append(node)
    graph = helper.make_graph(
        nodes,
        "pooling",
        [
            helper.make_tensor_value_info("rois", float_type, ["N", 4]),
            helper.make_tensor_value_info("batch_index", int_type, ["N"]),
            helper.make_tensor_value_info("feature", float_type, ["B", 2, "H", "W"]),
        ],
        [helper.make_tensor_value_info(f"y{i}", float_type, [None] * 4) for i in range(len(level_counts))],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8)


def _pooling_shapes(model: onnx.ModelProto) -> list[tuple[int, ...]]:
    onnx.checker.check_model(model)
    feeds = {
        "rois": np.array([[0, 0, 16, 24]], np.float32),
        "batch_index": np.zeros(1, np.int64),
        "feature": np.ones((1, 2, 9, 9), np.float32),
    }
    outputs = onnxruntime.InferenceSession(model.SerializeToString()).run(None, feeds)
    assert all(np.allclose(output, 1) for output in outputs)
    return [output.shape for output in outputs]


def test_one_function_serves_several_attribute_values() -> None:
    model = _pooling_model([2, 2])
    attach_functions(model)
    assert [(function.name, function.overload) for function in model.functions] == [("MultiLevelRoiAlign", "")]
    assert _pooling_shapes(model) == [(1, 2, 3, 3), (1, 2, 4, 4)]
    assert {entry.domain: entry.version for entry in model.opset_import} == {"": 18, DOMAIN: VERSION}


def test_numbers_of_levels_mixed_in_one_graph_share_one_function() -> None:
    model = _pooling_model([1, 4, 2])
    attach_functions(model)
    assert [(function.name, len(function.input)) for function in model.functions] == [("MultiLevelRoiAlign", 6)]
    strides = [list(helper.ints) for node in model.graph.node for helper in node.attribute if helper.name == "strides"]
    assert strides == [[4, 4, 4, 4], [4, 8, 16, 32], [4, 8, 8, 8]]
    assert _pooling_shapes(model) == [(1, 2, 3, 3), (1, 2, 4, 4), (1, 2, 5, 5)]


@FEW
@given(rois=boxes(least=1, most=9), levels=st.sampled_from([1, 2, 3]))
def test_repeating_the_last_feature_changes_nothing(run_op: Any, rois: Array, levels: int) -> None:
    rng = np.random.default_rng(0)
    strides = [4, 8, 16][:levels]
    features = [smooth_noise(rng, 1, 3, 160 // stride, 192 // stride) for stride in strides]
    inputs = {"rois": rois, "batch_index": np.zeros(len(rois), np.int64)}
    attributes = {"output_size": 7, "sampling_ratio": 0, "aligned": 1, "canonical_level": 4, "canonical_size": 224.0}
    few = inputs | {f"feature_{i}": feature for i, feature in enumerate(features)}
    more = inputs | {f"feature_{i}": features[min(i, levels - 1)] for i in range(4)}
    (expected,) = run_op("MultiLevelRoiAlign", few, strides=strides, **attributes)
    repeated = strides + strides[-1:] * (4 - levels)
    (pooled,) = run_op("MultiLevelRoiAlign", more, strides=repeated, **attributes)
    np.testing.assert_array_equal(pooled, expected)


def test_attaching_twice_changes_nothing() -> None:
    model = _pooling_model([1, 4])
    attach_functions(model)
    once = model.SerializeToString(deterministic=True)
    attach_functions(model)
    assert model.SerializeToString(deterministic=True) == once


def test_unknown_op_is_refused() -> None:
    node = onnx.helper.make_node("SoftNms", ["x"], ["y"], domain=DOMAIN)
    with pytest.raises(GcposeError, match=r"no op 'SoftNms'.*use one of"):
        function_of(node)
