"""Giving the `gcpose` nodes of a model their function bodies."""

from __future__ import annotations

import functools
from collections.abc import Iterable

import onnx
import onnx.parser

from gcpose_trt.errors import GcposeError
from gcpose_trt.graph.functions import gcm_attention, keypoint_decode, multi_level_roi_align, nms, oks_decode

DOMAIN = "gcpose"
VERSION = 1
LOWEST_OPSET = 18
_FEATURES_FROM = 2  # inputs of a MultiLevelRoiAlign before its features
_FIXED_BODIES = {
    "GcmAttention": gcm_attention.BODY,
    "KeypointDecode": keypoint_decode.BODY,
    "Nms": nms.BODY,
    "OksDecode": oks_decode.BODY,
}


@functools.cache
def _parse(text: str) -> onnx.FunctionProto:
    return onnx.parser.parse_function(text)


def function_of(node: onnx.NodeProto, opset: int = LOWEST_OPSET) -> onnx.FunctionProto:
    """Return a function that serves `node`, a node of domain `gcpose`.

    Args:
        node: the node.
        opset: of the function; onnx's checker wants it to be the model's. The bodies mean the same from 18 on.

    Raises:
        GcposeError: there is no op of that name.
    """
    if node.op_type == "MultiLevelRoiAlign":
        text = multi_level_roi_align.body(len(node.input) - _FEATURES_FROM)
    elif node.op_type in _FIXED_BODIES:
        text = _FIXED_BODIES[node.op_type]
    else:
        known = ", ".join(sorted([*_FIXED_BODIES, "MultiLevelRoiAlign"]))
        raise GcposeError(f"no op {node.op_type!r} in domain {DOMAIN}; use one of {known}")
    function = onnx.FunctionProto()
    function.CopyFrom(_parse(text))
    function.opset_import[0].version = opset
    return function


def _equalize_levels(nodes: Iterable[onnx.NodeProto]) -> None:
    """Give every MultiLevelRoiAlign as many features as the one with the most: its last feature and stride repeat.

    A RoI of any level past the last then pools the same map, as it did before.
    """
    pooling = [node for node in nodes if node.op_type == "MultiLevelRoiAlign"]
    most = max((len(node.input) for node in pooling), default=0)
    for node in pooling:
        more = most - len(node.input)
        node.input.extend([node.input[-1]] * more)
        strides = next(attribute for attribute in node.attribute if attribute.name == "strides")
        strides.ints.extend([strides.ints[-1]] * more)


def attach_functions(model: onnx.ModelProto) -> None:
    """Append, in place, a body for every `gcpose` node of the main graph; a body that is there already is replaced.

    Raises:
        GcposeError: the model is of an opset below 18, or has a node of an unknown op.
    """
    opset = next(entry.version for entry in model.opset_import if entry.domain in ("", "ai.onnx"))
    if opset < LOWEST_OPSET:
        raise GcposeError(f"the graph is of opset {opset}; export it with opset {LOWEST_OPSET} or later")
    own = [node for node in model.graph.node if node.domain == DOMAIN]
    _equalize_levels(own)
    functions = {node.op_type: function_of(node, opset) for node in own}
    kept = [function for function in model.functions if function.domain != DOMAIN]
    del model.functions[:]
    model.functions.extend([*kept, *functions.values()])
    if not own:
        return
    imported = {entry.domain: entry for entry in model.opset_import}
    if DOMAIN in imported:
        imported[DOMAIN].version = VERSION
    else:
        model.opset_import.append(onnx.helper.make_opsetid(DOMAIN, VERSION))
