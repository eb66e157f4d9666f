"""Rewrites that take nodes away, or put ones in their place that every TensorRT takes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from gcpose_trt.graph.tensors import TensorInfo, attributes_of

_INTEGERS = {TensorProto.INT32, TensorProto.INT64}
Rewrite = Callable[["View", onnx.NodeProto], bool]


def replace_nodes(graph: onnx.GraphProto, nodes: Iterable[onnx.NodeProto]) -> None:
    """Set the nodes of a graph; `nodes` may be nodes of it."""
    copies = [onnx.NodeProto.FromString(node.SerializeToString()) for node in nodes]
    del graph.node[:]
    graph.node.extend(copies)


class View:
    """A graph, what is known of its values, and who makes them."""

    def __init__(self, graph: onnx.GraphProto, known: Mapping[str, TensorInfo]) -> None:
        self.graph = graph
        self.known = known
        self.constants = {tensor.name: tensor for tensor in graph.initializer}
        self.makers = {name: node for node in graph.node for name in node.output}
        self._fresh = 0

    def shape(self, name: str) -> tuple[object, ...] | None:
        """Shape of a value, with names for unknown sizes; None if not all of it is known."""
        info = self.known.get(name)
        if info is None or info.shape is None or any(size is None for size in info.shape):
            return None
        return info.shape

    def kind(self, name: str) -> int:
        """ONNX element type, 0 if unknown."""
        info = self.known.get(name)
        return info.kind if info is not None else 0

    def values(self, name: str) -> np.ndarray | None:
        """Values of an initializer, None of anything else."""
        tensor = self.constants.get(name)
        return None if tensor is None else numpy_helper.to_array(tensor)

    def add_constant(self, array: np.ndarray, hint: str) -> str:
        """Store an initializer and return its name."""
        while (name := f"{hint}.{self._fresh}") in self.constants or name in self.makers:
            self._fresh += 1
        tensor = numpy_helper.from_array(np.ascontiguousarray(array), name)
        self.graph.initializer.append(tensor)
        self.constants[name] = tensor
        return name


def simplify(graph: onnx.GraphProto, known: Mapping[str, TensorInfo]) -> bool:
    """Apply every rewrite once to every node, in place; return whether there was one to apply.

    Args:
        graph: the graph.
        known: see `gcpose_trt.graph.tensors.infer`.
    """
    view = View(graph, known)
    changed = False
    for node in graph.node:
        op_type = node.op_type
        for rewrite in _REWRITES.get(op_type, ()) if node.domain == "" else ():
            if node.op_type == op_type:
                changed |= rewrite(view, node)
    return changed


def _become(node: onnx.NodeProto, op_type: str, inputs: list[str], **attributes: Any) -> bool:
    new = helper.make_node(op_type, inputs, list(node.output), name=node.name, **attributes)
    node.CopyFrom(new)
    return True


def _same_shape(view: View, node: onnx.NodeProto) -> bool:
    """Expand and Reshape to the shape that there is already."""
    before, after = view.shape(node.input[0]), view.shape(node.output[0])
    if before is None or before != after:
        return False
    return _become(node, "Identity", [node.input[0]])


def _same_type(view: View, node: onnx.NodeProto) -> bool:
    """Cast to the type that there is already."""
    kind = view.kind(node.input[0])
    return kind == attributes_of(node)["to"] and _become(node, "Identity", [node.input[0]])


def _cast_bytes_first(view: View, node: onnx.NodeProto) -> bool:
    """Cast before Transpose: the only thing that TensorRT does with bytes is to convert them."""
    maker = view.makers.get(node.input[0])
    if maker is None or maker.op_type != "Transpose" or view.kind(maker.input[0]) != TensorProto.UINT8:
        return False
    name = maker.output[0]
    uses = sum(list(other.input).count(name) for other in view.graph.node)
    if uses != 1 or name in {value.name for value in view.graph.output}:
        return False
    kind, perm = attributes_of(node)["to"], attributes_of(maker)["perm"]
    # The two trade places: the former Transpose becomes the Cast that the latter reads.
    _become(maker, "Cast", [maker.input[0]], to=kind)
    return _become(node, "Transpose", [maker.output[0]], perm=perm)


def _cast_like(view: View, node: onnx.NodeProto) -> bool:
    """CastLike as Cast, once the type is known."""
    kind = view.kind(node.input[1])
    return bool(kind) and _become(node, "Cast", [node.input[0]], to=kind)


def _blank_choice(view: View, node: onnx.NodeProto) -> bool:
    """Where(c, x, Expand(v, shape of x)) needs no Expand: Where broadcasts."""
    out = view.shape(node.output[0])
    changed = False
    for index in (1, 2):
        maker = view.makers.get(node.input[index])
        if out is None or maker is None or maker.op_type != "Expand":
            continue
        rest = [view.shape(name) for other, name in enumerate(node.input) if other != index]
        source = view.shape(maker.input[0])
        if source is not None and all(shape is not None for shape in rest) and out in rest:
            node.input[index] = maker.input[0]
            changed = True
    return changed


def _integer_clip(view: View, node: onnx.NodeProto) -> bool:
    """Clip of integers, which TensorRT does not take, as Max and Min."""
    if view.kind(node.input[0]) not in _INTEGERS:
        return False
    low, high = ([*node.input[1:], "", ""])[:2]
    if low and high:
        return False
    if not low and not high:
        return _become(node, "Identity", [node.input[0]])
    return _become(node, "Max" if low else "Min", [node.input[0], low or high])


def _gather_rows(view: View, node: onnx.NodeProto) -> bool:
    """GatherND of whole rows, by an index that had its last axis added just before, as Gather."""
    maker = view.makers.get(node.input[1])
    shape = view.shape(node.input[1])
    if attributes_of(node).get("batch_dims", 0) or maker is None or maker.op_type != "Unsqueeze" or shape is None:
        return False
    axes = view.values(maker.input[1])
    if axes is None or axes.tolist() not in ([-1], [len(shape) - 1]):
        return False
    return _become(node, "Gather", [node.input[0], maker.input[0]], axis=0)


def _explicit_split(view: View, node: onnx.NodeProto) -> bool:
    """Split by sizes, not by `num_outputs`, which came with opset 18."""
    attributes = attributes_of(node)
    shape = view.shape(node.input[0])
    axis = attributes.get("axis", 0)
    if "num_outputs" not in attributes or shape is None or not isinstance(shape[axis], int):
        return False
    length, parts = int(shape[axis]), int(attributes["num_outputs"])
    size = -(-length // parts)
    sizes = [size] * (parts - 1) + [length - size * (parts - 1)]
    name = view.add_constant(np.array(sizes, np.int64), "split_sizes")
    return _become(node, "Split", [node.input[0], name], axis=axis)


_REWRITES: dict[str, tuple[Rewrite, ...]] = {
    "Expand": (_same_shape,),
    "Reshape": (_same_shape,),
    "Cast": (_same_type, _cast_bytes_first),
    "CastLike": (_cast_like,),
    "Where": (_blank_choice,),
    "Clip": (_integer_clip,),
    "GatherND": (_gather_rows,),
    "Split": (_explicit_split,),
}
