"""Writing Q/DQ pairs and INT8 weights into a graph."""

from __future__ import annotations

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import helper, numpy_helper

from gcpose_trt.errors import GcposeError
from gcpose_trt.graph.qdq.placement import Plan
from gcpose_trt.graph.qdq.view import View
from gcpose_trt.graph.simplify import replace_nodes

_TINY = 1e-8  # smallest scale: a tensor of zeros has to have one too
_BIAS_LIMIT = 2.0**30
Scale = tuple[str, str]  # names of the scale and of the zero point


class Writer:
    """Puts a plan into a graph.

    Args:
        view: the graph, which is changed by `write`.
        plan: what goes where.
        ranges: value to its (lowest, highest) quantized value.
        target: "tensorrt" or "cpu".
    """

    def __init__(self, view: View, plan: Plan, ranges: dict[str, tuple[float, float]], target: str) -> None:
        self._view = view
        self._plan = plan
        self._ranges = ranges
        self._signed = target == "tensorrt"
        self._added: list[onnx.TensorProto] = []
        self._names: set[str] = {*view.constants, *view.makers}
        self._scales: dict[tuple[float, int], Scale] = {}
        self._activations: dict[str, tuple[float, int]] = {}
        self._weights: dict[tuple[str, int], tuple[str, str, str, NDArray[np.float32]]] = {}

    def write(self) -> None:
        """Change the graph."""
        graph = self._view.model.graph
        before = [onnx.NodeProto.FromString(node.SerializeToString()) for node in graph.node]
        renamed = self._drop_absorbed(before)
        pairs = {name: self._pair(name, before, renamed) for name in self._plan.values}
        nodes: list[onnx.NodeProto] = []
        for value in graph.input:
            nodes += pairs.get(value.name, [])
        for index, node in enumerate(before):
            if index in self._plan.absorbed:
                continue
            if index in self._plan.weighted:
                nodes += self._quantize_weights(node, index)
            nodes.append(node)
            for name in self._view.node(index).output:
                nodes += pairs.get(renamed.get(name, name), [])
        graph.initializer.extend(self._added)
        replace_nodes(graph, nodes)
        _drop_unused(graph)

    def _drop_absorbed(self, nodes: list[onnx.NodeProto]) -> dict[str, str]:
        """Let the node before an absorbed activation make what that made; return old to new names."""
        renamed = {}
        for index in self._plan.absorbed:
            source, out = nodes[index].input[0], nodes[index].output[0]
            maker = nodes[self._view.makers[source]]
            maker.output[0] = out
            renamed[source] = out
        return renamed

    def _pair(self, name: str, nodes: list[onnx.NodeProto], renamed: dict[str, str]) -> list[onnx.NodeProto]:
        """Return the Q/DQ pair of a value, and let the nodes concerned read it."""
        there = self._view.dequantizer(name)
        if there is not None:
            scale, zero = (self._view.array(constant).item() for constant in there.input[1:3])
            self._activations[name] = (scale, zero)
            return []
        readers = self._plan.values[name]
        low, high = self._ranges[self._plan.source(name)]
        scale, zero = _signed_scale(low, high) if self._signed else _unsigned_scale(low, high)
        self._activations[name] = (scale, zero)
        scale_name, zero_name = self._scale(scale, zero)
        maker = self._view.makers.get(name)
        if readers is None and maker is not None:
            source, result = self._fresh(f"{name}.float"), name
            out = next(old for old, new in renamed.items() if new == name) if name in renamed.values() else name
            owner = nodes[self._view.makers[out]]
            owner.output[list(owner.output).index(name)] = source
        else:
            source, result = name, self._fresh(f"{name}.dequantized")
            for index in self._view.readers[name] if readers is None else readers:
                for slot, read in enumerate(nodes[index].input):
                    if read == name:
                        nodes[index].input[slot] = result
        middle = self._fresh(f"{name}.quantized")
        return [
            helper.make_node("QuantizeLinear", [source, scale_name, zero_name], [middle], name=f"{name}.Q"),
            helper.make_node("DequantizeLinear", [middle, scale_name, zero_name], [result], name=f"{name}.DQ"),
        ]

    def _scale(self, scale: float, zero: int) -> Scale:
        """Return the names of a scale and its zero point; equal ones are stored once."""
        if (scale, zero) not in self._scales:
            name = self._add(f"scale.{len(self._scales)}", np.array(scale, np.float32))
            kind = np.int8 if self._signed else np.uint8
            self._scales[scale, zero] = name, self._add(f"{name}.zero", np.array(zero, kind))
        return self._scales[scale, zero]

    def _quantize_weights(self, node: onnx.NodeProto, index: int) -> list[onnx.NodeProto]:
        """Let a node read INT8 weights, and on the CPU an INT32 bias; return the nodes that dequantize them."""
        weight, layer = node.input[1], self._view.node(index)
        axis = weight_axis(layer)
        stored, scales, zeros, values = self._stored_weights(weight, axis)
        has_bias = len(node.input) > 2 and node.input[2] in self._view.constants
        result = self._fresh(f"{weight}.{node.output[0]}.dequantized")
        node.input[1] = result
        made = [helper.make_node("DequantizeLinear", [stored, scales, zeros], [result], axis=axis, name=f"{result}.DQ")]
        if has_bias and not self._signed:
            made.append(self._integer_bias(node, layer, values))
        return made

    def _stored_weights(self, weight: str, axis: int) -> tuple[str, str, str, NDArray[np.float32]]:
        """Return the names of INT8 weights, scales and zero points; those that several nodes read are stored once."""
        if (weight, axis) not in self._weights:
            array = np.asarray(self._view.array(weight), np.float32)
            if not np.isfinite(array).all():
                raise GcposeError(f"weights {weight} are not finite; train or export the model again")
            scales = weight_scales(array, axis)
            if not self._signed:
                scales = np.maximum(scales, self._least_scales(weight, len(scales)))
            shape = [-1 if dim == axis else 1 for dim in range(array.ndim)]
            integers = np.clip(np.rint(array / scales.reshape(shape)), -127, 127).astype(np.int8)
            names = (
                self._add(f"{weight}.int8", integers),
                self._add(f"{weight}.scale", scales),
                self._add(f"{weight}.zero", np.zeros(len(scales), np.int8)),
            )
            self._weights[weight, axis] = (*names, scales)
        return self._weights[weight, axis]

    def _least_scales(self, weight: str, channels: int) -> NDArray[np.float32]:
        """Return scales from which on the biases of every node with these weights fit into INT32."""
        least = np.full(channels, _TINY, np.float32)
        for index in self._plan.weighted:
            node = self._view.node(index)
            if node.input[1] == weight and len(node.input) > 2 and node.input[2] in self._view.constants:
                bias = np.abs(np.asarray(self._view.array(node.input[2]), np.float64))
                scale, _ = self._activations[node.input[0]]
                least = np.maximum(least, (bias / (_BIAS_LIMIT * scale)).astype(np.float32))
        return least

    def _integer_bias(self, node: onnx.NodeProto, layer: onnx.NodeProto, scales: NDArray[np.float32]) -> onnx.NodeProto:
        """Let a node read its bias as INT32 of the scale of its products."""
        name = node.input[2]
        product = (scales * np.float32(self._activations[layer.input[0]][0])).astype(np.float32)
        bias = np.asarray(self._view.array(name), np.float64)
        integers = np.rint(bias / product.astype(np.float64)).astype(np.int32)
        stem = f"{name}.{node.output[0]}"
        stored = self._add(f"{stem}.int32", integers)
        names = [stored, self._add(f"{stem}.scale", product), self._add(f"{stem}.zero", np.zeros_like(integers))]
        result = self._fresh(f"{stem}.dequantized")
        node.input[2] = result
        return helper.make_node("DequantizeLinear", names, [result], axis=0, name=f"{result}.DQ")

    def _add(self, name: str, array: NDArray[np.generic]) -> str:
        name = self._fresh(name)
        self._added.append(numpy_helper.from_array(np.ascontiguousarray(array).reshape(array.shape), name))
        return name

    def _fresh(self, name: str) -> str:
        while name in self._names:
            name += "_"
        self._names.add(name)
        return name


