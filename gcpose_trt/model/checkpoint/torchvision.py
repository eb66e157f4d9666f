"""Torchvision's `keypointrcnn_resnet50_fpn`: backbone, pyramid, proposals and box branch of r50.

What differs beside the names, and what becomes of it:

- Input and strides of the backbone: put right, see `take_torchvision_backbone`.
- Classes are (background, person), ours (person, background), and each class has its own deltas: reordered exactly.
- Its keypoint branch is another network: ours keeps its initial weights and has to be trained.
- Its box branch pools with `aligned=False` and two samples a bin, which shifts the regions by half a cell against ours,
  its anchors are rounded to whole pixels, and level P6 of an input that is no multiple of 64 has a slightly smaller
  anchor spacing. None of these can be expressed in weights: boxes are a little off before further training.
- Torchvision sets the batch norms' eps to 0 when it loads its own published file; here it stays 1e-5, which matters to
  channels of next to no variance only.
"""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor

from gcpose_trt.model.checkpoint.detectron2 import parameters
from gcpose_trt.model.checkpoint.report import Conversion
from gcpose_trt.model.checkpoint.resnet_names import depth, rename, take_torchvision_backbone, torchvision_table

BODY = "backbone.body."
IGNORED = ("roi_heads.keypoint_head.", "roi_heads.keypoint_predictor.")
LEVELS = (2, 3, 4, 5)
MODULES = {
    "rpn.head.conv": "rpn.conv",
    "rpn.head.conv.0.0": "rpn.conv",
    "rpn.head.cls_logits": "rpn.objectness",
    "rpn.head.bbox_pred": "rpn.deltas",
    "roi_heads.box_head.fc6": "box_head.fc1",
    "roi_heads.box_head.fc7": "box_head.fc2",
    "roi_heads.box_predictor.cls_score": "box_head.classes",
    "roi_heads.box_predictor.bbox_pred": "box_head.deltas",
    # Newer versions wrap each convolution in a block of its own.
    **{f"backbone.fpn.inner_blocks.{level - 2}": f"neck.lateral.{level}" for level in LEVELS},
    **{f"backbone.fpn.inner_blocks.{level - 2}.0": f"neck.lateral.{level}" for level in LEVELS},
    **{f"backbone.fpn.layer_blocks.{level - 2}": f"neck.output.{level}" for level in LEVELS},
    **{f"backbone.fpn.layer_blocks.{level - 2}.0": f"neck.output.{level}" for level in LEVELS},
}


def is_torchvision(names: Iterable[str]) -> bool:
    """Tell whether these are the names of torchvision's detectors with a ResNet."""
    return any(name.startswith(BODY) for name in names)


def convert_torchvision(tensors: dict[str, Tensor]) -> Conversion:
    """Return everything but the keypoint branch."""
    backbone = depth(tensors, f"{BODY}layer3.6.conv1.weight")
    result = Conversion("torchvision keypoint R-CNN", backbone, initialised=("keypoint_head.",))
    rename(result, tensors, torchvision_table(backbone, BODY) | parameters(MODULES), IGNORED)
    take_torchvision_backbone(result)
    for leaf in ("weight", "bias"):
        # Other numbers of classes are left as they are, for the check of shapes to name.
        classes, deltas = result.weights.get(f"box_head.classes.{leaf}"), result.weights.get(f"box_head.deltas.{leaf}")
        if classes is not None and len(classes) == 2:
            result.weights[f"box_head.classes.{leaf}"] = torch.flip(classes, (0,))
        if deltas is not None and len(deltas) == 8:
            result.weights[f"box_head.deltas.{leaf}"] = deltas[4:].clone()
    result.notes.append("its keypoint branch has another shape: ours keeps its initial weights and needs training")
    return result
