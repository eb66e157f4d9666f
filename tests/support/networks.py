"""A network of every op and both halves, small enough to be traced in seconds."""

from __future__ import annotations

from typing import Any

import torch

from gcpose_trt.model import GCPoseRCNN
from gcpose_trt.model.config import BoxConfig, KeypointConfig, ModelConfig, ResizeRule, RpnConfig


class TinyBackbone(torch.nn.Module):
    """C2..C5 of the widths that the pyramid of a ResNet expects, for next to nothing."""

    def __init__(self) -> None:
        super().__init__()
        widths = {"c2": (4, 256), "c3": (8, 512), "c4": (16, 1024), "c5": (32, 2048)}
        self.strides = {name: stride for name, (stride, _) in widths.items()}
        self.convs = torch.nn.ModuleDict({name: torch.nn.Conv2d(3, width, 1) for name, (_, width) in widths.items()})

    def forward(self, x: Any) -> dict[str, Any]:
        pool = torch.nn.functional.avg_pool2d
        return {name: torch.relu(conv(pool(x, self.strides[name]))) for name, conv in self.convs.items()}


def build_tiny(seed: int = 0) -> GCPoseRCNN:
    """Return a network of every op and both halves; its weights are spread so that no two scores are nearly equal."""
    torch.manual_seed(seed)
    config = ModelConfig(
        name="tiny",
        backbone="resnet50",
        resize=ResizeRule(short=None, long=160),
        pixel_mean=(103.53, 116.28, 123.675),
        pixel_std=(58.0, 57.0, 57.0),
        channels=8,
        rpn=RpnConfig(pre_nms=40, post_nms=30),
        box=BoxConfig(hidden=16, max_people=10),
        keypoint=KeypointConfig(channels=16, convs=1),
    )
    model = GCPoseRCNN(config)
    model.backbone = TinyBackbone()
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if parameter.dim() > 1 and name.startswith(("rpn", "box_head")):
                parameter.mul_(2)
        model.rpn.deltas.weight.mul_(0.2)
        model.box_head.deltas.weight.mul_(0.5)
    return model.eval()
