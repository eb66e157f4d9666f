"""Making an exported model small: only what a runtime reads stays in the file."""

from __future__ import annotations

from collections.abc import Iterable

import onnx


def clean(model: onnx.ModelProto) -> None:
    """Remove, in place, what no runtime needs, and store equal tensors once.

    The exporter notes a stack trace and a class path at each node (more bytes than the nodes themselves) and the shape
    of each intermediate value, which every runtime infers anew.
    """
    _strip_notes(model)
    _forward_identities(model.graph)
    _merge_equal_initializers(model.graph)
    _drop_unused_initializers(model.graph)


def _strip_notes(model: onnx.ModelProto) -> None:
    model.doc_string = ""
    del model.metadata_props[:]
    graph = model.graph
    graph.doc_string = ""
    del graph.value_info[:]
    del graph.metadata_props[:]
    for group in (graph.node, graph.initializer, graph.input, graph.output):
        for item in group:
            item.doc_string = ""
            del item.metadata_props[:]


def _rename_uses(graph: onnx.GraphProto, names: dict[str, str]) -> None:
    for node in graph.node:
        for index, name in enumerate(node.input):
            if name in names:
                node.input[index] = names[name]


def _has_subgraphs(nodes: Iterable[onnx.NodeProto]) -> bool:
    graph_types = (onnx.AttributeProto.GRAPH, onnx.AttributeProto.GRAPHS)
    return any(attribute.type in graph_types for node in nodes for attribute in node.attribute)


def _forward_identities(graph: onnx.GraphProto) -> None:
    """Remove Identity nodes, except those that name an output of the graph."""
    if _has_subgraphs(graph.node):  # whose nodes may use any outer name
        return
    outputs = {value.name for value in graph.output}
    source: dict[str, str] = {}
    kept = []
    for node in graph.node:
        if node.op_type == "Identity" and node.domain == "" and node.output[0] not in outputs:
            source[node.output[0]] = source.get(node.input[0], node.input[0])
        else:
            kept.append(node)
    _rename_uses(graph, source)
    nodes = [onnx.NodeProto.FromString(node.SerializeToString()) for node in kept]
    del graph.node[:]
    graph.node.extend(nodes)


def _merge_equal_initializers(graph: onnx.GraphProto) -> None:
    if _has_subgraphs(graph.node):
        return
    fixed = {value.name for value in [*graph.input, *graph.output]}
    first: dict[tuple[int, tuple[int, ...], bytes], str] = {}
    same: dict[str, str] = {}
    for tensor in graph.initializer:
        if tensor.name in fixed or not tensor.raw_data:
            continue
        key = (tensor.data_type, tuple(tensor.dims), tensor.raw_data)
        if first.setdefault(key, tensor.name) != tensor.name:
            same[tensor.name] = first[key]
    _rename_uses(graph, same)


def _drop_unused_initializers(graph: onnx.GraphProto) -> None:
    if _has_subgraphs(graph.node):
        return
    used = {name for node in graph.node for name in node.input} | {value.name for value in graph.output}
    for index in reversed(range(len(graph.initializer))):
        if graph.initializer[index].name not in used:
            del graph.initializer[index]


def name_dimensions(model: onnx.ModelProto, names: dict[str, dict[int, str]]) -> None:
    """Give the dynamic dimensions of inputs and outputs plain names instead of the exporter's formulas.

    Args:
        model: changed in place.
        names: value name to axis to name; axes of a fixed size are left alone.
    """
    for value in [*model.graph.input, *model.graph.output]:
        for axis, name in names.get(value.name, {}).items():
            dimension = value.type.tensor_type.shape.dim[axis]
            if not dimension.HasField("dim_value"):
                dimension.dim_param = name
