"""Giving the `gcpose` nodes of a model their function bodies."""

from __future__ import annotations

import functools

import onnx
import onnx.parser

from gcpose_trt.errors import GcposeError
from gcpose_trt.graph.functions import gcm_attention, keypoint_decode, multi_level_roi_align, nms

DOMAIN = "gcpose"
VERSION = 1
LOWEST_OPSET = 18
_OVERLOADS_SINCE_IR = 10
_FIXED_BODIES = {
    "GcmAttention": gcm_attention.BODY,
    "KeypointDecode": keypoint_decode.BODY,
    "Nms": nms.BODY,
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
        text = multi_level_roi_align.body(len(node.input) - 2)
    elif node.op_type in _FIXED_BODIES:
        text = _FIXED_BODIES[node.op_type]
    else:
        known = ", ".join(sorted([*_FIXED_BODIES, "MultiLevelRoiAlign"]))
        raise GcposeError(f"no op {node.op_type!r} in domain {DOMAIN}; use one of {known}")
    function = onnx.FunctionProto()
    function.CopyFrom(_parse(text))
    function.opset_import[0].version = opset
    return function


def attach_functions(model: onnx.ModelProto) -> None:
    """Append, in place, a body for every `gcpose` node of the main graph; a body that is there already is replaced.

    The first form of an op in the graph gets the plain name; others (MultiLevelRoiAlign over another number of
    features) become overloads.

    Raises:
        GcposeError: the model is of an opset below 18, or has a node of an unknown op.
    """
    opset = next(entry.version for entry in model.opset_import if entry.domain in ("", "ai.onnx"))
    if opset < LOWEST_OPSET:
        raise GcposeError(f"the graph is of opset {opset}; export it with opset {LOWEST_OPSET} or later")
    kept = [function for function in model.functions if function.domain != DOMAIN]
    forms: dict[tuple[str, int], onnx.FunctionProto] = {}
    for node in model.graph.node:
        if node.domain != DOMAIN:
            continue
        key = (node.op_type, len(node.input))
        if key not in forms:
            function = function_of(node, opset)
            if any(op_type == node.op_type for op_type, _ in forms):
                function.overload = f"inputs_{len(node.input)}"
                model.ir_version = max(model.ir_version, _OVERLOADS_SINCE_IR)
            forms[key] = function
        node.overload = forms[key].overload
    del model.functions[:]
    model.functions.extend([*kept, *forms.values()])
    if not forms:
        return
    imported = {entry.domain: entry for entry in model.opset_import}
    if DOMAIN in imported:
        imported[DOMAIN].version = VERSION
    else:
        model.opset_import.append(onnx.helper.make_opsetid(DOMAIN, VERSION))
