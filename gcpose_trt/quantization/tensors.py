"""Which values of a float graph are looked at: all that an INT8 graph might quantize, whatever is excluded later."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, numpy_helper

from gcpose_trt.graph.tensors import infer
from gcpose_trt.quantization.record import WeightRange

_COMPUTING = ("Conv", "ConvTranspose", "Gemm", "MatMul")
_PASSING = (
    *("Relu", "Clip", "Sigmoid", "Add", "Mul", "Concat", "Pad", "Resize", "Split", "BatchNormalization"),
    *("MaxPool", "AveragePool", "GlobalAveragePool", "MultiLevelRoiAlign", "GcmAttention"),
)
_FUSED = (*_COMPUTING, "BatchNormalization")
_ACTIVATIONS = ("Relu", "Clip", "BatchNormalization")
# What turns features into coordinates, scores and order; nothing behind it is ever quantized.
_DECIDING = (
    *("Nms", "KeypointDecode", "OksDecode", "TopK", "GatherElements"),
    *("Exp", "Log", "Pow", "Sqrt", "Softmax", "ReduceSum"),
)


def activations(model: onnx.ModelProto) -> list[str]:
    """Return the names of the float feature maps and vectors of a graph, in its order.

    These are the inputs and outputs of convolutions, products, sums, concatenations, poolings and resizings that hang
    together with a convolution. A convolution's output that only an activation reads is left out: nothing is quantized
    between the two, and ONNX Runtime runs them as one.
    """
    known = infer(model)
    constants = {tensor.name for tensor in model.graph.initializer}
    readers = _readers(model.graph)
    names: dict[str, None] = {}
    inner: set[str] = set()
    for node in _feature_nodes(model.graph):
        names |= dict.fromkeys([*_data_inputs(node), *node.output])
        if node.op_type in _FUSED and _only_activation(node.output[0], readers):
            inner.add(node.output[0])
    return [
        name
        for name in names
        if name not in constants and name not in inner and name in known and known[name].kind == TensorProto.FLOAT
    ]


def _data_inputs(node: onnx.NodeProto) -> list[str]:
    """Return the inputs that are features, not sizes, bounds or boxes."""
    inputs = list(node.input)
    if node.op_type == "MultiLevelRoiAlign":
        return inputs[2:]
    return inputs[:1] if node.op_type in ("Pad", "Resize", "Clip", "Split") else inputs


def _readers(graph: onnx.GraphProto) -> dict[str, list[str]]:
    """Return by value the operator types that read it."""
    readers: dict[str, list[str]] = {value.name: ["output"] for value in graph.output}
    for node in graph.node:
        for name in node.input:
            readers.setdefault(name, []).append(node.op_type)
    return readers


def _only_activation(name: str, readers: dict[str, list[str]]) -> bool:
    found = readers.get(name, [])
    return len(found) == 1 and found[0] in _ACTIVATIONS


def _feature_nodes(graph: onnx.GraphProto) -> Iterator[onnx.NodeProto]:
    """Yield the nodes between features, from the first convolution on."""
    features: set[str] = set()
    decided: set[str] = set()
    for node in graph.node:
        if node.op_type in _COMPUTING:
            yield node
            features.update(node.output)
        elif node.op_type in _DECIDING or decided.intersection(node.input):
            # Pooling by decided boxes gives features again, but a sum of two boxes is none.
            if node.op_type == "MultiLevelRoiAlign":
                yield node
                features.update(node.output)
            else:
                decided.update(node.output)
        elif node.op_type in _PASSING and (features.intersection(node.input) or node.op_type == "MultiLevelRoiAlign"):
            yield node
            features.update(node.output)


def weight_ranges(model: onnx.ModelProto) -> dict[str, WeightRange]:
    """Return the magnitudes by output channel of every weight of a convolution or product."""
    arrays = {tensor.name: tensor for tensor in model.graph.initializer}
    found: dict[str, WeightRange] = {}
    for node in model.graph.node:
        if node.op_type in _COMPUTING and len(node.input) > 1 and node.input[1] in arrays:
            array = numpy_helper.to_array(arrays[node.input[1]])
            axis = _channel_axis(node, array.ndim)
            others = tuple(index for index in range(array.ndim) if index != axis)
            amax: NDArray[np.float32] = np.abs(array).max(axis=others).astype(np.float32)
            found[node.input[1]] = WeightRange(axis, amax)
    return found


def _channel_axis(node: onnx.NodeProto, rank: int) -> int:
    if node.op_type == "Conv":
        return 0
    if node.op_type == "ConvTranspose":
        return 1
    transposed = any(item.name == "transB" and item.i for item in node.attribute)
    return 0 if transposed else rank - 1
