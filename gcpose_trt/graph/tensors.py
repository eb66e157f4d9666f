"""Element type and shape of every value of a graph, the outputs of `gcpose` nodes included."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import onnx
from onnx import TensorProto

from gcpose_trt.graph.functions.attach import DOMAIN

Dimension = int | str | None  # a number, a named unknown, or an unknown
_BIG = 1024  # elements from which a constant's values cannot be a shape


@dataclass(frozen=True)
class TensorInfo:
    """What is known of one value: ONNX element type (0: unknown) and shape (None: not even the rank)."""

    kind: int
    shape: tuple[Dimension, ...] | None

    @property
    def static(self) -> tuple[int, ...] | None:
        """The shape, if every dimension is a number."""
        if self.shape is None or any(not isinstance(size, int) for size in self.shape):
            return None
        return tuple(size for size in self.shape if isinstance(size, int))


def attributes_of(node: onnx.NodeProto) -> dict[str, Any]:
    """Return the attributes of a node as Python values; strings stay bytes."""
    return {attribute.name: onnx.helper.get_attribute_value(attribute) for attribute in node.attribute}


def info_of(value: onnx.ValueInfoProto) -> TensorInfo:
    """Return what a value's declaration says."""
    tensor = value.type.tensor_type
    if not tensor.HasField("shape"):
        return TensorInfo(tensor.elem_type, None)
    shape = [d.dim_value if d.HasField("dim_value") else (d.dim_param or None) for d in tensor.shape.dim]
    return TensorInfo(tensor.elem_type, tuple(shape))


def infer(model: onnx.ModelProto) -> dict[str, TensorInfo]:
    """Return what is known of every value of the main graph, by name; the model is left alone.

    ONNX's inference stops at nodes of domain `gcpose`, whether or not they have bodies that it can follow; here their
    outputs are declared as soon as their inputs are known, and inference goes on from there.
    """
    skeleton = _skeleton(model)
    known: dict[str, TensorInfo] = {}
    while True:
        inferred = onnx.shape_inference.infer_shapes(skeleton, check_type=False, strict_mode=False, data_prop=True)
        graph = inferred.graph
        known = {v.name: info_of(v) for v in [*graph.value_info, *graph.input, *graph.output]}
        known |= {t.name: TensorInfo(t.data_type, tuple(t.dims)) for t in graph.initializer}
        found = _declare_own(skeleton, known)
        if not found:
            return known


def _skeleton(model: onnx.ModelProto) -> onnx.ModelProto:
    """Return the model without functions, former inferences and the values of large constants."""
    graph = model.graph
    small = [t for t in graph.initializer if _elements(t.dims) <= _BIG]
    large = [t for t in graph.initializer if _elements(t.dims) > _BIG]
    hollow = [TensorProto(name=t.name, data_type=t.data_type, dims=t.dims) for t in large]
    outputs = [onnx.ValueInfoProto.FromString(v.SerializeToString()) for v in graph.output]
    copy = onnx.helper.make_graph(graph.node, graph.name, graph.input, outputs, [*small, *hollow])
    return onnx.helper.make_model(copy, opset_imports=model.opset_import, ir_version=model.ir_version)


def _elements(dims: Sequence[int]) -> int:
    total = 1
    for size in dims:
        total *= size
    return total


def _declare_own(skeleton: onnx.ModelProto, known: Mapping[str, TensorInfo]) -> bool:
    """Declare the outputs of the next own nodes; return whether there were any.

    What lies behind them has to wait for another round of inference, for it was inferred without knowing them.
    """
    declared = {v.name for v in [*skeleton.graph.value_info, *skeleton.graph.output]}
    behind: set[str] = set()
    new = False
    for node in skeleton.graph.node:
        if behind.intersection(node.input):
            behind.update(node.output)
        elif node.domain == DOMAIN and not declared.issuperset(node.output):
            behind.update(node.output)
            for name, info in zip(node.output, own_outputs(node, known), strict=False):
                if name and info is not None and name not in declared:
                    skeleton.graph.value_info.append(onnx.helper.make_tensor_value_info(name, info.kind, info.shape))
                    new = True
    return new


def own_outputs(node: onnx.NodeProto, known: Mapping[str, TensorInfo]) -> list[TensorInfo | None]:
    """Return what the outputs of a `gcpose` node are, None for what its inputs do not tell yet."""
    inputs = [known.get(name) for name in node.input]
    first = inputs[0] if inputs else None
    if first is None or first.shape is None:
        return [None] * len(node.output)
    attributes = attributes_of(node)
    if node.op_type == "Nms":
        most = int(attributes["max_outputs"])
        batch = first.shape[0]
        return [TensorInfo(TensorProto.INT64, (batch, most)), TensorInfo(TensorProto.INT64, (batch,))]
    if node.op_type in ("KeypointDecode", "OksDecode"):
        return [TensorInfo(TensorProto.FLOAT, (first.shape[0], first.shape[1], 3))]
    feature = inputs[2]  # of the RoIs' pooling its finest map, of the attention its values
    if feature is None or feature.shape is None or not feature.kind:
        return [None]
    if node.op_type == "MultiLevelRoiAlign":
        side = int(attributes["output_size"])
        return [TensorInfo(feature.kind, (first.shape[0], feature.shape[1], side, side))]
    return [TensorInfo(feature.kind, feature.shape)]
