"""The checkpoints of the paper's authors, from their fork of detectron2: r50 and r101 entire."""

from __future__ import annotations

from collections.abc import Iterable

from torch import Tensor

from gcpose_trt.model.checkpoint.detectron2 import (
    CONSTANTS,
    KEYPOINT_HEAD,
    backbone_of,
    check_input,
    detector_table,
    parameters,
)
from gcpose_trt.model.checkpoint.report import Conversion
from gcpose_trt.model.checkpoint.resnet_names import NORM, Table, rename, take_msra_backbone

CONVS = 4  # convolutions after each global context module, with a ReLU each
# Their name of a global context module: its first convolution and its place among ours (`KeypointHead.stages`).
STAGES = {"MHSA_1": (1, 0), "MHSA_5": (5, 1 + 2 * CONVS)}
ATTENTION = {
    "MHSA.to_qk.weight": "to_qk.weight",
    "MHSA.to_v.weight": "to_v.weight",
    "MHSA.pos_emb.rel_height": "rel_height",
    "MHSA.pos_emb.rel_width": "rel_width",
    "conv_fc.weight": "conv.weight",
    "conv_fc.bias": "conv.bias",
    **{f"{norm}.{leaf}": f"{norm}.{leaf}" for norm in ("norm1", "norm2") for leaf in (*NORM, "num_batches_tracked")},
}


def is_authors(names: Iterable[str]) -> bool:
    """Tell whether these are the names of the authors' fork."""
    return any(name.startswith((f"{KEYPOINT_HEAD}conv_channel.", f"{KEYPOINT_HEAD}MHSA_")) for name in names)


def _keypoint_table() -> Table:
    modules = {"conv_channel": "reduce", "score_lowres": "deconv"}
    table: Table = {}
    for theirs, (first, place) in STAGES.items():
        table |= {f"{theirs}.{name}": f"stages.{place}.{ours}" for name, ours in ATTENTION.items()}
        modules |= {f"conv_fcn{first + index}": f"stages.{place + 1 + 2 * index}" for index in range(CONVS)}
    table |= parameters(modules)
    return {KEYPOINT_HEAD + theirs: f"keypoint_head.{ours}" for theirs, ours in table.items()}


def convert_authors(tensors: dict[str, Tensor]) -> Conversion:
    """Return the whole network."""
    check_input(tensors)
    backbone = backbone_of(tensors)
    result = Conversion("GCPose R-CNN of the paper's authors", backbone)
    rename(result, tensors, detector_table(backbone) | _keypoint_table(), CONSTANTS)
    take_msra_backbone(result)
    return result
