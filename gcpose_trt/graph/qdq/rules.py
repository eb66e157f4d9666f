"""Which layers are quantized: names, blocks, and what stays in floating point unless asked otherwise."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from fnmatch import fnmatchcase

import onnx

from gcpose_trt.errors import GcposeError
from gcpose_trt.graph.qdq.view import View

# By layer name, as `fnmatch` patterns. Regressors and logits are read as numbers, so that their rounding is the
# result's; the attention's queries and keys go through an exponential; all of them are a small part of the work. The
# prior's last fusion and its heads are read through logarithms: with them keypoint AP falls by 0.04, without by 0.002
# (mobile; most of it is the last fusion's, whose depthwise convolution gives channels of very different ranges).
EXCLUDED = (
    "rpn.*",
    "box_head.classes",
    "box_head.deltas",
    "prior.fuse2",
    "prior.heat",
    "prior.centre",
    "prior.size",
    "prior.regress",
    "keypoint_head.*.to_qk",
    "keypoint_head.*.to_v",
    "keypoint_head.deconv",
)
_STAGES = re.compile(
    r"(backbone\.(?:blocks|convs|stages)\.\w+|backbone\.c\d\.\d+|backbone\.\w+|prior\.\w+|neck\.\w+\.\d|rpn|box_head"
    r"|keypoint_head\.stages\.\d+|keypoint_head\.\w+)"
)


def block_of(layer: str) -> str:
    """Return the block that a layer belongs to: a stage, a level, or a head."""
    found = _STAGES.match(layer)
    return found.group(1) if found else layer


def blocks_of(model: onnx.ModelProto, graph: str) -> dict[str, list[str]]:
    """Return the blocks of a float graph, in the order of the network.

    Args:
        model: detector or pose graph.
        graph: "detector" or "pose"; part of each block's name would be ambiguous without it.

    Returns:
        Block name to the names of its weighted layers, such as "backbone.blocks.3" to
        ["backbone.blocks.3.expand", ...]. Both kinds of names may be given to `insert`, as `blocks` or `exclude`.
    """
    del graph  # layers of the two graphs are named apart by the network itself
    view = View(model)
    blocks: dict[str, list[str]] = {}
    for index in range(len(model.graph.node)):
        if view.is_weighted(index):
            layers = blocks.setdefault(block_of(view.label(index)), [])
            if view.label(index) not in layers:  # one set of weights may serve every level
                layers.append(view.label(index))
    return blocks


def chosen_layers(
    view: View, exclude: Sequence[str], blocks: Collection[str] | None, defaults: bool
) -> tuple[set[int], tuple[str, ...]]:
    """Return the weighted nodes to quantize, and the names of the layers left out.

    Raises:
        GcposeError: a name in `exclude` or `blocks` fits no layer of the graph.
    """
    nodes = {index: view.label(index) for index in range(len(view.model.graph.node)) if view.is_weighted(index)}
    names = {*nodes.values(), *map(block_of, nodes.values())}
    for kind, patterns in (("exclude", exclude), ("blocks", blocks or ())):
        for pattern in patterns:
            if not any(fnmatchcase(name, pattern) for name in names):
                near = ", ".join(sorted({block_of(name) for name in nodes.values()})[:8])
                raise GcposeError(
                    f"{kind}: no layer or block of the graph is called {pattern!r}; choose from {near}, … "
                    "(gcpose-trt calibrate --sensitivity lists all)"
                )
    patterns = [*exclude, *(EXCLUDED if defaults else ())]
    left = {index for index, name in nodes.items() if _fits(name, patterns)}
    if blocks is not None:
        left |= {index for index, name in nodes.items() if not _fits(name, blocks)}
    return set(nodes) - left, tuple(sorted({nodes[index] for index in left}))


def _fits(layer: str, patterns: Collection[str]) -> bool:
    return any(fnmatchcase(layer, pattern) or fnmatchcase(block_of(layer), pattern) for pattern in patterns)
