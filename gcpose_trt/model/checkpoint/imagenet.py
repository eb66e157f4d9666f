"""ResNets trained on ImageNet: the backbone of r50 and r101, to start training from.

Three families of names: torchvision's (`layer1.0.conv1.weight`), detectron2's (`res2.0.conv1.weight`) and Detectron's
of Caffe2 (`res2_0_branch2a_w`). The latter two are the MSRA variant, but for files that say that torchvision made them.
"""

from __future__ import annotations

from collections.abc import Iterable

from torch import Tensor

from gcpose_trt.model.checkpoint.report import Conversion
from gcpose_trt.model.checkpoint.resnet_names import (
    Table,
    caffe2_table,
    depth,
    detectron2_table,
    rename,
    take_msra_backbone,
    take_torchvision_backbone,
    torchvision_table,
)

INITIALISED = ("neck.", "rpn.", "box_head.", "keypoint_head.")
# The classifier, under the names it goes by; `conv1_b` is a bias that the batch norm after it swallows.
CLASSIFIER = ("fc.", "stem.fc.", "linear.", "fc1000_", "pred_", "conv1_b")


def is_torchvision_resnet(names: Iterable[str]) -> bool:
    """Tell whether these are torchvision's names of a ResNet."""
    return "layer1.0.conv1.weight" in names


def is_detectron2_resnet(names: Iterable[str]) -> bool:
    """Tell whether these are detectron2's names of a ResNet."""
    return "res2.0.conv1.weight" in names


def is_caffe2_resnet(names: Iterable[str]) -> bool:
    """Tell whether these are Caffe2's names of a ResNet."""
    return "res2_0_branch2a_w" in names


def _convert(family: str, tensors: dict[str, Tensor], backbone: str, table: Table) -> Conversion:
    result = Conversion(f"ImageNet ResNet, {family}", backbone, initialised=INITIALISED)
    rename(result, tensors, table, CLASSIFIER)
    return result


def convert_torchvision_resnet(tensors: dict[str, Tensor]) -> Conversion:
    """Return the backbone."""
    backbone = depth(tensors, "layer3.6.conv1.weight")
    result = _convert("torchvision's names", tensors, backbone, torchvision_table(backbone))
    take_torchvision_backbone(result)
    return result


def convert_detectron2_resnet(tensors: dict[str, Tensor], author: str = "") -> Conversion:
    """Return the backbone; `author` is what the file says about its origin."""
    backbone = depth(tensors, "res4.6.conv1.weight")
    result = _convert("detectron2's names", tensors, backbone, detectron2_table(backbone))
    (take_torchvision_backbone if author == "torchvision" else take_msra_backbone)(result)
    return result


def convert_caffe2_resnet(tensors: dict[str, Tensor]) -> Conversion:
    """Return the backbone."""
    backbone = depth(tensors, "res4_6_branch2a_w")
    momentum = tuple(name for name in tensors if name.endswith("_momentum"))
    table = caffe2_table(backbone)
    result = _convert("Detectron's names", {k: v for k, v in tensors.items() if k not in momentum}, backbone, table)
    result.ignored += momentum
    take_msra_backbone(result)
    return result
