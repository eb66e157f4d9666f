"""Holding a builder without strong typing (TensorRT 8) to the types of the graph.

Such a builder reads FP32 and FP16 in the graph as no more than a hint: with the FP16 flag it may run any layer in half,
the islands that the graph keeps in FP32 included. Here every layer that computes in floating point is given the type
that the graph gives its output.
"""

from __future__ import annotations

from typing import Any

import onnx
from onnx import TensorProto

from gcpose_trt.graph.tensors import infer
from gcpose_trt.runtime.tensorrt_api import TensorRT

_FLOATS = {int(TensorProto.FLOAT): "FLOAT", int(TensorProto.FLOAT16): "HALF"}
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
    """Return the ONNX element type of every tensor of a graph, by name."""
    return {name: info.kind for name, info in infer(model).items()}


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
