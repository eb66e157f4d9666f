"""ResNet-50 and ResNet-101 with frozen batch norm, in the MSRA variant that detectron2 trains.

He et al., Deep Residual Learning, table 1; the stride of a stage sits on the first 1x1 convolution of its first block.
Weights trained elsewhere, torchvision's among them, want it on the 3x3 convolution. It has no tensor of its own but
belongs to the weights, so it travels in the state dict as `_extra_state`.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

BLOCKS = {"resnet50": (3, 4, 6, 3), "resnet101": (3, 4, 23, 3)}
WIDTHS = {"c2": 256, "c3": 512, "c4": 1024, "c5": 2048}


class FrozenBatchNorm2d(nn.Module):
    """Batch norm whose statistics and affine part are constants, eps 1e-5."""

    weight: Tensor
    bias: Tensor
    running_mean: Tensor
    running_var: Tensor

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.register_buffer("weight", torch.ones(channels))
        self.register_buffer("bias", torch.zeros(channels))
        self.register_buffer("running_mean", torch.zeros(channels))
        self.register_buffer("running_var", torch.ones(channels))

    def forward(self, x: Tensor) -> Tensor:
        scale = self.weight * torch.rsqrt(self.running_var + 1e-5)
        shift = self.bias - self.running_mean * scale
        return x * scale.to(x.dtype)[:, None, None] + shift.to(x.dtype)[:, None, None]


class ConvNorm(nn.Module):
    """Convolution without bias, then frozen batch norm."""

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int = 1) -> None:
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, bias=False)
        self.norm = FrozenBatchNorm2d(outputs)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.norm(self.conv(x))
        return out


class Bottleneck(nn.Module):
    """1x1 (with the stride), 3x3, 1x1, and a shortcut."""

    def __init__(self, inputs: int, hidden: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.shortcut = ConvNorm(inputs, outputs, 1, stride) if inputs != outputs else None
        self.conv1 = ConvNorm(inputs, hidden, 1, stride)
        self.conv2 = ConvNorm(hidden, hidden, 3)
        self.conv3 = ConvNorm(hidden, outputs, 1)

    def place_stride(self, in_1x1: bool) -> None:
        """Put the stride on the first 1x1 convolution or on the 3x3 one."""
        stride = max(self.conv1.conv.stride, self.conv2.conv.stride)
        self.conv1.conv.stride, self.conv2.conv.stride = (stride, (1, 1)) if in_1x1 else ((1, 1), stride)

    def forward(self, x: Tensor) -> Tensor:
        out = self.conv3(F.relu(self.conv2(F.relu(self.conv1(x)))))
        return F.relu(out + (x if self.shortcut is None else self.shortcut(x)))


class ResNet(nn.Module):
    """Image (B, 3, H, W) to c2 (stride 4, 256 channels), c3 (8, 512), c4 (16, 1024), c5 (32, 2048)."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self.stride_in_1x1 = True
        self.stem = ConvNorm(3, 64, 7, 2)
        inputs = 64
        for stage, (blocks, (level, outputs)) in enumerate(zip(BLOCKS[name], WIDTHS.items(), strict=True)):
            layers = []
            for block in range(blocks):
                stride = 2 if stage > 0 and block == 0 else 1
                layers.append(Bottleneck(inputs, outputs // 4, outputs, stride))
                inputs = outputs
            self.add_module(level, nn.Sequential(*layers))

    def get_extra_state(self) -> Tensor:
        """Return where the strides are, as a bool scalar, for the state dict."""
        return torch.tensor(self.stride_in_1x1)

    def set_extra_state(self, state: Tensor) -> None:
        """Move the strides to where the weights of the state dict want them."""
        self.stride_in_1x1 = bool(state)
        for module in self.modules():
            if isinstance(module, Bottleneck):
                module.place_stride(self.stride_in_1x1)

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        x = F.max_pool2d(F.relu(self.stem(x)), 3, 2, 1)
        out = {}
        for level in WIDTHS:
            x = out[level] = getattr(self, level)(x)
        return out
