"""A ResNet with torchvision's names, input and strides, to compare imported weights with."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


class Block(nn.Module):
    """Bottleneck with the stride on the 3x3 convolution."""

    def __init__(self, inputs: int, hidden: int, stride: int) -> None:
        super().__init__()
        outputs = hidden * 4
        self.conv1, self.bn1 = nn.Conv2d(inputs, hidden, 1, bias=False), nn.BatchNorm2d(hidden)
        self.conv2 = nn.Conv2d(hidden, hidden, 3, stride, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(hidden)
        self.conv3, self.bn3 = nn.Conv2d(hidden, outputs, 1, bias=False), nn.BatchNorm2d(outputs)
        if inputs != outputs:
            self.downsample = nn.Sequential(nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs))

    def forward(self, x: Tensor) -> Tensor:
        out = F.relu(self.bn1(self.conv1(x)))
        out = F.relu(self.bn2(self.conv2(out)))
        shortcut = self.downsample(x) if hasattr(self, "downsample") else x
        return F.relu(self.bn3(self.conv3(out)) + shortcut)


class TorchvisionResNet(nn.Module):
    """ResNet-50 with a classifier."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(3, 64, 7, 2, 3, bias=False), nn.BatchNorm2d(64)
        inputs = 64
        for stage, blocks in enumerate((3, 4, 6, 3)):
            hidden = 64 * 2**stage
            layer: list[nn.Module] = []
            for block in range(blocks):
                layer.append(Block(inputs, hidden, 2 if stage > 0 and block == 0 else 1))
                inputs = hidden * 4
            self.add_module(f"layer{stage + 1}", nn.Sequential(*layer))
        self.fc = nn.Linear(2048, 10)

    def stages(self, bgr: Tensor) -> list[Tensor]:
        """Return the outputs of layer1..4 for images (B, H, W, 3) uint8 BGR."""
        rgb = bgr.permute(0, 3, 1, 2).flip(1).float() / 255
        x = (rgb - torch.tensor(MEAN)[:, None, None]) / torch.tensor(STD)[:, None, None]
        x = F.max_pool2d(F.relu(self.bn1(self.conv1(x))), 3, 2, 1)
        out = []
        for stage in range(4):
            x = getattr(self, f"layer{stage + 1}")(x)
            out.append(x)
        return out


def make_resnet() -> TorchvisionResNet:
    """Return one with random weights and statistics, in evaluation mode."""
    torch.manual_seed(2)
    model = TorchvisionResNet()
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.weight, 0.3, 0.6)
            nn.init.normal_(module.bias, std=0.1)
            nn.init.normal_(module.running_mean, std=0.1)
            nn.init.uniform_(module.running_var, 0.5, 1.5)
    return model.eval()


def detector_tensors(resnet: TorchvisionResNet, *, wrapped: bool) -> dict[str, Any]:
    """Return the state dict of `keypointrcnn_resnet50_fpn` with that backbone.

    Args:
        resnet: the backbone.
        wrapped: newer versions' names, with every convolution of pyramid and proposals in a block of its own.
    """
    torch.manual_seed(3)
    inner = ".0" if wrapped else ""
    out = {
        f"backbone.body.{name}": value
        for name, value in resnet.state_dict().items()
        if not name.startswith("fc.") and not name.endswith("num_batches_tracked")
    }
    shapes: dict[str, tuple[int, ...]] = {
        f"rpn.head.conv{'.0.0' if wrapped else ''}": (256, 256, 3, 3),
        "rpn.head.cls_logits": (3, 256, 1, 1),
        "rpn.head.bbox_pred": (12, 256, 1, 1),
        "roi_heads.box_head.fc6": (1024, 12544),
        "roi_heads.box_head.fc7": (1024, 1024),
        "roi_heads.box_predictor.cls_score": (2, 1024),
        "roi_heads.box_predictor.bbox_pred": (8, 1024),
        "roi_heads.keypoint_head.0": (512, 256, 3, 3),
        "roi_heads.keypoint_predictor.kps_score_lowres": (512, 17, 4, 4),
    }
    for index, width in enumerate((256, 512, 1024, 2048)):
        shapes[f"backbone.fpn.inner_blocks.{index}{inner}"] = (256, width, 1, 1)
        shapes[f"backbone.fpn.layer_blocks.{index}{inner}"] = (256, 256, 3, 3)
    for name, shape in shapes.items():
        out[f"{name}.weight"] = 0.01 * torch.randn(shape)
        out[f"{name}.bias"] = torch.randn(17 if "lowres" in name else shape[0])
    return out
