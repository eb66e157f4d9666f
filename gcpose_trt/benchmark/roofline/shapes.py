"""The values that the nodes of an optimised graph had in a run, in their true shapes.

ONNX Runtime pads channels to the width of a vector register in its own layout (domain com.microsoft.nchwc). The work of
a layer is that of its true channels, so they are taken from the stored graph and carried through the layout. Nodes of
other domains between two such layers (an addition, say) are counted as they run, padding included.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from gcpose_trt.benchmark.roofline.counting import Call, Value
from gcpose_trt.benchmark.roofline.graphs import Optimised
from gcpose_trt.benchmark.roofline.origin import Origin

if TYPE_CHECKING:
    import onnx

_PADDED = "com.microsoft.nchwc"


def calls(graph: Optimised, made: Mapping[str, Sequence[Value]], feeds: Mapping[str, Value]) -> dict[str, Call]:
    """Return each node with its values, by name, in the order of the graph.

    Args:
        graph: that ran.
        made: the outputs of each node, by its name, as the profile tells them.
        feeds: inputs of the graph.
    """
    from onnx import helper

    values = {**feeds, **_weights(graph.model)}
    for node in graph.model.graph.node:
        values.update(zip(filter(None, node.output), made.get(node.name, ()), strict=False))
    result = {}
    for node in graph.model.graph.node:  # in an order in which they can run: inputs have their true shapes already
        attributes = {item.name: helper.get_attribute_value(item) for item in node.attribute}
        if node.domain == _PADDED:
            _unpad(node, attributes, values, graph.origin)
        result[node.name] = Call(
            node.op_type,
            tuple(values.get(name) if name else None for name in node.input),
            tuple(values[name] for name in node.output if name in values),
            attributes,
        )
    return result


def _weights(model: onnx.ModelProto) -> dict[str, Value]:
    from onnx import TensorProto

    name_of = TensorProto.DataType.Name
    return {item.name: Value(tuple(item.dims), name_of(item.data_type).lower()) for item in model.graph.initializer}


def _unpad(node: onnx.NodeProto, attributes: Mapping[str, Any], values: dict[str, Value], origin: Origin) -> None:
    """Put the true shapes of what a node in the padded layout reads and makes in the place of the padded ones."""
    source, made = values.get(node.input[0]), values.get(node.output[0])
    if source is None or made is None or len(made.shape) != 4:
        return
    if node.op_type == "Conv":
        weight = values.get(node.input[1])
        shape = origin.weight_shape(node, weight.shape) if weight is not None else None
        if weight is not None and shape is not None:
            values[node.input[1]] = Value(shape, weight.kind)
            if len(node.input) > 2 and node.input[2]:
                values[node.input[2]] = Value(shape[:1], weight.kind)
            channels = shape[0]
        else:
            channels = min(source.shape[1], made.shape[1]) if attributes.get("group", 1) > 1 else made.shape[1]
    elif node.op_type == "ReorderInput":
        channels = source.shape[-1] if attributes.get("channels_last") else source.shape[1]
    elif node.op_type == "ReorderOutput":
        return
    else:
        channels = source.shape[1]
    values[node.output[0]] = Value((made.shape[0], channels, *made.shape[2:]), made.kind)
