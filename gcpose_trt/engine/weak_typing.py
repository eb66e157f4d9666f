"""Holding a builder without strong typing (TensorRT 8) to the types of the graph.

Such a builder reads FP32 and FP16 in the graph as no more than a hint: with the FP16 flag it may run any layer in half,
the islands that the graph keeps in FP32 included. Here every layer that computes in floating point is given the type
that the graph gives its output.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import onnx
from onnx import TensorProto

from gcpose_trt.graph.tensors import infer
from gcpose_trt.runtime.tensorrt_api import TensorRT

TYPES_SUFFIX = ".types.json"
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


def wanted_types(path: Path, model: onnx.ModelProto) -> dict[str, int]:
    """Return the types that the values of a graph are to have.

    Args:
        path: of the graph. A graph with scales in FP32, as TensorRT 8 wants them, cannot say FP16 between INT8 layers;
            its types then lie beside it.
        model: the graph.
    """
    beside = path.with_suffix(TYPES_SUFFIX)
    types = tensor_types(model)
    return types | json.loads(beside.read_text()) if beside.is_file() else types


def pin(trt: TensorRT, network: Any, types: dict[str, int]) -> int:
    """Give the layers of a parsed network the types of the graph.

    Args:
        trt: see `TensorRT`.
        network: INetworkDefinition.
        types: see `tensor_types`.

    Returns:
        How many layers were given a type.
    """
    layers = [network.get_layer(index) for index in range(network.num_layers)]
    free = {getattr(trt.module.LayerType, name) for name in _FREE_TYPES if hasattr(trt.module.LayerType, name)}
    kinds = trt.module.LayerType
    quantized = {layer.get_input(0).name for layer in layers if layer.type == kinds.QUANTIZE}
    dequantized = {layer.get_output(0).name for layer in layers if layer.type == kinds.DEQUANTIZE}
    known = dict(types)
    pinned = 0
    for layer in layers:
        inputs = [layer.get_input(index) for index in range(layer.num_inputs)]
        reads = {tensor.name for tensor in inputs if tensor is not None}  # inputs may be left out
        writes = {layer.get_output(index).name for index in range(layer.num_outputs)}
        # A layer between DequantizeLinear and QuantizeLinear is what INT8 kernels are made of.
        integer = reads & dequantized or writes & quantized
        if _set_types(trt, layer, known, layer.type not in free and not integer):
            pinned += 1
    return pinned


def _set_types(trt: TensorRT, layer: Any, known: dict[str, int], wanted: bool) -> bool:
    """Set the types of a layer's outputs, and its own, where `wanted`; add those of unnamed tensors to `known`."""
    data_types = trt.module.DataType
    first = layer.get_input(0) if layer.num_inputs else None
    done = False
    for number in range(layer.num_outputs):
        tensor = layer.get_output(number)
        # Layers that the parser made up have names of its own; they compute in the type of what they read.
        kind = known.setdefault(tensor.name, known.get(first.name, 0) if first is not None else 0)
        computes = tensor.dtype in (data_types.FLOAT, data_types.HALF) and not tensor.is_shape_tensor
        if wanted and computes and kind in _FLOATS:
            layer.set_output_type(number, getattr(data_types, _FLOATS[kind]))
            if number == 0:
                layer.precision = getattr(data_types, _FLOATS[kind])
                done = True
    return done