def weight_axis(node: onnx.NodeProto) -> int:
    """Return the axis of a weighted node's weights along which its outputs lie."""
    if node.op_type == "Conv":
        return 0
    if node.op_type == "ConvTranspose":
        return 1
    transposed = any(attribute.name == "transB" and attribute.i for attribute in node.attribute)
    return 0 if transposed else 1


def weight_scales(array: NDArray[np.float32], axis: int) -> NDArray[np.float32]:
    """Return a symmetric INT8 scale for each channel along `axis`."""
    others = tuple(dim for dim in range(array.ndim) if dim != axis)
    return np.maximum(np.abs(array).max(axis=others) / 127, _TINY).astype(np.float32)


def _signed_scale(low: float, high: float) -> tuple[float, int]:
    return max(float(np.float32(max(-low, high) / 127)), _TINY), 0


def _unsigned_scale(low: float, high: float) -> tuple[float, int]:
    low, high = min(low, 0.0), max(high, 0.0)
    scale = max(float(np.float32((high - low) / 255)), _TINY)
    return scale, round(min(max(-low / scale, 0.0), 255.0))


def _drop_unused(graph: onnx.GraphProto) -> None:
    used = {name for node in graph.node for name in node.input} | {value.name for value in graph.output}
    for index in reversed(range(len(graph.initializer))):
        if graph.initializer[index].name not in used:
            del graph.initializer[index]
