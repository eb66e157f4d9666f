"""Cutting prepared graphs at what a builder without plugins cannot take.

TensorRT-RTX has no plugins, no non-maximum suppression, and pools regions only where there is a GPU. Everything between
those nodes is cut into segments, graphs of their own that it builds; joined again by the nodes that stay outside they
compute what the whole computes.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import onnx
from onnx import helper

from gcpose_trt.graph.cleanup import clean
from gcpose_trt.graph.folding import fold
from gcpose_trt.graph.functions.attach import DOMAIN
from gcpose_trt.graph.functions.native import PLUGINLESS, inline_native, strip_functions
from gcpose_trt.graph.opset import lower_opset
from gcpose_trt.graph.prepare import PEOPLE
from gcpose_trt.graph.tensors import TensorInfo, infer

# By graph, the segments in the order of the network: as many outside nodes lie before a segment as its place here.
_NAMES = {
    "detector": ("backbone", "proposals", "box_head", "detections"),
    "pose": ("regions", "keypoint_head"),
}
_OUTSIDE = {"NonMaxSuppression", "RoiAlign", "NonZero"}


@dataclass(frozen=True)
class Segment:
    """A part of one of the graphs.

    Attributes:
        name: "backbone" (image to pyramid, priors and decoded proposals), "proposals" (those that suppression kept),
            "box_head", "detections", "regions" (enlarged boxes, padded map), "keypoint_head" (with attention, and with
            the decode where no plugin serves it).
        graph: "detector" or "pose".
        model: a graph of opset 17 whose inputs and outputs are values of the whole, under their names there.
    """

    name: str
    graph: str
    model: onnx.ModelProto

    @property
    def inputs(self) -> tuple[str, ...]:
        """Names of the values that it reads."""
        return tuple(value.name for value in self.model.graph.input)

    @property
    def outputs(self) -> tuple[str, ...]:
        """Names of the values that it makes for others."""
        return tuple(value.name for value in self.model.graph.output)


def split_for_rtx(detector: onnx.ModelProto, pose: onnx.ModelProto) -> tuple[list[Segment], list[str]]:
    """Cut both graphs into segments for TensorRT-RTX.

    Args:
        detector: as prepared with a size, a batch and native attention.
        pose: likewise.

    Returns:
        The segments, and the nodes that stay outside, as "graph: op (value that it makes)".
    """
    segments: list[Segment] = []
    outside: list[str] = []
    for graph, model in (("detector", detector), ("pose", pose)):
        parts, left = _split(graph, _inlined(model))
        segments += parts
        outside += left
    return segments, outside


def _inlined(model: onnx.ModelProto) -> onnx.ModelProto:
    """Return a graph in which nodes that have no plugin anywhere are standard ONNX."""
    if not any(node.domain == DOMAIN and node.op_type in PLUGINLESS for node in model.graph.node):
        return model
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    inline_native(copy, PLUGINLESS)
    fold(copy)
    return copy


def is_outside(node: onnx.NodeProto) -> bool:
    """Return whether TensorRT-RTX cannot take a node."""
    own = node.domain == DOMAIN and node.op_type not in {"GcmAttention", *PLUGINLESS}
    return own or node.op_type in _OUTSIDE


def _split(graph: str, model: onnx.ModelProto) -> tuple[list[Segment], list[str]]:
    stages, outside = _stages(model)
    known = infer(model)
    segments = []
    for stage, nodes in sorted(stages.items()):
        names = _NAMES[graph]
        name = names[stage] if stage < len(names) else f"{graph}_{stage}"
        segments.append(Segment(name, graph, _extract(model, nodes, known, name)))
    return segments, [f"{graph}: {node.op_type} ({node.output[0]})" for node in outside]


def _stages(model: onnx.ModelProto) -> tuple[dict[int, list[onnx.NodeProto]], list[onnx.NodeProto]]:
    """Group nodes by how many outside nodes, one after the other, come before them."""
    nodes = list(model.graph.node)
    constant = _constant_nodes(model, nodes)
    stage_of: dict[str, int] = {}
    places: dict[int, int] = {}
    for index, node in enumerate(nodes):
        if index not in constant:
            places[index] = max((stage_of.get(name, 0) for name in node.input), default=0)
            stage_of.update(dict.fromkeys(node.output, places[index] + is_outside(node)))
    _place_constants(nodes, constant, places)
    stages: dict[int, list[onnx.NodeProto]] = {}
    for index, node in enumerate(nodes):
        if not is_outside(node):
            stages.setdefault(places[index], []).append(node)
    return stages, [node for node in nodes if is_outside(node)]


def _constant_nodes(model: onnx.ModelProto, nodes: Sequence[onnx.NodeProto]) -> set[int]:
    """Return the places of nodes that compute from constants alone, such as a DequantizeLinear of weights."""
    known = {tensor.name for tensor in model.graph.initializer} | {""}
    found = set()
    for index, node in enumerate(nodes):
        if not is_outside(node) and all(name in known for name in node.input):
            found.add(index)
            known.update(node.output)
    return found


def _place_constants(nodes: Sequence[onnx.NodeProto], constant: Collection[int], places: dict[int, int]) -> None:
    """Put such nodes where they are first read: as an input from another segment a weight would be no weight."""
    wanted: dict[str, int] = {}
    for index, node in reversed(list(enumerate(nodes))):
        if index in constant:
            places[index] = min((wanted[name] for name in node.output if name in wanted), default=0)
        for name in node.input:
            wanted[name] = min(wanted.get(name, places[index]), places[index])


def _extract(
    model: onnx.ModelProto, nodes: list[onnx.NodeProto], known: Mapping[str, TensorInfo], name: str
) -> onnx.ModelProto:
    """Return some nodes of a graph as a model: it reads what others make and makes what others read."""
    graph = model.graph
    constants = {tensor.name for tensor in graph.initializer}
    own = {output for node in nodes for output in node.output}
    inside = {id(node) for node in nodes}
    wanted = {value.name for value in graph.output}
    wanted |= {value for node in graph.node if id(node) not in inside for value in node.input}
    read = dict.fromkeys(value for node in nodes for value in node.input if value and value not in own)
    part = helper.make_graph(
        nodes,
        name,
        [_declare(value, known) for value in read if value not in constants],
        [_declare(value, known) for node in nodes for value in node.output if value in wanted],
        [tensor for tensor in graph.initializer if tensor.name in read],
    )
    out = helper.make_model(part, opset_imports=model.opset_import, ir_version=model.ir_version)
    _bodies(out, model, {(node.domain, node.op_type) for node in nodes})
    clean(out)
    lower_opset(out)
    out.producer_name, out.producer_version = model.producer_name, model.producer_version
    return out


def _bodies(out: onnx.ModelProto, model: onnx.ModelProto, ops: Collection[tuple[str, str]]) -> None:
    out.functions.extend(function for function in model.functions if (function.domain, function.name) in ops)
    if not any(domain == DOMAIN for domain, _ in ops):
        strip_functions(out)


def _declare(name: str, known: Mapping[str, TensorInfo]) -> onnx.ValueInfoProto:
    info = known[name]
    shape = [size if isinstance(size, int) else PEOPLE for size in info.shape or ()]
    return helper.make_tensor_value_info(name, info.kind, shape)
