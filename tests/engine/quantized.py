"""A model with QuantizeLinear and DequantizeLinear around its convolutions, with ranges out of the air."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
from onnx import helper, numpy_helper

ACTIVATION_SCALE = 0.05


def quantize(source: Path, folder: Path) -> Path:
    """Write both graphs of the model in `source` to `folder`, symmetric, per tensor; return `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    for graph in ("detector", "pose"):
        model = onnx.load(source / f"{graph}.onnx")
        _quantize(model.graph)
        onnx.save(model, folder / f"{graph}.onnx")
    return folder


def _quantize(graph: onnx.GraphProto) -> None:
    weights = {tensor.name: tensor for tensor in graph.initializer}
    scale = numpy_helper.from_array(np.float32(ACTIVATION_SCALE), "activation_scale")
    zero = numpy_helper.from_array(np.int8(0), "activation_zero")
    graph.initializer.extend([scale, zero])
    nodes: list[onnx.NodeProto] = []
    for node in list(graph.node):
        if node.op_type == "Conv" and node.input[1] in weights:
            nodes += _around(graph, node, numpy_helper.to_array(weights[node.input[1]]))
        nodes.append(node)
    del graph.node[:]
    graph.node.extend(nodes)


def _around(graph: onnx.GraphProto, node: onnx.NodeProto, values: np.ndarray) -> list[onnx.NodeProto]:
    base, data = node.output[0], node.input[0]
    step = np.float32(max(np.abs(values).max() / 127, 1e-8))
    integers = np.clip(np.rint(values / step), -127, 127).astype(np.int8)
    graph.initializer.append(numpy_helper.from_array(integers, f"{base}_int8"))
    graph.initializer.append(numpy_helper.from_array(step, f"{base}_scale"))
    node.input[0], node.input[1] = f"{base}_data", f"{base}_weights"
    return [
        helper.make_node("QuantizeLinear", [data, "activation_scale", "activation_zero"], [f"{base}_q"]),
        helper.make_node("DequantizeLinear", [f"{base}_q", "activation_scale", "activation_zero"], [f"{base}_data"]),
        helper.make_node("DequantizeLinear", [f"{base}_int8", f"{base}_scale"], [f"{base}_weights"]),
    ]
