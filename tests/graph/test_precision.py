"""The cast pass: which nodes are FP16, where the casts are, what is refused; and the graph that rounds as FP16 does."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

onnx = pytest.importorskip("onnx", reason="onnx is not installed; pip install 'gcpose-trt[export]'")
import onnxruntime  # noqa: E402
from hypothesis import given, settings  # noqa: E402
from hypothesis import strategies as st  # noqa: E402
from onnx import TensorProto, helper  # noqa: E402

from gcpose_trt.errors import GcposeError  # noqa: E402
from gcpose_trt.graph.batch_norm import fold_batch_norms  # noqa: E402
from gcpose_trt.graph.emulation import emulate_float16  # noqa: E402
from gcpose_trt.graph.functions import inline_native  # noqa: E402
from gcpose_trt.graph.precision import Float16Report, to_float16  # noqa: E402
from gcpose_trt.graph.prepare import PreparedGraphs, prepare_bundle  # noqa: E402
from gcpose_trt.graph.shapes import fold  # noqa: E402
from gcpose_trt.graph.tensors import attributes_of, infer  # noqa: E402
from tests.graph.conftest import graph_of, run_model  # noqa: E402

FLOAT, HALF = TensorProto.FLOAT, TensorProto.FLOAT16
ALWAYS_FULL = {"Exp", "Log", "Softmax", "TopK", "Sqrt", "Div", "Sub", "Pow", "ReduceSum", "Nms", "KeypointDecode"}
ALWAYS_FULL |= {"OksDecode"}
ALWAYS_HALF = {"Conv", "ConvTranspose", "Gemm", "MatMul", "GcmAttention", "MultiLevelRoiAlign"}
RNG = np.random.default_rng(0)


@pytest.fixture(scope="module", params=["mobile", "tiny"])
def prepared(request: Any) -> PreparedGraphs:
    """A model in FP16: the shipped one, and one of the r50's structure; static and dynamic."""
    if request.param == "mobile":
        return prepare_bundle("mobile", size=(96, 128), batch=1, precision="fp16")
    return prepare_bundle(request.getfixturevalue("tiny_exported"), precision="fp16")


def graphs(prepared: PreparedGraphs) -> list[tuple[Any, Float16Report]]:
    return [(prepared.detector, prepared.float16["detector"]), (prepared.pose, prepared.float16["pose"])]


def test_types_go_together(prepared: PreparedGraphs) -> None:
    """ONNX's own type check passes, function bodies included."""
    for model, _ in graphs(prepared):
        onnx.checker.check_model(model, full_check=True)
        onnx.shape_inference.infer_shapes(model, check_type=True, strict_mode=True)


def test_only_the_shared_map_changes_type(prepared: PreparedGraphs) -> None:
    for model, _ in graphs(prepared):
        for value in [*model.graph.input, *model.graph.output]:
            kind = value.type.tensor_type.elem_type
            assert (kind == HALF) == (value.name == "p2"), value.name


def test_what_is_half_and_what_is_not(prepared: PreparedGraphs) -> None:
    for model, report in graphs(prepared):
        known = infer(model)
        for node in model.graph.node:
            kinds = {known[name].kind for name in [*node.input, *node.output] if name in known} & {FLOAT, HALF}
            if node.op_type in ALWAYS_FULL:
                assert HALF not in kinds, node.output[0]
            elif node.op_type in ALWAYS_HALF:
                assert known[node.output[0]].kind == HALF, node.output[0]
                assert FLOAT not in kinds or node.op_type == "MultiLevelRoiAlign", node.output[0]
        assert not ALWAYS_FULL & set(report.half)
        assert not ALWAYS_HALF & set(report.full)
        assert sum(report.full.values()) >= sum(len(island) > 0 for island in report.islands) > 0


def test_casts_are_where_the_type_changes(prepared: PreparedGraphs) -> None:
    for model, report in graphs(prepared):
        known = infer(model)
        makers = {name: node for node in model.graph.node for name in node.output}
        floating = [
            node
            for node in model.graph.node
            if node.op_type == "Cast" and {known[node.input[0]].kind, attributes_of(node)["to"]} == {FLOAT, HALF}
        ]
        assert len(floating) == report.casts
        assert len({(node.input[0], attributes_of(node)["to"]) for node in floating}) == len(floating), "none doubled"
        for node in floating:
            maker = makers.get(node.input[0])
            assert maker is None or maker not in floating, "no cast of a cast"


