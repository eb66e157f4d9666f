"""The image as it is, as the first convolution's integer input.

Pixels are integers from 0 to 255 already. Where all channels have one mean and one deviation, normalising them,
blanking what lies outside the frame, and quantizing the result is nothing but another scale and zero point for the same
bytes: (x - mean) / std = (x - zero) * scale + (zero - mean) / std, with the constant in the convolution's bias. On the
CPU this saves five passes over the image in float32, and the pixels keep all of their 256 levels.

The constant is right wherever the kernel lies within the image; outside, zero stands for the mean, which it misses by
half a grey level at most. Where the image is also halved, for the network's second look, the constant is added behind
the pooling.

What lies outside the frame is blanked row by row, the three bytes of a pixel being three columns: a mask that is spread
over an innermost axis of three costs ONNX Runtime as much as three of the network's convolutions.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from gcpose_trt.graph.qdq.view import View
from gcpose_trt.graph.simplify import replace_nodes
from gcpose_trt.graph.tensors import TensorInfo, infer


@dataclass(frozen=True)
class _Normalisation:
    """Where(inside, (Transpose(Cast(pixels)) - mean) / std, 0), read by a convolution and perhaps by poolings."""

    conv: int
    where: int
    rows: str
    columns: str
    transpose: int
    pixels: str
    mean: float
    std: float
    poolings: tuple[int, ...]


def read_pixels(model: onnx.ModelProto, weighted: set[int]) -> bool:
    """Let the first convolution read dequantized pixels, in place.

    Args:
        model: a float detector graph.
        weighted: nodes that are to be quantized; nothing is done if the convolution is none of them.

    Returns:
        Whether the graph's normalisation is one that allows it.
    """
    view = View(model)
    kinds = infer(model)
    for index in sorted(weighted):
        found = _match(view, index)
        if found is not None and _fits(found, kinds):
            _rewrite(view, found)
            return True
    return False


def _fits(found: _Normalisation, kinds: Mapping[str, TensorInfo]) -> bool:
    """Return whether pixels are bytes (B, H, W, 3), and the masks of rows and columns (B, 1, H, 1) and (B, 1, 1, W)."""
    known = [kinds.get(name) for name in (found.pixels, found.rows, found.columns)]
    pixels, rows, columns = known
    if pixels is None or pixels.kind != TensorProto.UINT8 or pixels.shape is None or len(pixels.shape) != 4:
        return False
    if rows is None or columns is None or rows.shape is None or columns.shape is None:
        return False
    return pixels.shape[3] == 3 and rows.shape[1::2] == (1, 1) and columns.shape[1:3] == (1, 1)


def _match(view: View, conv: int) -> _Normalisation | None:
    where = _maker(view, view.node(conv).input[0], "Where")
    if where is None or view.node(conv).op_type != "Conv" or view.node(where).output[0] in view.ends:
        return None
    poolings = tuple(reader for reader in view.readers[view.node(where).output[0]] if reader != conv)
    if any(view.node(reader).op_type != "AveragePool" for reader in poolings):
        return None
    divide = _maker(view, view.node(where).input[1], "Div")
    subtract = None if divide is None else _maker(view, view.node(divide).input[0], "Sub")
    if divide is None or subtract is None or not _is_zero(view, view.node(where).input[2]):
        return None
    source = _source(view, view.node(subtract).input[0])
    if source is None:
        return None
    both = _maker(view, view.node(where).input[0], "And")
    if both is None:
        return None
    rows, columns = view.node(both).input
    constants = [view.node(subtract).input[1], view.node(divide).input[1]]
    if any(name not in view.constants for name in constants):
        return None
    mean, std = (np.unique(np.asarray(view.array(name), np.float64)) for name in constants)
    if mean.size != 1 or std.size != 1 or not 0 <= mean[0] <= 255 or std[0] <= 0:
        return None
    return _Normalisation(conv, where, rows, columns, *source, float(mean[0]), float(std[0]), poolings)


def _source(view: View, value: str) -> tuple[int, str] | None:
    """Return the Transpose behind a value and the pixels that it reads; they are cast before it or behind."""
    for first, second in (("Transpose", "Cast"), ("Cast", "Transpose")):
        outer = _maker(view, value, first)
        inner = None if outer is None else _maker(view, view.node(outer).input[0], second)
        if outer is not None and inner is not None:
            return (outer if first == "Transpose" else inner), view.node(inner).input[0]
    return None


def _maker(view: View, value: str, op_type: str) -> int | None:
    index = view.makers.get(value)
    return index if index is not None and view.node(index).op_type == op_type else None


def _is_zero(view: View, value: str) -> bool:
    """Return whether a value is zeros, also zeros spread to a shape."""
    spread = _maker(view, value, "Expand")
    name = value if spread is None else view.node(spread).input[0]
    return name in view.constants and not np.any(view.array(name))


def _rewrite(view: View, found: _Normalisation) -> None:
    graph = view.model.graph
    conv = view.node(found.conv)
    zero = round(found.mean)
    weight = np.asarray(view.array(conv.input[1]), np.float64)
    bias = np.zeros(weight.shape[0]) if len(conv.input) < 3 else np.asarray(view.array(conv.input[2]), np.float64)
    bias = bias + (zero - found.mean) / found.std * weight.sum(axis=(1, 2, 3))
    out = view.node(found.where).output[0]
    constants = {
        f"{out}.scale": np.array(1 / found.std, np.float32),
        f"{out}.zero": np.array(zero, np.uint8),
        f"{out}.bias": bias.astype(np.float32),
        f"{out}.rest": np.array((zero - found.mean) / found.std, np.float32),
        f"{out}.by_row": np.array([0, -1, 1], np.int64),
        f"{out}.by_byte": np.array([0, 1, -1], np.int64),
        f"{out}.by_column": np.array([0, 1, -1, 1], np.int64),
        f"{out}.bytes": np.array([1, 1, 1, 3], np.int64),
        f"{out}.flat": np.array([0, 0, -1], np.int64),
    }
    graph.initializer.extend(numpy_helper.from_array(array, name) for name, array in constants.items())
    del conv.input[2:]
    conv.input.append(f"{out}.bias")
    nodes: list[onnx.NodeProto] = []
    for index, node in enumerate(graph.node):
        if index == found.where:
            nodes += _blanked(found, out, view.node(found.transpose))
        elif index in found.poolings:
            nodes += _corrected(node, f"{out}.rest")
        else:
            nodes.append(node)
    replace_nodes(graph, nodes)
    _drop_dead(graph)


def _blanked(found: _Normalisation, out: str, transpose: onnx.NodeProto) -> list[onnx.NodeProto]:
    """Return the nodes that make `out`: dequantized pixels, blank outside the frame."""

    def node(op_type: str, inputs: list[str], output: str) -> onnx.NodeProto:
        return helper.make_node(op_type, inputs, [f"{out}.{output}"], name=f"{out}.{output}")

    moved = onnx.NodeProto.FromString(transpose.SerializeToString())
    moved.input[0], moved.output[0], moved.name = f"{out}.blanked", f"{out}.quantized", f"{out}.quantized"
    return [
        node("Reshape", [found.rows, f"{out}.by_row"], "rows"),
        node("Reshape", [found.columns, f"{out}.by_column"], "columns"),
        node("Expand", [f"{out}.columns", f"{out}.bytes"], "spread"),
        node("Reshape", [f"{out}.spread", f"{out}.by_byte"], "byte_columns"),
        node("And", [f"{out}.rows", f"{out}.byte_columns"], "inside"),
        node("Reshape", [found.pixels, f"{out}.flat"], "pixels"),
        node("Where", [f"{out}.inside", f"{out}.pixels", f"{out}.zero"], "flat_blanked"),
        node("Shape", [found.pixels], "shape"),
        node("Reshape", [f"{out}.flat_blanked", f"{out}.shape"], "blanked"),
        moved,
        helper.make_node("DequantizeLinear", [moved.output[0], f"{out}.scale", f"{out}.zero"], [out], name=f"{out}.DQ"),
    ]


def _corrected(pooling: onnx.NodeProto, constant: str) -> list[onnx.NodeProto]:
    """Return a pooling of dequantized pixels, with the constant that they lack added to its result."""
    moved = onnx.NodeProto.FromString(pooling.SerializeToString())
    result = moved.output[0]
    moved.output[0] = f"{result}.uncorrected"
    return [moved, helper.make_node("Add", [moved.output[0], constant], [result], name=f"{result}.corrected")]


def _drop_dead(graph: onnx.GraphProto) -> None:
    """Remove nodes whose results nobody reads."""
    used = {value.name for value in graph.output}
    kept = []
    for node in reversed(graph.node):
        if used.intersection(node.output):
            used.update(node.input)
            kept.append(node)
    replace_nodes(graph, reversed(kept))
