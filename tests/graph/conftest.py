"""A one-node model of a `gcpose` op, run by ONNX Runtime."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

onnx = pytest.importorskip("onnx", reason="onnx is not installed; pip install 'gcpose-trt[export]'")
import onnxruntime  # noqa: E402
from numpy.typing import NDArray  # noqa: E402

from gcpose_trt.graph.functions import attach_functions  # noqa: E402

Arrays = dict[str, NDArray[Any]]
Runner = Callable[..., list[NDArray[Any]]]
OUTPUTS = {
    "MultiLevelRoiAlign": ["pooled"],
    "Nms": ["indices", "count"],
    "GcmAttention": ["out"],
    "KeypointDecode": ["keypoints"],
}
_RANKS = {"pooled": 4, "indices": 2, "count": 1, "out": 4, "keypoints": 3}
_INTEGERS = {"indices", "count"}


def _element_type(name: str, array: NDArray[Any] | None = None) -> int:
    integer = name in _INTEGERS if array is None else array.dtype == np.int64
    return onnx.TensorProto.INT64 if integer else onnx.TensorProto.FLOAT


def one_node_model(op_type: str, inputs: Arrays, **attributes: Any) -> onnx.ModelProto:
    """Return a checked model with one node, every dimension dynamic."""
    helper = onnx.helper
    node = helper.make_node(op_type, list(inputs), OUTPUTS[op_type], domain="gcpose", **attributes)
    graph = helper.make_graph(
        [node],
        op_type,
        [helper.make_tensor_value_info(k, _element_type(k, v), [None] * v.ndim) for k, v in inputs.items()],
        [helper.make_tensor_value_info(k, _element_type(k), [None] * _RANKS[k]) for k in OUTPUTS[op_type]],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8)
    attach_functions(model)
    onnx.checker.check_model(model, full_check=True)
    return model


@pytest.fixture(scope="session")
def run_op() -> Runner:
    """A function (op_type, inputs, **attributes) -> outputs; sessions are kept, for hypothesis calls it often."""
    sessions: dict[Any, onnxruntime.InferenceSession] = {}

    def run(op_type: str, inputs: Arrays, **attributes: Any) -> list[NDArray[Any]]:
        key = (op_type, len(inputs), repr(sorted(attributes.items())))
        if key not in sessions:
            options = onnxruntime.SessionOptions()
            options.intra_op_num_threads = 1
            model = one_node_model(op_type, inputs, **attributes)
            sessions[key] = onnxruntime.InferenceSession(model.SerializeToString(), options)
        return list(sessions[key].run(None, inputs))

    return run
