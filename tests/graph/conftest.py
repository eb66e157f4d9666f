"""Small models of `gcpose` ops and others, run by ONNX Runtime."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

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
    "OksDecode": ["keypoints"],
}
_RANKS = {"pooled": 4, "indices": 2, "count": 1, "out": 4, "keypoints": 3}
_INTEGERS = {"indices", "count"}


def _element_type(name: str, array: NDArray[Any] | None = None) -> int:
    if array is not None:
        return int(onnx.helper.np_dtype_to_tensor_dtype(array.dtype))
    return int(onnx.TensorProto.INT64 if name in _INTEGERS else onnx.TensorProto.FLOAT)


def _output_type(name: str, inputs: Arrays) -> int:
    """Pooled features and attention are of the type of what they come from."""
    source = {"pooled": "feature_0", "out": "q"}.get(name)
    return _element_type(name, inputs[source] if source else None)


def one_node_model(op_type: str, inputs: Arrays, **attributes: Any) -> onnx.ModelProto:
    """Return a checked model with one node, every dimension dynamic."""
    helper = onnx.helper
    node = helper.make_node(op_type, list(inputs), OUTPUTS[op_type], domain="gcpose", **attributes)
    graph = helper.make_graph(
        [node],
        op_type,
        [helper.make_tensor_value_info(k, _element_type(k, v), [None] * v.ndim) for k, v in inputs.items()],
        [helper.make_tensor_value_info(k, _output_type(k, inputs), [None] * _RANKS[k]) for k in OUTPUTS[op_type]],
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
        kinds = [str(array.dtype) for array in inputs.values()]
        key = (op_type, *kinds, repr(sorted(attributes.items())))
        if key not in sessions:
            options = onnxruntime.SessionOptions()
            options.intra_op_num_threads = 1
            model = one_node_model(op_type, inputs, **attributes)
            sessions[key] = onnxruntime.InferenceSession(model.SerializeToString(), options)
        return list(sessions[key].run(None, inputs))

    return run


@pytest.fixture(scope="session")
def tiny_exported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of a small seeded network of the r50's structure, as exported, sizes dynamic."""
    pytest.importorskip("torch", reason="torch is not installed; pip install 'gcpose-trt[export]'")
    from tests.support.exports import export_tiny

    return export_tiny(tmp_path_factory).folder


def open_session(model: onnx.ModelProto) -> onnxruntime.InferenceSession:
    """Open a model on one thread."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 4
    return onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])


def run_model(model: onnx.ModelProto, feeds: Arrays) -> Arrays:
    """Run a model once; return its outputs by name."""
    session = open_session(model)
    return dict(zip([value.name for value in session.get_outputs()], session.run(None, feeds), strict=True))


def graph_of(nodes: list[Any], inputs: Any, outputs: Any, constants: Arrays | None = None) -> onnx.ModelProto:
    """Return a checked opset-18 model.

    Args:
        nodes: of the graph.
        inputs: name to (element type, shape).
        outputs: name to (element type, shape).
        constants: initializers.
    """
    declare = onnx.helper.make_tensor_value_info
    graph = onnx.helper.make_graph(
        nodes,
        "graph",
        [declare(name, *kind) for name, kind in inputs.items()],
        [declare(name, *kind) for name, kind in outputs.items()],
        [onnx.numpy_helper.from_array(array, name) for name, array in (constants or {}).items()],
    )
    opsets = [onnx.helper.make_opsetid("", 18), onnx.helper.make_opsetid("gcpose", 1)]
    model = onnx.helper.make_model(graph, opset_imports=opsets, ir_version=8)
    attach_functions(model)
    onnx.checker.check_model(model, full_check=True)
    return model
