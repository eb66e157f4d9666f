"""Holding a builder without strong typing (TensorRT 8) to the types of the graph.

Such a builder reads FP32 and FP16 in the graph as no more than a hint: with the FP16 flag it may run any layer in half,
the islands that the graph keeps in FP32 included. Here every layer that computes in floating point is given the type
that the graph gives its output.
"""

from __future__ import annotations

from typing import Any

import onnx
from onnx import TensorProto

from gcpose_trt.runtime.tensorrt_api import TensorRT

_FLOATS = {int(TensorProto.FLOAT): "FLOAT", int(TensorProto.FLOAT16): "HALF"}
_BOOLEAN = {"Equal", "Greater", "GreaterOrEqual", "Less", "LessOrEqual", "And", "Or", "Not", "Xor", "IsNaN", "IsInf"}
_INDICES = {"Shape", "Size", "ArgMax", "ArgMin", "NonZero", "NonMaxSuppression"}
# Layers whose type is not theirs to choose: they move, make or convert data, or are ours.
_FREE_TYPES = (
    "CONSTANT",
    "SHAPE",
    "CAST",
    "IDENTITY",
    "PLUGIN",
    "PLUGIN_V2",
    "PLUGIN_V3",
    "QUANTIZE",
    "DEQUANTIZE",
    "ASSERTION",
    "CONDITION",
    "NON_ZERO",
    "FILL",
)


def tensor_types(model: onnx.ModelProto) -> dict[str, int]:
    """Return the element type of every tensor of a graph, by name, followed through the nodes.

    ONNX's own inference stops at our custom nodes.
    """
    graph = model.graph
    types = {value.name: value.type.tensor_type.elem_type for value in [*graph.input, *graph.value_info, *graph.output]}
    types |= {tensor.name: tensor.data_type for tensor in graph.initializer}
    for node in graph.node:
        for index, name in enumerate(node.output):
            if name and not types.get(name):
                types[name] = _output_type(node, index, types)
    return types


def _output_type(node: onnx.NodeProto, index: int, types: dict[str, int]) -> int:
    attributes = {attribute.name: attribute for attribute in node.attribute}
    inputs = [types.get(name, TensorProto.UNDEFINED) for name in node.input]
    kind = node.op_type
    if kind == "Cast":
        return int(attributes["to"].i)
    if kind in ("Constant", "ConstantOfShape"):
        value = attributes.get("value")
        return int(value.t.data_type) if value is not None else TensorProto.FLOAT
    if kind in _BOOLEAN:
        return TensorProto.BOOL
    if kind in _INDICES or (kind == "TopK" and index == 1) or (node.domain == "gcpose" and kind == "Nms"):
        return TensorProto.INT64
    if kind == "KeypointDecode":
        return TensorProto.FLOAT
    if kind == "QuantizeLinear":
        return inputs[2] if len(inputs) > 2 else TensorProto.UINT8
    source = {"DequantizeLinear": 1, "Where": 1, "MultiLevelRoiAlign": 2}.get(kind, 0)
    return inputs[source] if source < len(inputs) else TensorProto.UNDEFINED


def pin(trt: TensorRT, network: Any, types: dict[str, int]) -> int:
    """Give the layers of a parsed network the types of the graph.

    Args:
        trt: see `TensorRT`.
        network: INetworkDefinition.
        types: see `tensor_types`.

    Returns:
        How many layers were given a type.
    """
    data_types = trt.module.DataType
    free = {getattr(trt.module.LayerType, name) for name in _FREE_TYPES if hasattr(trt.module.LayerType, name)}
    known = dict(types)
    pinned = 0
    for index in range(network.num_layers):
        layer = network.get_layer(index)
        first = layer.get_input(0) if layer.num_inputs else None
        for number in range(layer.num_outputs):
            tensor = layer.get_output(number)
            # Layers that the parser made up have names of its own; they compute in the type of what they read.
            kind = known.setdefault(tensor.name, known.get(first.name, 0) if first is not None else 0)
            computes = tensor.dtype in (data_types.FLOAT, data_types.HALF) and layer.type not in free
            if kind in _FLOATS and computes and not tensor.is_shape_tensor:
                layer.set_output_type(number, getattr(data_types, _FLOATS[kind]))
                if number == 0:
                    layer.precision = getattr(data_types, _FLOATS[kind])
                    pinned += 1
    return pinned
