"""Nodes of domain `gcpose` for those who have no plugin, or no functions."""

from __future__ import annotations

from collections.abc import Collection

import onnx
import onnx.inliner
import onnx.parser

from gcpose_trt.errors import GcposeError
from gcpose_trt.graph.functions import multi_level_roi_align
from gcpose_trt.graph.functions.attach import DOMAIN, attach_functions

NATIVE = frozenset({"GcmAttention", "MultiLevelRoiAlign", "OksDecode"})
PLUGINLESS = frozenset({"OksDecode"})
_FEATURES_FROM = 2


def strip_functions(model: onnx.ModelProto) -> None:
    """Remove the bodies of `gcpose` nodes, in place: plain custom nodes, for parsers that look for plugins only."""
    kept = [function for function in model.functions if function.domain != DOMAIN]
    del model.functions[:]
    model.functions.extend(kept)


def inline_native(model: onnx.ModelProto, ops: Collection[str] = NATIVE) -> int:
    """Replace nodes, in place, by standard ONNX without NonZero; `fold` afterwards computes their constants.

    The pooling takes every RoI from every level and chooses, with RoIs of other levels emptied; ONNX's RoiAlign then
    works in float32 whatever the features are. Attention multiplies in the type of its inputs, softmax in float32.
    Bodies of other nodes are left as they are.

    Args:
        model: a graph of opset 18 or later.
        ops: which, of `NATIVE`; those of `PLUGINLESS` have no other way to run where there are no functions.

    Returns:
        How many nodes were replaced.

    Raises:
        GcposeError: one of the ops has no native form.
    """
    unknown = sorted(set(ops) - NATIVE)
    if unknown:
        raise GcposeError(f"{', '.join(unknown)} cannot be native; choose from {', '.join(sorted(NATIVE))}")
    chosen = [node for node in model.graph.node if node.domain == DOMAIN and node.op_type in ops]
    if not chosen:
        return 0
    before = [onnx.FunctionProto.FromString(function.SerializeToString()) for function in model.functions]
    metadata = {entry.key: entry.value for entry in model.metadata_props}
    attach_functions(model)
    poolings = _name_poolings(model, chosen)
    names = [(DOMAIN, name) for name in {"GcmAttention", "OksDecode"}.intersection(ops) | poolings]
    inlined = onnx.inliner.inline_selected_functions(model, names)
    del inlined.functions[:]
    left = {node.op_type for node in inlined.graph.node if node.domain == DOMAIN}
    inlined.functions.extend(function for function in before if function.domain != DOMAIN or function.name in left)
    onnx.helper.set_model_props(inlined, metadata)
    model.CopyFrom(inlined)
    return len(chosen)


def _name_poolings(model: onnx.ModelProto, nodes: list[onnx.NodeProto]) -> set[str]:
    """Give every pooling node an op type of its number of levels, and the model those functions."""
    names = set()
    opset = next(entry.version for entry in model.opset_import if entry.domain in ("", "ai.onnx"))
    for node in nodes:
        if node.op_type != "MultiLevelRoiAlign":
            continue
        _merge_levels(node)
        levels = len(node.input) - _FEATURES_FROM
        node.op_type = f"MultiLevelRoiAlign{levels}"
        if node.op_type not in names:
            function = onnx.parser.parse_function(multi_level_roi_align.static_body(levels))
            function.name = node.op_type
            function.opset_import[0].version = opset
            model.functions.append(function)
            names.add(node.op_type)
    return names


def _merge_levels(node: onnx.NodeProto) -> None:
    """Drop the last level while it repeats the one before, as `attach_functions` makes them."""
    strides = next(attribute for attribute in node.attribute if attribute.name == "strides")
    while len(strides.ints) > 1 and node.input[-1] == node.input[-2] and strides.ints[-1] == strides.ints[-2]:
        del node.input[-1]
        del strides.ints[-1]
