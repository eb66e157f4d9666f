"""Fixing input shapes, folding, and the rewrites on the way."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

onnx = pytest.importorskip("onnx", reason="onnx is not installed; pip install 'gcpose-trt[export]'")
from hypothesis import given, settings  # noqa: E402
from hypothesis import strategies as st  # noqa: E402
from onnx import TensorProto, helper  # noqa: E402

from gcpose_trt.errors import GcposeError  # noqa: E402
from gcpose_trt.graph.folding import LARGEST  # noqa: E402
from gcpose_trt.graph.shapes import fix_shapes, fold, input_dimensions  # noqa: E402
from gcpose_trt.graph.tensors import infer  # noqa: E402
from tests.graph.conftest import graph_of, run_model  # noqa: E402

FLOAT, INT64, UINT8, BOOL = TensorProto.FLOAT, TensorProto.INT64, TensorProto.UINT8, TensorProto.BOOL


def flattening() -> Any:
    """(batch, 6, width) to (batch, 6 width), by a computed shape."""
    nodes = [
        helper.make_node("Shape", ["x"], ["batch"], start=0, end=1),
        helper.make_node("Shape", ["x"], ["width"], start=2, end=3),
        helper.make_node("Mul", ["width", "six"], ["length"]),
        helper.make_node("Concat", ["batch", "length"], ["shape"], axis=0),
        helper.make_node("Reshape", ["x", "shape"], ["y"]),
    ]
    inputs, outputs = {"x": (FLOAT, ["batch", 6, "width"])}, {"y": (FLOAT, ["batch", "length"])}
    return graph_of(nodes, inputs, outputs, {"six": np.array([6])})


def shape_of(value: Any) -> list[Any]:
    return [dim.dim_value or dim.dim_param for dim in value.type.tensor_type.shape.dim]


def test_shape_arithmetic_folds_away() -> None:
    model = flattening()
    fix_shapes(model, {"batch": 2, "width": 5})
    assert fold(model) == 4
    assert [node.op_type for node in model.graph.node] == ["Reshape"]
    assert shape_of(model.graph.input[0]) == [2, 6, 5]
    assert shape_of(model.graph.output[0]) == [2, 30]
    x = np.arange(60, dtype=np.float32).reshape(2, 6, 5)
    np.testing.assert_array_equal(run_model(model, {"x": x})["y"], x.reshape(2, 30))


def test_what_stays_dynamic_stays_computed() -> None:
    model = flattening()
    fix_shapes(model, {"width": 5})
    fold(model)
    x = np.arange(90, dtype=np.float32).reshape(3, 6, 5)
    np.testing.assert_array_equal(run_model(model, {"x": x})["y"], x.reshape(3, 30))


def test_metadata_survives() -> None:
    model = flattening()
    onnx.helper.set_model_props(model, {"gcpose": "{}"})
    fold(model)
    assert [(entry.key, entry.value) for entry in model.metadata_props] == [("gcpose", "{}")]


def test_large_results_are_computed_when_needed() -> None:
    side = int(LARGEST**0.5) + 1
    nodes = [helper.make_node("Expand", ["one", "shape"], ["blank"]), helper.make_node("Add", ["blank", "x"], ["y"])]
    shape = {"x": (FLOAT, [1]), "y": (FLOAT, [side, side])}
    constants = {"one": np.ones(1, np.float32), "shape": np.array([side, side])}
    model = graph_of(nodes, {"x": shape["x"]}, {"y": shape["y"]}, constants)
    fold(model)
    assert [node.op_type for node in model.graph.node] == ["Expand", "Add"]


@pytest.mark.parametrize(
    ("sizes", "message"),
    [
        ({"depth": 3}, "no input of the graph has a dimension 'depth'; use one of: batch, width"),
        ({"width": 0}, "dimension 'width' cannot be 0"),
    ],
)
def test_fix_shapes_refuses(sizes: dict[str, int], message: str) -> None:
    with pytest.raises(GcposeError) as caught:
        fix_shapes(flattening(), sizes)
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("shapes", "message"),
    [
        ({"y": (1,)}, "no input 'y' of 1 dimensions"),
        ({"x": (1, 6)}, "no input 'x' of 2 dimensions"),
        ({"x": (1, 7, 3)}, "fixed at 6 along axis 1, 7 was asked for"),
    ],
)
def test_input_dimensions_refuses(shapes: dict[str, Any], message: str) -> None:
    with pytest.raises(GcposeError) as caught:
        input_dimensions(flattening(), shapes)
    assert message in str(caught.value)


def test_input_dimensions() -> None:
    assert input_dimensions(flattening(), {"x": (2, None, 7)}) == {"batch": 2, "width": 7}
    nodes = [helper.make_node("Add", ["a", "b"], ["y"])]
    model = graph_of(nodes, {"a": (FLOAT, ["n"]), "b": (FLOAT, ["n"])}, {"y": (FLOAT, ["n"])})
    with pytest.raises(GcposeError, match="cannot be both 3 and 4"):
        input_dimensions(model, {"a": (3,), "b": (4,)})


def test_shapes_that_do_not_go_together() -> None:
    nodes = [
        helper.make_node("Shape", ["x"], ["length"]),
        helper.make_node("Reshape", ["table", "length"], ["part"]),
        helper.make_node("Add", ["part", "x"], ["y"]),
    ]
    constants = {"table": np.zeros(12, np.float32)}
    model = graph_of(nodes, {"x": (FLOAT, ["n", "m"])}, {"y": (FLOAT, ["n", "m"])}, constants)
    fix_shapes(model, {"n": 5, "m": 5})
    with pytest.raises(GcposeError, match=r"do not go together .*choose another size"):
        fold(model)


REWRITES = {
    "blank choice": (
        [
            helper.make_node("Shape", ["x"], ["shape"]),
            helper.make_node("Expand", ["minus", "shape"], ["blank"]),
            helper.make_node("Greater", ["x", "zero"], ["positive"]),
            helper.make_node("Where", ["positive", "x", "blank"], ["y"]),
        ],
        FLOAT,
        {"minus": np.float32(-7), "zero": np.float32(0)},
        ["Greater", "Where"],
    ),
    "integer clip": ([helper.make_node("Clip", ["x", "", "most"], ["y"])], INT64, {"most": np.array(2)}, ["Min"]),
    "integer clip below": ([helper.make_node("Clip", ["x", "least"], ["y"])], INT64, {"least": np.array(2)}, ["Max"]),
    "rows": (
        [
            helper.make_node("Abs", ["x"], ["index"]),
            helper.make_node("Unsqueeze", ["index", "last"], ["column"]),
            helper.make_node("GatherND", ["table", "column"], ["y"]),
        ],
        INT64,
        {"last": np.array([-1]), "table": np.arange(10, dtype=np.int64) ** 2},
        ["Abs", "Gather"],
    ),
    "split": (
        [
            helper.make_node("Split", ["x"], ["a", "b"], axis=1, num_outputs=2),
            helper.make_node("Concat", ["b", "a"], ["y"], axis=1),
        ],
        FLOAT,
        {},
        ["Split", "Concat"],
    ),
    "bytes": (
        [
            helper.make_node("Transpose", ["x"], ["t"], perm=[1, 0]),
            helper.make_node("Cast", ["t"], ["f"], to=FLOAT),
            helper.make_node("Transpose", ["f"], ["y"], perm=[1, 0]),
        ],
        UINT8,
        {},
        ["Cast", "Transpose", "Transpose"],
    ),
    "same type": (
        [helper.make_node("Cast", ["x"], ["c"], to=INT64), helper.make_node("Neg", ["c"], ["y"])],
        INT64,
        {},
        ["Neg"],
    ),
}


@pytest.mark.parametrize("name", list(REWRITES))
def test_rewrites_keep_the_answer(name: str) -> None:
    nodes, kind, constants, left = REWRITES[name]
    dtype = onnx.helper.tensor_dtype_to_np_dtype(kind)
    x = np.array([[0, 1, 2, 3], [4, -1, -3, 2]]).astype(dtype)
    out = FLOAT if name == "bytes" else kind
    shape: list[Any] = [2, 3] if name == "split" else [2, 4]
    x = x[:, : shape[1]]
    model = graph_of(nodes, {"x": (kind, shape)}, {"y": (out, shape)}, constants)
    expected = run_model(model, {"x": x})["y"]
    fold(model)
    assert [node.op_type for node in model.graph.node] == left
    onnx.checker.check_model(model, full_check=True)
    np.testing.assert_array_equal(run_model(model, {"x": x})["y"], expected)


@settings(max_examples=25, deadline=None, derandomize=True)
@given(data=st.data())
def test_random_graphs(data: Any) -> None:
    """Chains of elementwise nodes over the input and constants compute the same after folding."""
    names, nodes = ["x", "c"], []
    for index in range(data.draw(st.integers(1, 8))):
        op_type = data.draw(st.sampled_from(["Add", "Sub", "Mul", "Max"]))
        inputs = [data.draw(st.sampled_from(names)) for _ in range(2)]
        names.append(f"v{index}")
        nodes.append(helper.make_node(op_type, inputs, [names[-1]]))
    nodes.append(helper.make_node("Add", [names[-1], data.draw(st.sampled_from(names))], ["y"]))
    constants = {"c": np.array([[1.5], [-2]], np.float32)}
    model = graph_of(nodes, {"x": (FLOAT, ["n", 3])}, {"y": (FLOAT, [None, None])}, constants)
    x = np.array([[1, -2, 3], [0.5, 4, -1]], np.float32)
    expected = run_model(model, {"x": x})["y"]
    fix_shapes(model, {"n": 2})
    fold(model)
    constant = {tensor.name for tensor in model.graph.initializer}
    assert all(not constant.issuperset(node.input) for node in model.graph.node)
    np.testing.assert_array_equal(run_model(model, {"x": x})["y"], expected)


def test_inference_goes_on_behind_own_nodes() -> None:
    """What lies behind one own node is declared with what is known of it, not with what was before."""
    nms = {"iou_threshold": 0.5, "score_threshold": 0.1, "max_outputs": 4}
    pooling = {"output_size": 3, "strides": [4], "sampling_ratio": 0, "aligned": 1}
    pooling |= {"canonical_level": 4, "canonical_size": 224.0}
    nodes = [
        helper.make_node("Nms", ["boxes", "scores", "groups"], ["index", "count"], domain="gcpose", **nms),
        helper.make_node("Unsqueeze", ["index", "two"], ["column"]),
        helper.make_node("Expand", ["column", "four"], ["grid"]),
        helper.make_node("GatherElements", ["boxes", "grid"], ["kept"], axis=1),
        helper.make_node("Reshape", ["kept", "flat"], ["rois"]),
        helper.make_node("MultiLevelRoiAlign", ["rois", "batch_index", "map"], ["pooled"], domain="gcpose", **pooling),
        helper.make_node("Reshape", ["pooled", "rows"], ["y"]),
    ]
    inputs = {
        "boxes": (FLOAT, [1, 9, 4]),
        "scores": (FLOAT, [1, 9]),
        "groups": (INT64, [9]),
        "batch_index": (INT64, [4]),
        "map": (FLOAT, [1, 5, 8, 8]),
    }
    constants = {
        "two": np.array([2]),
        "four": np.array([1, 1, 4]),
        "flat": np.array([-1, 4]),
        "rows": np.array([-1, 45]),
    }
    known = infer(graph_of(nodes, inputs, {"y": (FLOAT, [None, 45]), "count": (INT64, [None])}, constants))
    assert known["index"].static == (1, 4)
    assert known["pooled"].static == (4, 5, 3, 3)
    assert known["y"].static == (4, 45)
