"""Which part of the network a node belongs to, for any exported model of ours.

Anchors are what every export keeps: the modules that weights are named after, the operators of the domain `gcpose`, and
the first choice of the best. What lies between belongs to the anchor that it comes after, and what only prepares shapes
and constants to what it prepares them for. A node that nothing of this holds for is shown as `OTHER`.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

from gcpose_trt.benchmark.roofline.origin import Origin

if TYPE_CHECKING:
    import onnx

INPUT, BACKBONE, PRIOR, PYRAMID, RPN = "input", "backbone", "pose prior", "pyramid", "RPN head"
PROPOSALS, POOLED_BOXES, BOXES, DETECTIONS = "proposals, NMS", "RoIAlign, boxes", "box branch", "detections, NMS"
POOLED_PEOPLE, HEAD, PLACES = "RoIAlign, people", "keypoint head", "keypoint prior"
GCM, ATTENTION, DECODE, OTHER = "GCM", "GCM attention", "decode", "other"
# By graph, in the order in which they run.
STAGES = {
    "detector": (INPUT, BACKBONE, PRIOR, PYRAMID, RPN, PROPOSALS, POOLED_BOXES, BOXES, DETECTIONS, OTHER),
    "pose": (POOLED_PEOPLE, HEAD, GCM, ATTENTION, PLACES, DECODE, OTHER),
}
_MODULES = {"backbone": BACKBONE, "prior": PRIOR, "neck": PYRAMID, "rpn": RPN, "box_head": BOXES, "keypoint_head": HEAD}
_MODULE = re.compile(rf"(?:^|\.)({'|'.join(_MODULES)})\.")
_BLOCK = re.compile(r"keypoint_head\.stages\.(\d+)\.")
_SUPPRESSION = ("Nms", "NonMaxSuppression")
_POOLING = ("MultiLevelRoiAlign", "RoiAlign")


def assign(graph: str, origin: Origin, optimised: Sequence[onnx.NodeProto]) -> list[str]:
    """Return the stage of every optimised node.

    Args:
        graph: "detector" or "pose".
        origin: the stored graph.
        optimised: nodes in the order in which they can run.
    """
    stored = stored_stages(graph, origin)
    stages: list[str | None] = []
    for node in optimised:
        place = origin.find(node)
        known = stored[place] if place is not None else None
        # Out of the body of an operator whose result is renamed: it must not go to who reads that.
        stages.append(_pooled(graph) if node.op_type in _POOLING else known)
    _from_readers(optimised, stages)
    _from_makers(optimised, stages)
    return [stage or OTHER for stage in stages]


def stored_stages(graph: str, origin: Origin) -> list[str | None]:
    """Return the stage of every node of the stored graph; None if nothing says it."""
    blocks = {match[1] for name in origin.weights if "to_qk" in name and (match := _BLOCK.search(name))}
    stages: list[str | None] = []
    after: dict[str, tuple[int, str]] = {}  # by value: how late it is, and the stage of what comes next
    if graph == "detector":
        after["image"] = (0, INPUT)
    for place, node in enumerate(origin.nodes):
        latest = max((after[name] for name in node.input if name in after), default=(0, None))
        before = None if node.op_type == "Shape" else latest[1]  # a shape says nothing of what has it
        stage = _anchor(graph, node, origin, blocks, before) or before
        stages.append(stage)
        if stage is not None:
            following = _next(node, stage)
            # The detector's stages run one after the other, those of the keypoint head take turns.
            late = STAGES[graph].index(following) if graph == "detector" else place
            after.update(dict.fromkeys(node.output, (late, following)))
    _from_readers(origin.nodes, stages)
    return stages


def _anchor(graph: str, node: onnx.NodeProto, origin: Origin, blocks: set[str], before: str | None) -> str | None:
    if node.op_type in _SUPPRESSION:
        return DETECTIONS if before in (BOXES, DETECTIONS) else PROPOSALS
    if node.op_type in _POOLING:
        return _pooled(graph)
    if node.op_type == "GcmAttention":
        return ATTENTION
    if node.op_type in ("KeypointDecode", "OksDecode"):
        return DECODE
    if node.op_type == "TopK" and before in (PRIOR, PYRAMID, RPN):
        return PROPOSALS
    for value in node.input:
        name = origin.weight_name(value)
        # Numbers that only scale or shift what flows by (a mean, one a joint) are named after modules too.
        if name is None or (len(origin.weights[name]) < 2 and node.op_type != "BatchNormalization"):
            continue
        if match := _MODULE.search(name):
            block = _BLOCK.search(name)
            return GCM if block and block[1] in blocks else _MODULES[match[1]]
    return None


def _pooled(graph: str) -> str:
    return POOLED_BOXES if graph == "detector" else POOLED_PEOPLE


def _next(node: onnx.NodeProto, stage: str) -> str:
    """Return the stage of what follows a node and is no anchor itself."""
    if stage == ATTENTION:
        return GCM
    if stage == POOLED_PEOPLE and node.op_type in _POOLING:
        return PLACES
    return stage


def _from_readers(nodes: Sequence[onnx.NodeProto], stages: list[str | None]) -> None:
    """Give nodes without a stage that of the first node that reads what they make."""
    first: dict[str, str] = {}
    for place in reversed(range(len(nodes))):
        node = nodes[place]
        if stages[place] is None:
            stages[place] = next((first[name] for name in node.output if name in first), None)
        stage = stages[place]
        if stage is not None:
            first.update((name, stage) for name in node.input if name)


def _from_makers(nodes: Sequence[onnx.NodeProto], stages: list[str | None]) -> None:
    """Give those that nothing reads, such as a last change of layout, the stage of what they read."""
    made: dict[str, str] = {}
    for place, node in enumerate(nodes):
        if stages[place] is None:
            stages[place] = next((made[name] for name in node.input if name in made), None)
        stage = stages[place]
        if stage is not None:
            made.update((name, stage) for name in node.output if name)
