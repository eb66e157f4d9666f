"""Our own checkpoints: a bare state dict, or {"model": state dict, "config": name of the model, ...}."""

from __future__ import annotations

from collections.abc import Iterable

from torch import Tensor

from gcpose_trt.model.checkpoint.report import Conversion
from gcpose_trt.model.checkpoint.resnet_names import depth


def is_own(names: Iterable[str]) -> bool:
    """Tell whether these are our names."""
    return any(name.startswith("neck.lateral.") for name in names)


def convert_own(tensors: dict[str, Tensor]) -> Conversion:
    """Return the weights as they are; all must be there."""
    backbone = depth(tensors, "backbone.c4.6.conv1.conv.weight")
    if any(name.startswith("prior.") for name in tensors):
        backbone = "mobilenet_v2"
    return Conversion("gcpose-trt", backbone, weights=dict(tensors))
