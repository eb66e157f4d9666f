"""Global Context Module of the keypoint branch (Li et al., section 3.3)."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gcpose_trt.model.ops import gcm_attention


class GlobalContextModule(nn.Module):
    """x1 = attention(relu(bn(x))) + x;  y = conv3x3(relu(bn(x1))) + x1.

    Args:
        channels: C, of input and output; each head sees C / heads of them.
        heads: attention heads.
        size: rows and columns of the pooled region.
    """

    def __init__(self, channels: int, heads: int, size: int) -> None:
        super().__init__()
        self.heads = heads
        self.norm1 = nn.BatchNorm2d(channels)
        self.to_qk = nn.Conv2d(channels, 2 * channels, 1, bias=False)
        self.to_v = nn.Conv2d(channels, channels, 1, bias=False)
        dim = channels // heads
        self.rel_height = nn.Parameter(dim**-0.5 * torch.randn(2 * size - 1, dim))
        self.rel_width = nn.Parameter(dim**-0.5 * torch.randn(2 * size - 1, dim))
        self.norm2 = nn.BatchNorm2d(channels)
        self.conv = nn.Conv2d(channels, channels, 3, padding=1)

    def attend(self, x: Tensor) -> Tensor:
        """Return the attention's output (N, C, S, S), before the residual sum."""
        hidden = F.relu(self.norm1(x))
        q, k = self.to_qk(hidden).chunk(2, 1)
        v = self.to_v(hidden)
        return gcm_attention(q, k, v, self.rel_height, self.rel_width, heads=self.heads)

    def forward(self, x: Tensor) -> Tensor:
        x = self.attend(x) + x
        out: Tensor = self.conv(F.relu(self.norm2(x))) + x
        return out
