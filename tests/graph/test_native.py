"""Native forms of the ops, bodies on half-precision inputs, and nodes without bodies."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="torch is not installed; pip install 'gcpose-trt[export]'")
onnx = pytest.importorskip("onnx", reason="onnx is not installed; pip install 'gcpose-trt[export]'")
from hypothesis import given, settings  # noqa: E402
from hypothesis import strategies as st  # noqa: E402

from gcpose_trt.errors import GcposeError  # noqa: E402
from gcpose_trt.graph.functions import inline_native, strip_functions  # noqa: E402
from gcpose_trt.graph.shapes import fold  # noqa: E402
from gcpose_trt.model import ops  # noqa: E402
from tests.graph.conftest import one_node_model, open_session, run_model  # noqa: E402
from tests.graph.test_functions import boxes, smooth_noise  # noqa: E402

POOLING = {"output_size": 5, "canonical_level": 4, "canonical_size": 224.0}
_sessions: dict[Any, Any] = {}


def pooling_inputs(rois: Any, strides: list[int], rng: Any) -> dict[str, Any]:
    made = {stride: smooth_noise(rng, 2, 3, 160 // stride, 192 // stride) for stride in strides}
    features = [made[stride] for stride in strides]
    inputs = {"rois": rois, "batch_index": rng.integers(0, 2, len(rois))}
    return inputs | {f"feature_{i}": feature for i, feature in enumerate(features)}


@settings(max_examples=20, deadline=None, derandomize=True)
@given(
    rois=boxes(least=1, most=9),
    strides=st.sampled_from([[4], [8, 16], [4, 8, 16, 32], [8, 8, 8, 8]]),
    ratio=st.sampled_from([0, 2]),
    aligned=st.booleans(),
    seed=st.integers(0, 99),
)
def test_native_pooling(rois: Any, strides: list[int], ratio: int, aligned: bool, seed: int) -> None:
    inputs = pooling_inputs(rois, strides, np.random.default_rng(seed))
    attributes = {**POOLING, "strides": strides, "sampling_ratio": ratio, "aligned": int(aligned)}
    key = repr(attributes)
    if key not in _sessions:
        model = one_node_model("MultiLevelRoiAlign", inputs, **attributes)
        assert inline_native(model, {"MultiLevelRoiAlign"}) == 1
        fold(model)
        used = {node.op_type for node in model.graph.node}
        assert not used & {"NonZero", "MultiLevelRoiAlign", "ScatterElements"}
        assert not model.functions
        _sessions[key] = open_session(model)
    (pooled,) = _sessions[key].run(None, inputs)
    expected = ops.multi_level_roi_align(
        [torch.from_numpy(feature) for name, feature in inputs.items() if name.startswith("feature")],
        torch.from_numpy(rois),
        torch.from_numpy(inputs["batch_index"]),
        **{**attributes, "aligned": aligned},
    )
    np.testing.assert_allclose(pooled, expected.numpy(), atol=2e-4)


def test_one_map_in_all_levels_is_pooled_once() -> None:
    model = one_node_model(
        "MultiLevelRoiAlign",
        pooling_inputs(np.zeros((1, 4), np.float32), [8], np.random.default_rng(0)),
        **POOLING,
        strides=[8],
        sampling_ratio=0,
        aligned=1,
    )
    node = model.graph.node[0]
    node.input.extend([node.input[-1]] * 3)
    next(attribute for attribute in node.attribute if attribute.name == "strides").ints.extend([8] * 3)
    inline_native(model, {"MultiLevelRoiAlign"})
    assert [node.op_type for node in model.graph.node].count("RoiAlign") == 1


def attention_inputs(rng: Any, number: int = 2, heads: int = 2, dim: int = 4, height: int = 3, width: int = 5) -> Any:
    shapes = {
        "q": (number, heads * dim, height, width),
        "k": (number, heads * dim, height, width),
        "v": (number, heads * 3, height, width),
        "rel_height": (2 * height - 1, dim),
        "rel_width": (2 * width - 1, dim),
    }
    return {name: rng.normal(size=shape).astype(np.float32) for name, shape in shapes.items()}


def test_native_attention() -> None:
    inputs = attention_inputs(np.random.default_rng(0))
    model = one_node_model("GcmAttention", inputs, heads=2, height=3, width=5)
    expected = run_model(model, inputs)["out"]
    assert inline_native(model, {"GcmAttention"}) == 1
    fold(model)
    assert {node.domain for node in model.graph.node} == {""}
    assert {"EyeLike", "CastLike", "ConstantOfShape"}.isdisjoint(node.op_type for node in model.graph.node)
    np.testing.assert_allclose(run_model(model, inputs)["out"], expected, atol=1e-6)


def test_other_ops_keep_node_and_body() -> None:
    rng = np.random.default_rng(0)
    inputs = {"logits": rng.normal(size=(2, 3, 8, 8)).astype(np.float32), "boxes": np.float32([[0, 0, 20, 30]] * 2)}
    model = one_node_model("KeypointDecode", inputs, samples_per_cell=2, score_radius=1.0)
    assert inline_native(model) == 0
    assert [function.name for function in model.functions] == ["KeypointDecode"]
    with pytest.raises(GcposeError, match=r"Nms cannot be native; choose from GcmAttention, MultiLevelRoiAlign"):
        inline_native(model, {"Nms"})
    strip_functions(model)
    assert not model.functions
    assert model.graph.node[0].domain == "gcpose"


HALF_CASES = {
    "MultiLevelRoiAlign": {**POOLING, "strides": [4, 8], "sampling_ratio": 0, "aligned": 1},
    "GcmAttention": {"heads": 2, "height": 3, "width": 5},
    "KeypointDecode": {"samples_per_cell": 2, "score_radius": 1.0},
}


@pytest.mark.parametrize("op_type", list(HALF_CASES))
def test_bodies_take_half_precision(op_type: str) -> None:
    """The same body, on FP16 inputs, gives what it gives in FP32 on the same numbers, rounded."""
    rng = np.random.default_rng(1)
    if op_type == "MultiLevelRoiAlign":
        rois = np.array([[0, 0, 40, 60], [1000.5, 20, 1300, 400], [-5, -5, 300, 200]], np.float32)
        inputs = pooling_inputs(rois, [4, 8], rng)
        changing = ["feature_0", "feature_1"]
    elif op_type == "GcmAttention":
        inputs = attention_inputs(rng)
        changing = list(inputs)
    else:
        logits = smooth_noise(rng, 2, 3, 56, 56)
        inputs = {"logits": logits, "boxes": np.float32([[0, 0, 200, 300], [1000.25, 3, 1100, 80]])}
        changing = ["logits"]
    halves = inputs | {name: inputs[name].astype(np.float16) for name in changing}
    same = inputs | {name: halves[name].astype(np.float32) for name in changing}
    (expected,) = run_model(one_node_model(op_type, same, **HALF_CASES[op_type]), same).values()
    (got,) = run_model(one_node_model(op_type, halves, **HALF_CASES[op_type]), halves).values()
    assert got.dtype == (np.float32 if op_type == "KeypointDecode" else np.float16)
    # One rounding of the result; attention also rounds products on the way.
    tolerance = {"MultiLevelRoiAlign": 1e-3, "GcmAttention": 1e-2, "KeypointDecode": 0.0}[op_type]
    np.testing.assert_allclose(got.astype(np.float32), expected, atol=tolerance, rtol=0)
