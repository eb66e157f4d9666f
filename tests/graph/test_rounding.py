"""ONNX Runtime on the CPU rounds to FP16 where it is made to."""

from __future__ import annotations

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from onnx import TensorProto, helper, numpy_helper

from gcpose_trt.graph.rounding import keep_rounding


def chain(kind: int) -> onnx.ModelProto:
    """y = (x + e) - 1 in the given type."""
    dtype = helper.tensor_dtype_to_np_dtype(kind)
    constants = {"e": 1e-4, "one": 1.0}
    nodes = [helper.make_node("Add", ["x", "e"], ["a"]), helper.make_node("Sub", ["a", "one"], ["y"])]
    x, y = (helper.make_tensor_value_info(name, kind, [2]) for name in "xy")
    values = [numpy_helper.from_array(np.array([value], dtype), name) for name, value in constants.items()]
    graph = helper.make_graph(nodes, "chain", [x], [y], values)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8)


def run(model: onnx.ModelProto, x: np.ndarray) -> np.ndarray:
    session = ort.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    found: np.ndarray = session.run(None, {"x": x})[0]
    return found


@pytest.mark.parametrize("start", [1.0, 2.0, 1000.0])
def test_every_step_is_rounded(start: float) -> None:
    model = chain(TensorProto.FLOAT16)
    assert keep_rounding(model) == 2
    onnx.checker.check_model(model, full_check=True)
    x = np.full(2, start, np.float16)
    # NumPy rounds every step.
    np.testing.assert_array_equal(run(model, x), x + np.float16(1e-4) - np.float16(1))


def test_single_precision_is_left_alone() -> None:
    model = chain(TensorProto.FLOAT)
    before = model.SerializeToString()
    assert keep_rounding(model) == 0
    assert model.SerializeToString() == before
