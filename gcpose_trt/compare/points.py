"""Where the stages are in the two graphs of a model: at the inputs and outputs of the `gcpose` nodes.

Those nodes survive every pass over the graph, the names that the exporter gives to values do not.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field

import onnx

_DOMAIN = "gcpose"
_RESHAPING = ("Reshape", "Cast", "Identity", "Squeeze", "Unsqueeze", "Flatten")


@dataclass(frozen=True)
class DetectorPoints:
    """Names of values in a detector graph; None or empty where the graph does not show them.

    Attributes:
        maps: what the box branch pools from, by what it is called in a report.
        proposals: (B, P, 4); proposal_count: (B,), of the first Nms.
        boxes, scores: what goes into the last Nms, (B, P, 4) and (B, P).
    """

    maps: Mapping[str, str] = field(default_factory=dict)
    proposals: str | None = None
    proposal_count: str | None = None
    boxes: str | None = None
    scores: str | None = None

    def names(self) -> list[str]:
        """Return every value that there is, once."""
        single = [self.proposals, self.proposal_count, self.boxes, self.scores]
        return list(dict.fromkeys([*self.maps.values(), *(name for name in single if name)]))


def _own(graph: onnx.GraphProto, op_type: str) -> list[onnx.NodeProto]:
    return [node for node in graph.node if node.domain == _DOMAIN and node.op_type == op_type]


def _strides(node: onnx.NodeProto) -> list[int]:
    return next((list(item.ints) for item in node.attribute if item.name == "strides"), [])


def _before_reshaping(graph: onnx.GraphProto, name: str) -> str:
    """Return the value that `name` is another shape or type of."""
    producer = {output: node for node in graph.node for output in node.output}
    while name in producer and producer[name].op_type in _RESHAPING:
        name = producer[name].input[0]
    return name


def detector_points(model: onnx.ModelProto) -> DetectorPoints:
    """Find the stages of a detector."""
    graph = model.graph
    pooling, suppression = _own(graph, "MultiLevelRoiAlign"), _own(graph, "Nms")
    maps: dict[str, str] = {}
    for node in pooling:
        strides, features = _strides(node), list(node.input[2:])
        # A pooling of one map may repeat it, because all poolings of a graph share one function of several maps.
        if len(set(features)) == 1:
            maps.setdefault("box prior", features[0])
            continue
        for stride, feature in zip(strides, features, strict=False):
            maps.setdefault(f"pyramid p{stride.bit_length() - 1}", feature)
    return DetectorPoints(
        maps=maps,
        proposals=_before_reshaping(graph, pooling[0].input[0]) if pooling else None,
        proposal_count=suppression[0].output[1] if len(suppression) > 1 else None,
        boxes=suppression[-1].input[0] if len(suppression) > 1 else None,
        scores=suppression[-1].input[1] if len(suppression) > 1 else None,
    )


def logits_point(model: onnx.ModelProto) -> str | None:
    """Return the name of the logits (N, 17, S, S) in a pose graph."""
    decoding = _own(model.graph, "KeypointDecode") + _own(model.graph, "OksDecode")
    return decoding[0].input[0] if decoding else None


def add_outputs(model: onnx.ModelProto, names: Iterable[str]) -> onnx.ModelProto:
    """Return a copy of `model` that also returns these values; ONNX Runtime finds out their types itself."""
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    there = {value.name for value in copy.graph.output}
    for name in dict.fromkeys(names):
        if name not in there:
            copy.graph.output.append(onnx.ValueInfoProto(name=name))
    return copy


def _uses(node: onnx.NodeProto) -> set[str]:
    """Return the values that a node reads, those inside its branches included."""
    names = set(node.input)
    for attribute in node.attribute:
        for graph in [attribute.g, *attribute.graphs]:
            names = names.union(*(_uses(inner) for inner in graph.node))
    return names - {""}


def cut(
    model: onnx.ModelProto,
    inputs: Mapping[str, int],
    outputs: Collection[str],
    may_use: Callable[[onnx.NodeProto], bool] = lambda node: True,
) -> onnx.ModelProto | None:
    """Return the part of `model` between values of it.

    Args:
        model: its functions come along.
        inputs: names of values to element types (onnx.TensorProto); graph inputs among them, if they are needed.
        outputs: names of values.
        may_use: says of a node whether it may be in the part.

    Returns:
        A model of those inputs that are needed, or None if the outputs also need another input of the graph, or a node
        that must not be there.
    """
    producer = {output: node for node in model.graph.node for output in node.output}
    known = {tensor.name for tensor in model.graph.initializer}
    needed, todo, used = set(), list(outputs), set()
    while todo:
        name = todo.pop()
        if name in inputs or name in known:
            used.add(name)
            continue
        if name not in producer or not may_use(producer[name]):
            return None
        key = producer[name].output[0]
        if key not in needed:
            needed.add(key)
            todo += _uses(producer[name])
    part = onnx.ModelProto()
    part.CopyFrom(model)
    del (
        part.graph.node[:],
        part.graph.input[:],
        part.graph.output[:],
        part.graph.initializer[:],
        part.graph.value_info[:],
    )
    part.graph.node.extend(node for node in model.graph.node if node.output[0] in needed)
    part.graph.initializer.extend(tensor for tensor in model.graph.initializer if tensor.name in used)
    part.graph.input.extend(
        onnx.helper.make_tensor_value_info(name, kind, None) for name, kind in inputs.items() if name in used
    )
    part.graph.output.extend(onnx.ValueInfoProto(name=name) for name in outputs)
    return part
