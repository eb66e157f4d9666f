"""Detectron2's keypoint R-CNN: backbone, pyramid, proposals and box branch of r50 and r101.

Its keypoint branch is another network (256 channels pooled from all levels, no global context), so ours keeps its
initial weights and has to be trained.
"""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor

from gcpose_trt.model.checkpoint.report import CheckpointError, Conversion
from gcpose_trt.model.checkpoint.resnet_names import Table, depth, detectron2_table, rename, take_msra_backbone
from gcpose_trt.model.config import CONFIGS

BOTTOM_UP = "backbone.bottom_up."
KEYPOINT_HEAD = "roi_heads.keypoint_head."
# Constants that older versions saved among the weights.
CONSTANTS = ("pixel_mean", "pixel_std", "proposal_generator.anchor_generator.")
MODULES = {
    "proposal_generator.rpn_head.conv": "rpn.conv",
    "proposal_generator.rpn_head.objectness_logits": "rpn.objectness",
    "proposal_generator.rpn_head.anchor_deltas": "rpn.deltas",
    "roi_heads.box_head.fc1": "box_head.fc1",
    "roi_heads.box_head.fc2": "box_head.fc2",
    "roi_heads.box_predictor.cls_score": "box_head.classes",
    "roi_heads.box_predictor.bbox_pred": "box_head.deltas",
    **{f"backbone.fpn_lateral{level}": f"neck.lateral.{level}" for level in (2, 3, 4, 5)},
    **{f"backbone.fpn_output{level}": f"neck.output.{level}" for level in (2, 3, 4, 5)},
}


def is_detectron2(names: Iterable[str]) -> bool:
    """Tell whether these are detectron2's names of a detector with a feature pyramid."""
    return any(name.startswith(BOTTOM_UP) for name in names)


def parameters(modules: dict[str, str]) -> Table:
    """Return the table of weights and biases of `modules`, their name to ours."""
    return {f"{theirs}.{leaf}": f"{ours}.{leaf}" for theirs, ours in modules.items() for leaf in ("weight", "bias")}


def detector_table(backbone: str) -> Table:
    """Return the table of everything but the keypoint branch."""
    return detectron2_table(backbone, BOTTOM_UP) | parameters(MODULES)


def backbone_of(tensors: dict[str, Tensor]) -> str:
    """Return "resnet50" or "resnet101"."""
    return depth(tensors, f"{BOTTOM_UP}res4.6.conv1.weight")


def check_input(tensors: dict[str, Tensor]) -> None:
    """Refuse weights that want their input normalised otherwise, where the file says so."""
    config = CONFIGS["r50"]
    for name, ours in (("pixel_mean", config.pixel_mean), ("pixel_std", config.pixel_std)):
        if name in tensors and not torch.allclose(tensors[name].flatten().float(), torch.tensor(ours), atol=0.01):
            values = ", ".join(f"{value:g}" for value in tensors[name].flatten().tolist())
            raise CheckpointError(
                f"this checkpoint wants {name} ({values}), the paper's models have {ours}; choose weights trained on "
                "BGR 0..255 minus the mean"
            )


def convert_detectron2(tensors: dict[str, Tensor]) -> Conversion:
    """Return everything but the keypoint branch."""
    check_input(tensors)
    backbone = backbone_of(tensors)
    result = Conversion("detectron2 keypoint R-CNN", backbone, initialised=("keypoint_head.",))
    rename(result, tensors, detector_table(backbone), (*CONSTANTS, KEYPOINT_HEAD))
    take_msra_backbone(result)
    result.notes.append("its keypoint branch has another shape: ours keeps its initial weights and needs training")
    return result
