"""Running a half-precision graph where there is no half-precision arithmetic, with its roundings.

ONNX Runtime has next to no FP16 kernels for x86. It puts casts around every node that it has none for and then takes
away each pair that turns FP16 into FP32 and back: a chain of FP16 nodes runs in FP32 from its first to its last, at
every optimization level (1.32; its results are bit for bit those of an FP32 chain rounded once, at the end). Accuracy
measured like that would be FP32's. Casts that are in an FP32 graph, to FP16 and back, do stay. Hence this graph: every
node that was FP16 computes in FP32, as tensor cores add up, and rounds what it returns to FP16.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import onnx
from onnx import helper, numpy_helper

from gcpose_trt.graph.casting import FLOAT, HALF
from gcpose_trt.graph.simplify import replace_nodes
from gcpose_trt.graph.tensors import TensorInfo, attributes_of, infer

# Nodes that return some of the numbers that they read, which are FP16 numbers already.
_EXACT = {
    "Clip",
    "Concat",
    "Expand",
    "Flatten",
    "Gather",
    "GatherElements",
    "GatherND",
    "Identity",
    "MaxPool",
    "Pad",
    "Relu",
    "Reshape",
    "Slice",
    "Split",
    "Squeeze",
    "Transpose",
    "Unsqueeze",
    "Where",
}


def emulate_float16(model: onnx.ModelProto) -> int:
    """Rewrite a graph with FP16 nodes, in place, as FP32 nodes and roundings; inputs and outputs keep their types.

    Nodes of domain `gcpose` round their results once: sums and softmax are FP32 inside, as in the plugins.

    Args:
        model: as `to_float16` makes it, with function bodies.

    Returns:
        How many values are rounded.
    """
    graph = model.graph
    known = infer(model)
    for tensor in graph.initializer:
        if tensor.data_type == HALF:
            tensor.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(tensor).astype(np.float32), tensor.name))
    nodes: list[onnx.NodeProto] = []
    widened = {value.name: f"{value.name}.wide" for value in graph.input if value.type.tensor_type.elem_type == HALF}
    nodes += [_cast(name, wide, FLOAT) for name, wide in widened.items()]
    halves = {value.name for value in graph.output if value.type.tensor_type.elem_type == HALF}
    renamed = widened | {name: f"{name}.wide" for name in halves}
    rounded = 0
    for node in graph.node:
        for names in (node.input, node.output):
            for index, name in enumerate(names):
                names[index] = renamed.get(name, name)
        made = _emulated(node, known, {wide: name for name, wide in renamed.items()})
        rounded += sum(other.op_type == "Cast" and attributes_of(other)["to"] == HALF for other in made)
        nodes += made
    nodes += [_cast(renamed[name], name, HALF) for name in sorted(halves)]
    replace_nodes(graph, nodes)
    del graph.value_info[:]
    return rounded


def _cast(source: str, target: str, kind: int) -> onnx.NodeProto:
    return helper.make_node("Cast", [source], [target], name=target, to=kind)


def _emulated(
    node: onnx.NodeProto, known: Mapping[str, TensorInfo], original: Mapping[str, str]
) -> list[onnx.NodeProto]:
    """Return the nodes that stand for one; `original` gives renamed values their former names."""

    def is_half(name: str) -> bool:
        info = known.get(original.get(name, name))
        return info is not None and info.kind == HALF

    if node.domain == "" and node.op_type == "Cast":
        if is_half(node.output[0]):
            return _round(node.input[0], node.output[0])
        if is_half(node.input[0]) and attributes_of(node)["to"] == FLOAT:
            return [helper.make_node("Identity", list(node.input), list(node.output))]
        return [node]
    if node.domain == "" and node.op_type in _EXACT:
        return [node]
    made = [node]
    for index, name in enumerate(node.output):
        if is_half(name):
            node.output[index] = f"{name}.exact"
            made += _round(node.output[index], name)
    return made


def _round(source: str, target: str) -> list[onnx.NodeProto]:
    return [_cast(source, f"{target}.half", HALF), _cast(f"{target}.half", target, FLOAT)]
