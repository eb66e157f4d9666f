"""MobileNetV2 at width 1.5 with batch norm folded into the convolutions: MoveNet MultiPose's backbone.

Sandler et al., MobileNetV2, table 2. Stride-2 convolutions pad like TensorFlow's SAME on even sizes: one row
below and one column to the right, none above and to the left.
"""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

# Output channels of block 0..16 at width 1.5; the hidden width is six times the input's (block 0 does not expand).
CHANNELS = (24, 40, 40, 48, 48, 48, 96, 96, 96, 96, 144, 144, 144, 240, 240, 240, 480)
STRIDED = (1, 3, 6, 13)
STEM = 48
LAST = 1280
# Feature name: (block it leaves from, stride). c4a feeds MoveNet's own pyramid.
TAPS = {"c2": (2, 4), "c3": (5, 8), "c4a": (9, 16), "c4": (12, 16), "c5": (16, 32)}


class SameConv2d(nn.Conv2d):
    """3x3 convolution with bias and TensorFlow's SAME padding (even input sizes when strided)."""

    def __init__(self, inputs: int, outputs: int, stride: int, groups: int = 1) -> None:
        super().__init__(inputs, outputs, 3, stride, padding=1 if stride == 1 else 0, groups=groups)

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x if self.stride[0] == 1 else F.pad(x, (0, 1, 0, 1)))


class InvertedResidual(nn.Module):
    """1x1 expansion, 3x3 depthwise, 1x1 projection; ReLU6 after the first two; shortcut where the shape allows it."""

    def __init__(self, inputs: int, outputs: int, stride: int, expand: bool) -> None:
        super().__init__()
        hidden = inputs * 6 if expand else inputs
        self.expand = nn.Conv2d(inputs, hidden, 1) if expand else None
        self.depthwise = SameConv2d(hidden, hidden, stride, groups=hidden)
        self.project = nn.Conv2d(hidden, outputs, 1)
        self.residual = stride == 1 and inputs == outputs

    def forward(self, x: Tensor) -> Tensor:
        out = x if self.expand is None else F.relu6(self.expand(x))
        out = self.project(F.relu6(self.depthwise(out)))
        return x + out if self.residual else out


class MobileNetV2(nn.Module):
    """Image (B, 3, H, W), sides multiples of 32, to the maps of `TAPS` and `last` (stride 32, 1280 channels, ReLU6)."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = SameConv2d(3, STEM, 2)
        blocks = []
        inputs = STEM
        for index, outputs in enumerate(CHANNELS):
            stride = 2 if index in STRIDED else 1
            blocks.append(InvertedResidual(inputs, outputs, stride, expand=index > 0))
            inputs = outputs
        self.blocks = nn.ModuleList(blocks)
        self.last = nn.Conv2d(inputs, LAST, 1)

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        names = {block: name for name, (block, _) in TAPS.items()}
        out = {}
        x = F.relu6(self.stem(x))
        for index, block in enumerate(self.blocks):
            x = block(x)
            if index in names:
                out[names[index]] = x
        out["last"] = F.relu6(self.last(x))
        return out
