"""Q/DQ by a calibration with FP16 between: types, scales, opset, and that it computes what the FP32 remainder does."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

onnx = pytest.importorskip("onnx", reason="onnx is not installed; pip install 'gcpose-trt[export]'")
from onnx import TensorProto, helper, numpy_helper  # noqa: E402

from gcpose_trt.engine.calibration import find_calibration  # noqa: E402
from gcpose_trt.errors import GcposeError  # noqa: E402
from gcpose_trt.graph.emulation import emulate_float16  # noqa: E402
from gcpose_trt.graph.int8 import Int8Options  # noqa: E402
from gcpose_trt.graph.precision import to_float16  # noqa: E402
from gcpose_trt.graph.prepare import PreparedGraphs, prepare_bundle  # noqa: E402
from gcpose_trt.graph.scales import round_scales  # noqa: E402
from gcpose_trt.graph.tensors import infer  # noqa: E402
from gcpose_trt.quantization.record import CalibrationRecord  # noqa: E402
from tests.graph.conftest import run_model  # noqa: E402

SIZE = (96, 160)


@pytest.fixture(scope="module")
def options() -> Int8Options:
    return Int8Options(CalibrationRecord.load(find_calibration(None, prepare_bundle("mobile").info)))


def prepare(options: Int8Options, **changes: Any) -> PreparedGraphs:
    return prepare_bundle("mobile", size=SIZE, batch=1, max_people=5, precision="int8", int8=options, **changes)


def test_what_is_not_int8_is_fp16(options: Int8Options) -> None:
    prepared = prepare(options, functions=False)
    for name, model in (("detector", prepared.detector), ("pose", prepared.pose)):
        assert next(entry.version for entry in model.opset_import if entry.domain == "") == 19
        known = infer(model)
        makers = {out: node for node in model.graph.node for out in node.output}
        scales = {tensor.name: numpy_helper.to_array(tensor) for tensor in model.graph.initializer}
        wide = []
        for node in model.graph.node:
            if node.op_type in ("Conv", "ConvTranspose", "Gemm", "MatMul"):
                kinds = {known[value].kind for value in (*node.input, *node.output) if value}
                assert len(kinds) == 1
                wide += [node.op_type] if kinds != {TensorProto.FLOAT16} else []
            if node.op_type == "DequantizeLinear":
                assert known[node.output[0]].kind == TensorProto.FLOAT16
                maker = makers.get(node.input[0])
                if maker is not None:  # the scale on the way in is the one on the way out
                    assert float(scales[maker.input[1]]) == float(scales[node.input[1]]) > 0
            if node.op_type == "QuantizeLinear":
                assert known[node.input[0]].kind == known[node.input[1]].kind
        assert wide == (["MatMul", "MatMul"] if name == "pose" else [])  # the decode blurs in FP32
        assert prepared.int8[name].layers
        assert not any(node.op_type == "Cast" and node.output[0].endswith(".dequantized") for node in model.graph.node)
    p2 = next(value for value in prepared.pose.graph.input if value.name == "p2")
    assert p2.type.tensor_type.elem_type == TensorProto.FLOAT16


def test_fp16_changes_little(options: Int8Options) -> None:
    rng = np.random.default_rng(0)
    image = rng.integers(0, 256, (1, SIZE[0] // 16, SIZE[1] // 16, 3)).astype(np.uint8).repeat(16, 1).repeat(16, 2)
    feeds = {"image": image, "image_size": np.array([SIZE])}
    half = prepare(options).detector
    emulate_float16(half)
    full = prepare(Int8Options(options.calibration, half=False)).detector
    got, expected = run_model(half, feeds), run_model(full, feeds)
    error = np.abs(got["p2"].astype(np.float32) - expected["p2"])
    # A rounding that falls to the other side moves a value by one INT8 step, no more than a small part of them.
    spread = float(np.abs(expected["p2"]).max())
    assert 0 < np.median(error) < 0.01 * spread
    assert np.mean(error) < 0.02 * spread


def test_scales_below_half_precisions_range() -> None:
    weights = np.array([[[[100]]], [[[-127]]], [[[50]]]], np.int8)
    before = np.array([3e-8, 4.1e-6, 0.01], np.float32)
    constants = {"w": weights, "s": before, "z": np.zeros(3, np.int8)}
    node = helper.make_node("DequantizeLinear", ["w", "s", "z"], ["d"], axis=0)
    conv = helper.make_node("Conv", ["x", "d"], ["y"])
    graph = helper.make_graph(
        [node, conv],
        "scales",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 1, 4, 4])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 3, 4, 4])],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    assert round_scales(model) == 1
    arrays = {tensor.name: numpy_helper.to_array(tensor) for tensor in model.graph.initializer}
    after = arrays["s"]
    np.testing.assert_array_equal(after, after.astype(np.float16).astype(np.float32))
    assert (after > 0).all()
    np.testing.assert_allclose(after[2], before[2], rtol=1e-3)
    kept = arrays["w"][:, 0, 0, 0] * after
    wanted = weights[:, 0, 0, 0] * before
    assert (np.abs(kept - wanted) <= 0.5001 * after + 1e-3 * np.abs(wanted)).all()
    to_float16(model)
    known = infer(model)
    assert known["d"].kind == TensorProto.FLOAT16


def test_refusals(options: Int8Options) -> None:
    with pytest.raises(GcposeError, match="no layer or block of the model is called 'nobody'"):
        prepare(Int8Options(options.calibration, exclude=("nobody",)))
    prepared = prepare(Int8Options(options.calibration, half=False))
    with pytest.raises(GcposeError, match="quantized already"):
        prepare_bundle((prepared.detector, prepared.pose), precision="int8", int8=options)
