"""The layer in which an error arises is found."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

pytest.importorskip("onnx", reason="onnx is not installed; pip install 'gcpose-trt[export]'")

import onnx

from gcpose_trt.compare.layers import Layer, graph_layers, layers_of


def _scaled(model: Any, name: str, factor: float) -> Any:
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    tensor = next(tensor for tensor in copy.graph.initializer if tensor.name == name)
    tensor.CopyFrom(onnx.numpy_helper.from_array(onnx.numpy_helper.to_array(tensor) * np.float32(factor), name))
    return copy


def test_a_wrong_weight_is_found_in_its_layer(onnx_side: Any, sample: tuple[Any, Any]) -> None:
    from gcpose_trt.compare.onnx_side import OnnxSide

    pose_weight, fc_weight = "model.keypoint_head.reduce.weight", "model.box_head.fc2.weight"
    detector = _scaled(onnx_side.detector, fc_weight, 1.1)
    pose = _scaled(onnx_side.pose_graph, pose_weight, 1.2)
    layers = layers_of(onnx_side, OnnxSide("mobile", graphs=(detector, pose), threads=1), [sample], 1)
    consumers = {
        node.output[0]: name
        for model, name in ((detector, fc_weight), (pose, pose_weight))
        for node in model.graph.node
        if name in node.input
    }
    assert {layer.graph for layer in layers} == {"detector", "box branch", "pose"}
    assert max(layer.after for layer in layers if layer.graph == "detector") == 0
    for graph, name, error in (("box branch", fc_weight, 0.1), ("pose", pose_weight, 0.2)):
        first = next(layer for layer in layers if layer.graph == graph and layer.after > 0)
        assert consumers[first.name] == name
        assert first.before == 0
        # The bias that was not scaled makes it not quite the factor.
        assert 0.5 * error < first.growth < 2 * error


def test_what_lies_behind_a_choice_is_left_out(onnx_side: Any, sample: tuple[Any, Any]) -> None:
    image, size = sample
    feeds = [{"image": image, "image_size": size}]
    layers = graph_layers("detector", onnx_side.detector, onnx_side.detector, feeds, 1)
    assert len(layers) > 200
    assert {layer.after for layer in layers} == {0.0}, "the graph differs from itself"
    names = {layer.name for layer in layers}
    assert "p2" in names
    assert not names & {"boxes", "scores"}
    assert "TopK" not in {layer.op for layer in layers}


def test_errors_add_up_as_squares() -> None:
    assert Layer("pose", "x", "Conv", (1,), 3.0, 5.0).growth == 4.0
    assert Layer("pose", "x", "Relu", (1,), 3.0, 2.0).growth == 0.0
