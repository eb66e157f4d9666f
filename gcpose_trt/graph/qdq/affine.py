"""Constant factors and shifts a channel behind a convolution, moved into its weights and bias.

A normalisation with frozen statistics is exported as such a product and sum. Left between a convolution and its
activation they would keep the two from becoming one INT8 kernel, and the factor belongs into the weights before these
are quantized, for it is their scale.
"""

from __future__ import annotations

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import numpy_helper

from gcpose_trt.graph.qdq.view import View
from gcpose_trt.graph.simplify import replace_nodes

_FOLDABLE = ("Conv", "ConvTranspose")


def absorb_affine(model: onnx.ModelProto) -> int:
    """Move products and sums with constants of one value a channel into the convolution before them, in place.

    The last node's value keeps its name and becomes the convolution's.

    Returns:
        How many nodes were absorbed.
    """
    count = 0
    while True:
        view = View(model)
        found = next((pair for index in range(len(model.graph.node)) if (pair := _pair(view, index))), None)
        if found is None:
            break
        _absorb(view, *found)
        count += 1
    return count


def _pair(view: View, index: int) -> tuple[int, int, NDArray[np.float64]] | None:
    """Return a convolution, the node behind it, and that one's constant, if the two can become one."""
    conv = view.node(index)
    if not view.is_weighted(index) or conv.op_type not in _FOLDABLE:
        return None
    if conv.op_type == "ConvTranspose" and _groups(conv) != 1:
        return None
    if len(conv.input) > 2 and conv.input[2] not in view.constants:
        return None
    reader = view.sole_reader(conv.output[0])
    if reader is None or view.node(reader).op_type not in ("Mul", "Add"):
        return None
    others = [name for name in view.node(reader).input if name != conv.output[0]]
    if len(others) != 1 or others[0] not in view.constants:
        return None
    values = np.asarray(view.array(others[0]), np.float64)
    channels = _channels(view, index)
    if values.size == 1:
        return index, reader, np.full(channels, values.reshape(()))
    shape = (1,) * (4 - values.ndim) + values.shape
    return (index, reader, values.reshape(-1)) if shape == (1, channels, 1, 1) else None


def _groups(conv: onnx.NodeProto) -> int:
    return next((int(attribute.i) for attribute in conv.attribute if attribute.name == "group"), 1)


def _channels(view: View, index: int) -> int:
    conv = view.node(index)
    return int(view.constants[conv.input[1]].dims[0 if conv.op_type == "Conv" else 1])


def _absorb(view: View, index: int, reader: int, values: NDArray[np.float64]) -> None:
    graph = view.model.graph
    conv, after = view.node(index), view.node(reader)
    out = after.output[0]
    bias = np.asarray(view.array(conv.input[2]), np.float64) if len(conv.input) > 2 else np.zeros_like(values)
    if after.op_type == "Mul":
        weight = np.asarray(view.array(conv.input[1]), np.float64)
        axis = 0 if conv.op_type == "Conv" else 1
        weight *= values.reshape([-1 if dim == axis else 1 for dim in range(weight.ndim)])
        bias = bias * values
        _set_constant(view, index, 1, weight)
    else:
        bias = bias + values
    _set_constant(view, index, 2, bias)
    conv.output[0] = out
    replace_nodes(graph, [node for place, node in enumerate(graph.node) if place != reader])


def _set_constant(view: View, index: int, slot: int, array: NDArray[np.float64]) -> None:
    """Give a node a constant of its own; its old one may have other readers."""
    graph, node = view.model.graph, view.node(index)
    tensor = numpy_helper.from_array(array.astype(np.float32))
    old = node.input[slot] if slot < len(node.input) else ""
    if old and len(view.readers[old]) == 1:
        tensor.name = old
        view.constants[old].CopyFrom(tensor)
        return
    stem = node.input[1].removesuffix(".weight")
    tensor.name = f"{stem}.{'weight' if slot == 1 else 'bias'}"
    taken = set(view.constants)
    if tensor.name in taken:
        tensor.name = f"{tensor.name}.{node.output[0]}"
    graph.initializer.append(tensor)
    if slot < len(node.input):
        node.input[slot] = tensor.name
    else:
        node.input.append(tensor.name)