def test_normalisation_and_decoding_are_islands() -> None:
    prepared = prepare_bundle("mobile", size=(96, 128), batch=1, precision="fp16")
    known = infer(prepared.detector)
    nodes = list(prepared.detector.graph.node)
    first = next(index for index, node in enumerate(nodes) if node.op_type == "Conv")
    kinds = [known[node.output[0]].kind for node in nodes[:first]]
    assert kinds.count(HALF) == 1, "the image is halved once, right before the first convolution"
    for node in nodes:
        if node.op_type in ("Max", "Min", "Where", "Less", "Greater") or node.domain == "gcpose":
            boxes = [name for name in [*node.input[:2], *node.output] if name in known and known[name].shape]
            assert all(known[name].kind != HALF for name in boxes if known[name].shape[-1] == 4), node.output[0]


def small(weight: float = 1.0) -> Any:
    """Convolution, batch normalisation, relu, softmax: (1,3,8,8) to (1,4,8,8)."""
    nodes = [
        helper.make_node("Conv", ["x", "w"], ["conv"], pads=[1, 1, 1, 1]),
        helper.make_node("BatchNormalization", ["conv", "scale", "bias", "mean", "var"], ["norm"], epsilon=1e-3),
        helper.make_node("Relu", ["norm"], ["relu"]),
        helper.make_node("Conv", ["relu", "w2"], ["logits"]),
        helper.make_node("Softmax", ["logits"], ["y"], axis=1),
    ]
    constants = {
        "w": (weight * RNG.normal(size=(5, 3, 3, 3))).astype(np.float32),
        "w2": RNG.normal(size=(4, 5, 1, 1)).astype(np.float32),
        "scale": np.linspace(0.5, 2, 5, dtype=np.float32),
        "bias": np.linspace(-1, 1, 5, dtype=np.float32),
        "mean": np.linspace(-2, 3, 5, dtype=np.float32),
        "var": np.array([1e-9, 0.1, 1, 5, 20], np.float32),  # the first is zero in FP16
    }
    return graph_of(nodes, {"x": (FLOAT, [1, 3, 8, 8])}, {"y": (FLOAT, [1, 4, 8, 8])}, constants)


def test_batch_normalisation_in_double() -> None:
    model = small()
    x = RNG.normal(size=(1, 3, 8, 8)).astype(np.float32)
    expected = run_model(model, {"x": x})["y"]
    assert fold_batch_norms(model) == 1
    assert "BatchNormalization" not in {node.op_type for node in model.graph.node}
    np.testing.assert_allclose(run_model(model, {"x": x})["y"], expected, atol=1e-5)


def test_small_graph() -> None:
    model = small()
    report = to_float16(model)
    assert report.half == {"Conv": 2, "Mul": 1, "Add": 1, "Relu": 1}
    assert report.full == {"Softmax": 1}
    assert report.islands == (("y",),)
    assert report.casts == 2
    assert report.tensors == 4
    assert "5 nodes in FP16, 1 in FP32 (1 islands), 2 casts, 4 tensors converted" in str(report)
    onnx.checker.check_model(model, full_check=True)


def _decoding_model() -> Any:
    """A convolution whose result is decoded."""
    nodes = [
        helper.make_node("Conv", ["x", "w"], ["logits"]),
        helper.make_node("OksDecode", ["logits", "boxes"], ["keypoints"], domain="gcpose", spread=[0.03, 0.1]),
    ]
    inputs = {"x": (FLOAT, ["n", 3, 56, 56]), "boxes": (FLOAT, ["n", 4])}
    weights = {"w": np.random.default_rng(3).normal(size=(2, 3, 1, 1)).astype(np.float32)}
    return graph_of(nodes, inputs, {"keypoints": (FLOAT, ["n", 2, 3])}, weights)


