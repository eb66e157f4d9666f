"""Finding the stages in a graph, and cutting a part out of it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

pytest.importorskip("onnx", reason="onnx is not installed; pip install 'gcpose-trt[export]'")

import onnx
from onnx import TensorProto, helper

from gcpose_trt.compare.points import add_outputs, cut, detector_points, logits_point


def test_stages_of_the_shipped_model(onnx_side: Any) -> None:
    points = detector_points(onnx_side.detector)
    assert list(points.maps) == ["pyramid p2", "pyramid p3", "pyramid p4", "pyramid p5", "box prior"]
    assert None not in (points.proposals, points.proposal_count, points.boxes, points.scores)
    assert len(points.names()) == 9
    assert logits_point(onnx_side.pose_graph) is not None
    assert logits_point(onnx_side.detector) is None


def test_further_outputs_leave_the_model_alone(onnx_side: Any) -> None:
    before = len(onnx_side.detector.graph.output)
    names = detector_points(onnx_side.detector).names()
    copy = add_outputs(onnx_side.detector, [*names, "p2", names[0]])
    assert len(copy.graph.output) == before + len(names)
    assert len(onnx_side.detector.graph.output) == before


def chain() -> onnx.ModelProto:
    """x -> Mul w -> a -> Add a, y -> b; y -> Neg -> c."""
    nodes = [
        helper.make_node("Mul", ["x", "w"], ["a"]),
        helper.make_node("Add", ["a", "y"], ["b"]),
        helper.make_node("Neg", ["y"], ["c"]),
    ]
    values = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [2]) for name in ("x", "y", "b", "c")]
    weight = onnx.numpy_helper.from_array(np.array([2, 3], np.float32), "w")
    graph = helper.make_graph(nodes, "chain", values[:2], values[2:], [weight])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8)


def test_a_part_takes_what_it_needs() -> None:
    part = cut(chain(), {"a": TensorProto.FLOAT, "y": TensorProto.FLOAT}, ["b"])
    assert part is not None
    assert [node.op_type for node in part.graph.node] == ["Add"]
    assert [value.name for value in part.graph.input] == ["a", "y"]
    assert not part.graph.initializer
    whole = cut(chain(), {"x": TensorProto.FLOAT, "y": TensorProto.FLOAT}, ["a"])
    assert whole is not None
    assert [value.name for value in whole.graph.input] == ["x"]
    assert [tensor.name for tensor in whole.graph.initializer] == ["w"]


def test_a_part_that_cannot_be_cut() -> None:
    assert cut(chain(), {"a": TensorProto.FLOAT}, ["b"]) is None, "needs y"
    assert cut(chain(), {"x": 1, "y": 1}, ["b"], lambda node: node.op_type != "Mul") is None
