"""Writing a graph of opset 18 as one of opset 17, the last that TensorRT 8.5 and 8.6 read.

They do not refuse newer graphs: they miss what was moved from attributes to inputs, which would be wrong silently.
"""

from __future__ import annotations

import onnx
from onnx import helper, numpy_helper

from gcpose_trt.errors import GcposeError

TARGET = 17
# Since opset 18 these take their axes as an input (ReduceSum since 13).
_REDUCTIONS = {
    "ReduceMax",
    "ReduceMean",
    "ReduceMin",
    "ReduceProd",
    "ReduceL1",
    "ReduceL2",
    "ReduceLogSum",
    "ReduceLogSumExp",
    "ReduceSumSquare",
}
_NEW_RESIZE_ATTRIBUTES = {"antialias": 0, "axes": None, "keep_aspect_ratio_policy": b"stretch"}
_NEWER = {
    "BitwiseAnd",
    "BitwiseNot",
    "BitwiseOr",
    "BitwiseXor",
    "CenterCropPad",
    "Col2Im",
    "Mish",
    "OptionalHasElement",
}


def lower_opset(model: onnx.ModelProto) -> None:
    """Rewrite a graph, in place, for opset 17; Split nodes must have their sizes (see `fold`).

    Raises:
        GcposeError: a node means something that opset 17 cannot say.
    """
    entry = next(entry for entry in model.opset_import if entry.domain in ("", "ai.onnx"))
    if entry.version <= TARGET:
        return
    if entry.version > 18 or model.functions:
        return  # what changed since 19 is not rewritten here; such a graph goes to parsers that read it
    constants = {tensor.name: tensor for tensor in model.graph.initializer}
    for node in model.graph.node:
        if node.domain == "":
            _lower(node, constants)
    entry.version = TARGET


def _lower(node: onnx.NodeProto, constants: dict[str, onnx.TensorProto]) -> None:
    if node.op_type in _REDUCTIONS:
        _axes_to_attribute(node, constants)
    elif node.op_type == "Resize":
        _drop_attributes(node)
    new_pad = node.op_type == "Pad" and len(node.input) > 3 and node.input[3]
    new_split = node.op_type == "Split" and any(attribute.name == "num_outputs" for attribute in node.attribute)
    if node.op_type in _NEWER or new_pad or new_split:
        raise GcposeError(
            f"node {node.output[0]} ({node.op_type}) cannot be written in opset {TARGET}; export the model again with "
            "a fixed size"
        )


def _axes_to_attribute(node: onnx.NodeProto, constants: dict[str, onnx.TensorProto]) -> None:
    if len(node.input) < 2 or not node.input[1]:
        return
    axes = constants.get(node.input[1])
    if axes is None:
        raise GcposeError(f"the axes of node {node.output[0]} are computed; export the model again with a fixed size")
    del node.input[1:]
    kept = [attribute for attribute in node.attribute if attribute.name != "noop_with_empty_axes"]
    kept = [onnx.AttributeProto.FromString(attribute.SerializeToString()) for attribute in kept]
    del node.attribute[:]
    node.attribute.extend([*kept, helper.make_attribute("axes", numpy_helper.to_array(axes).tolist())])


def _drop_attributes(node: onnx.NodeProto) -> None:
    kept = []
    for attribute in node.attribute:
        if attribute.name not in _NEW_RESIZE_ATTRIBUTES:
            kept.append(onnx.AttributeProto.FromString(attribute.SerializeToString()))
        elif helper.get_attribute_value(attribute) != _NEW_RESIZE_ATTRIBUTES[attribute.name]:
            raise GcposeError(f"node {node.output[0]} resizes in a way of opset 18; export the model again")
    del node.attribute[:]
    node.attribute.extend(kept)