@pytest.mark.parametrize("inlined_first", [False, True])
def test_the_decode_is_full_whether_inlined_before_or_after(inlined_first: bool) -> None:
    node, model = _decoding_model(), _decoding_model()
    to_float16(node)
    for step in (inline_native, to_float16) if inlined_first else (to_float16, inline_native):
        step(model)
        fold(model)
    assert {n.op_type for n in model.graph.node} >= {"MatMul", "ArgMax", "GatherND", "Log"}
    known = infer(model)
    halves = {n.op_type for n in model.graph.node if any(known[name].kind == HALF for name in n.output)}
    assert halves == {"Conv", "Cast"}  # of the picture, before it
    rng = np.random.default_rng(5)
    boxes = np.array([[1000.25, 3, 1100, 80], [0, 0, 200, 300]], np.float32)
    feeds = {"x": rng.normal(size=(2, 3, 56, 56)).astype(np.float32), "boxes": boxes}
    expected, got = (run_model(m, feeds)["keypoints"] for m in (node, model))
    np.testing.assert_allclose(got, expected, atol=1e-3)


def test_kept_nodes_become_islands() -> None:
    model = small()
    report = to_float16(model, keep=["logits"])
    assert report.half["Conv"] == 1
    # What only the island reads goes with it.
    assert report.full == {"Conv": 1, "Softmax": 1, "Relu": 1, "Add": 1, "Mul": 1}
    assert report.casts == 2
    assert {tensor.name: tensor.data_type for tensor in model.graph.initializer}["w2"] == FLOAT
    with pytest.raises(GcposeError, match="no node of the graph makes 'nothing'"):
        to_float16(small(), keep=["nothing"])


def test_weights_beyond_the_range() -> None:
    with pytest.raises(GcposeError, match=r"^w has values up to .*, FP16 ends at 65504; keep .*") as caught:
        to_float16(small(weight=1e5))
    assert "\n" not in str(caught.value)


def test_weights_below_the_normal_range_are_told() -> None:
    report = to_float16(small(weight=1e-5))
    assert report.subnormal["w"] > 0.9
    assert "1 with weights below FP16's normal range (most in w:" in str(report)


def test_the_largest_number_is_in_range() -> None:
    model = small()
    tensor = next(tensor for tensor in model.graph.initializer if tensor.name == "w2")
    tensor.CopyFrom(onnx.numpy_helper.from_array(np.full((4, 5, 1, 1), 65504, np.float32), "w2"))
    to_float16(model)
    half = next(onnx.numpy_helper.to_array(t) for t in model.graph.initializer if t.name == "w2.float16")
    assert half.dtype == np.float16
    assert np.isfinite(half).all()


def test_nothing_to_cast_is_an_error() -> None:
    nodes = [helper.make_node("Relu", ["x"], ["y"])]
    model = graph_of(nodes, {"x": (FLOAT, [2])}, {"y": (FLOAT, [2])})
    with pytest.raises(GcposeError, match="no convolution or matrix product in FP32 to cast"):
        to_float16(model)


def test_casting_twice_is_an_error() -> None:
    model = small()
    to_float16(model)
    with pytest.raises(GcposeError, match="no convolution or matrix product in FP32 to cast"):
        to_float16(model)


def rounded(array: Any) -> Any:
    return np.asarray(array, np.float32).astype(np.float16).astype(np.float32)


