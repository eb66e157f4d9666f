"""Scales, integers, and constants moved into weights: what numbers come out."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

onnx = pytest.importorskip("onnx", reason="onnx is not installed; pip install 'gcpose-trt[export]'")
from gcpose_trt.errors import GcposeError  # noqa: E402
from gcpose_trt.graph import qdq  # noqa: E402
from gcpose_trt.graph.qdq.affine import absorb_affine  # noqa: E402
from tests.graph.conftest import Arrays, graph_of, run_model  # noqa: E402
from tests.graph.qdq.conftest import SeenRanges  # noqa: E402

FLOAT = onnx.TensorProto.FLOAT
node = onnx.helper.make_node


def conv_graph(kind: str, seed: int, channels: tuple[int, int], factor: float = 1.0) -> tuple[onnx.ModelProto, Arrays]:
    """One weighted layer with a bias and a Relu behind it, and an input for it."""
    rng = np.random.default_rng(seed)
    into, out = channels
    shapes = {"Conv": (out, into, 3, 3), "ConvTranspose": (into, out, 2, 2), "Gemm": (out, into)}
    depthwise = kind == "Depthwise"
    shape = (into, 1, 3, 3) if depthwise else shapes[kind]
    op_type = "Conv" if depthwise else kind
    axis = 1 if kind == "ConvTranspose" else 0
    weight = (
        rng.normal(size=shape)
        * factor
        * 10.0 ** rng.uniform(-2, 1, [n if i == axis else 1 for i, n in enumerate(shape)])
    )
    constants = {"model.layer.weight": weight.astype(np.float32)}
    constants["model.layer.bias"] = rng.normal(size=shape[axis]).astype(np.float32)
    options = {"transB": 1} if kind == "Gemm" else {"group": into} if depthwise else {}
    image = [2, into] if kind == "Gemm" else [1, into, 6, 6]
    result = [None] * len(image)
    nodes = [node(op_type, ["x", *constants], ["y"], **options), node("Relu", ["y"], ["z"])]
    model = graph_of(nodes, {"x": (FLOAT, image)}, {"z": (FLOAT, result)}, constants)
    return model, {"x": rng.normal(size=image).astype(np.float32)}


@pytest.mark.parametrize("kind", ["Conv", "Depthwise", "ConvTranspose", "Gemm"])
@pytest.mark.parametrize("target", qdq.TARGETS)
@settings(deadline=None, derandomize=True, max_examples=6)
@given(seed=st.integers(0, 1000), channels=st.tuples(st.integers(1, 5), st.integers(1, 5)))
def test_one_layer(kind: str, target: str, seed: int, channels: tuple[int, int]) -> None:
    model, feeds = conv_graph(kind, seed, channels)
    expected = run_model(model, feeds)["z"]
    amax = float(np.abs(feeds["x"]).max())
    ranges = SeenRanges({("detector", "x"): (-amax, amax), ("detector", "z"): (0.0, float(expected.max()))})
    report = qdq.insert(model, "detector", ranges, target=target, method="max")
    onnx.checker.check_model(model, full_check=True)
    assert report.layers == ("layer",)
    found = run_model(model, feeds)["z"]
    stored = {tensor.name: onnx.numpy_helper.to_array(tensor) for tensor in model.graph.initializer}
    weights, scales = stored["model.layer.weight.int8"], stored["model.layer.weight.scale"]
    axis = 1 if kind == "ConvTranspose" else 0
    assert weights.dtype == np.int8
    assert scales.shape == (weights.shape[axis],)
    # Half a step of an input times every weight, and half a step of every weight times the largest input.
    fan_in = weights.size / weights.shape[axis]
    step = scales.max() * fan_in * (127 * amax / 127 + amax)
    assert np.abs(found - expected).max() <= step + expected.max() / 255 + 1e-6


def test_a_channel_of_zeros_and_a_range_of_zeros() -> None:
    model, feeds = conv_graph("Conv", 3, (2, 3))
    weight = onnx.numpy_helper.to_array(model.graph.initializer[0]).copy()
    weight[1] = 0
    model.graph.initializer[0].CopyFrom(onnx.numpy_helper.from_array(weight, "model.layer.weight"))
    expected = run_model(model, feeds)["z"]
    for target in qdq.TARGETS:
        copy = onnx.ModelProto()
        copy.CopyFrom(model)
        seen = {("detector", "x"): (0.0, 0.0), ("detector", "z"): (0.0, float(expected.max()))}
        qdq.insert(copy, "detector", SeenRanges(seen), target=target, method="max")
        found = run_model(copy, {"x": np.zeros_like(feeds["x"])})["z"]
        bias = np.maximum(onnx.numpy_helper.to_array(model.graph.initializer[1]), 0).reshape(1, 3, 1, 1)
        np.testing.assert_allclose(found, np.broadcast_to(bias, found.shape), atol=expected.max() / 255)


def test_weights_that_are_not_finite() -> None:
    model, _ = conv_graph("Conv", 3, (2, 3), factor=np.inf)
    ranges = SeenRanges({("detector", name): (-1.0, 1.0) for name in "xz"})
    with pytest.raises(GcposeError, match=r"model\.layer\.weight are not finite"):
        qdq.insert(model, "detector", ranges)


@settings(deadline=None, derandomize=True, max_examples=6)
@given(seed=st.integers(0, 1000))
def test_factors_and_shifts_move_into_weights_that_others_share(seed: int) -> None:
    rng = np.random.default_rng(seed)
    arrays = {
        "w": rng.normal(size=(4, 3, 3, 3)).astype(np.float32),
        "factor": rng.normal(size=(1, 4, 1, 1)).astype(np.float32),
        "shift": rng.normal(size=(4, 1, 1)).astype(np.float32),
    }
    nodes = [
        node("Conv", ["x", "w"], ["a"]),
        node("Mul", ["a", "factor"], ["b"]),
        node("Add", ["shift", "b"], ["c"]),
        node("Conv", ["x", "w"], ["d"]),
        node("Add", ["c", "d"], ["y"]),  # no constant: stays
    ]
    model = graph_of(nodes, {"x": (FLOAT, [1, 3, 5, 5])}, {"y": (FLOAT, [1, 4, 3, 3])}, arrays)
    feeds = {"x": rng.normal(size=(1, 3, 5, 5)).astype(np.float32)}
    expected = run_model(model, feeds)["y"]
    assert absorb_affine(model) == 2
    onnx.checker.check_model(model, full_check=True)
    assert [one.op_type for one in model.graph.node] == ["Conv", "Conv", "Add"]
    np.testing.assert_allclose(run_model(model, feeds)["y"], expected, rtol=1e-4, atol=1e-4)