@settings(max_examples=25, deadline=None, derandomize=True)
@given(ops=st.lists(st.sampled_from(["MatMul", "Add", "Mul", "Relu", "Sigmoid"]), max_size=7), seed=st.integers(0, 999))
def test_emulation_rounds_after_every_node(ops: list[str], seed: int) -> None:
    """ONNX Runtime gives what NumPy gives, with a rounding to FP16 after each node."""
    rng = np.random.default_rng(seed)
    x, w, c = (rng.normal(size=(4, 4)).astype(np.float32) for _ in range(3))
    nodes, value = [helper.make_node("MatMul", ["x", "w"], ["v0"])], rounded(rounded(x) @ rounded(w))
    for index, op_type in enumerate([*ops, "MatMul"]):
        one_input = op_type in ("Relu", "Sigmoid")
        other = "w" if op_type == "MatMul" else "c"
        nodes.append(helper.make_node(op_type, [f"v{index}", *([] if one_input else [other])], [f"v{index + 1}"]))
        constant = rounded(w if other == "w" else c)
        exact = {
            "MatMul": lambda v, k=constant: v @ k,
            "Add": lambda v, k=constant: v + k,
            "Mul": lambda v, k=constant: v * k,
            "Relu": lambda v: np.maximum(v, 0),
            "Sigmoid": lambda v: 1 / (1 + np.exp(-v)),
        }[op_type](value)
        value = rounded(exact)
    nodes.append(helper.make_node("Identity", [nodes[-1].output[0]], ["y"]))
    shape = (FLOAT, [4, 4])
    model = graph_of(nodes, {"x": shape}, {"y": shape}, {"w": w, "c": c})
    to_float16(model)
    emulate_float16(model)
    got = run_model(model, {"x": x})["y"]
    np.testing.assert_array_equal(got, rounded(got), err_msg="every result is an FP16 number")
    # The order of a sum's terms may tip a rounding; an unrounded chain would differ nearly everywhere.
    scale = np.abs(value).max() + 1e-3
    assert np.mean(np.abs(got - value) <= 1e-6 * scale) >= 0.7
    np.testing.assert_allclose(got, value, atol=4e-3 * scale)


def test_emulation_has_no_half_arithmetic(prepared: PreparedGraphs) -> None:
    for model, report in graphs(prepared):
        copy = onnx.ModelProto()
        copy.CopyFrom(model)
        assert emulate_float16(copy) > report.half["Conv"] * 0.9
        onnx.checker.check_model(copy, full_check=True)
        known = infer(copy)
        for node in copy.graph.node:
            if node.op_type != "Cast":
                assert all(known[name].kind != HALF for name in node.output if name in known), node.output[0]
        assert [v.type.tensor_type.elem_type for v in copy.graph.output] == [
            v.type.tensor_type.elem_type for v in model.graph.output
        ]


@pytest.mark.slow
def test_mobile_in_half_precision_on_the_clip() -> None:
    """People of the sample clip: the same ones, with boxes, scores and nearly all joints in the same place."""
    from gcpose_trt.runtime.estimator import PoseEstimator
    from gcpose_trt.video.sampling import read_frames

    frames = read_frames(None)[1:4]
    with PoseEstimator("mobile", threads=1) as full, PoseEstimator("mobile", threads=1, precision="fp16") as half:
        pairs = [(full(frame), half(frame)) for frame in frames]
    joints = []
    for a, b in pairs:
        assert len(a) == len(b)
        if not len(a):
            continue
        order = [int(np.abs(b.boxes - box).sum(1).argmin()) for box in a.boxes]
        assert sorted(order) == list(range(len(a)))
        np.testing.assert_allclose(b.boxes[order], a.boxes, atol=0.01 * np.ptp(a.boxes))
        np.testing.assert_allclose(b.scores[order], a.scores, atol=0.01)
        sure = a.keypoints[..., 2] > 0.3
        joints += np.abs(b.keypoints[order] - a.keypoints)[..., :2].max(-1)[sure].tolist()
        assert not np.array_equal(a.scores, b.scores[order]), "it did run in half precision"
    assert len(joints) > 15
    assert np.median(joints) < 0.5
    assert np.mean(np.array(joints) > 3) < 0.02


def test_half_is_smaller() -> None:
    full, half = (prepare_bundle("mobile", precision=name).detector.ByteSize() for name in ("fp32", "fp16"))
    assert half < 0.52 * full


def test_onnx_runtime_keeps_the_roundings(tmp_path: Path) -> None:
    """Its optimizer takes casts away where it can; none of these."""
    model = prepare_bundle("mobile", size=(96, 128), batch=1, precision="fp16").detector
    rounded_values = emulate_float16(model)
    options = onnxruntime.SessionOptions()
    options.optimized_model_filepath = str(tmp_path / "optimized.onnx")
    options.log_severity_level = 4
    onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    optimized = onnx.load(tmp_path / "optimized.onnx")
    casts = [attributes_of(node)["to"] for node in optimized.graph.node if node.op_type == "Cast"]
    assert casts.count(HALF) == rounded_values + 1  # p2 itself leaves the graph in FP16
