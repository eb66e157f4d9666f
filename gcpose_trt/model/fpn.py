"""Feature pyramid: 1x1 laterals, nearest 2x top-down sums, 3x3 output convolutions.

Lin et al., Feature Pyramid Networks, section 3.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch.nn.functional as F
from torch import Tensor, nn


def conv3x3(channels: int, separable: bool) -> nn.Module:
    """A 3x3 convolution, or its depthwise + pointwise form for small models."""
    if not separable:
        return nn.Conv2d(channels, channels, 3, padding=1)
    depthwise = nn.Conv2d(channels, channels, 3, padding=1, groups=channels, bias=False)
    return nn.Sequential(depthwise, nn.Conv2d(channels, channels, 1))


class FeaturePyramid(nn.Module):
    """Maps {2: C2, .. 5: C5} to {"p2": .., "p6": ..}, strides 4 .. 64, all with `channels` channels."""

    def __init__(self, inputs: Mapping[int, int], channels: int, separable: bool = False) -> None:
        super().__init__()
        self.lateral = nn.ModuleDict({str(level): nn.Conv2d(width, channels, 1) for level, width in inputs.items()})
        self.output = nn.ModuleDict({str(level): conv3x3(channels, separable) for level in inputs})

    def forward(self, c: Mapping[int, Tensor]) -> dict[str, Tensor]:
        out: dict[str, Tensor] = {}
        top: Tensor | None = None
        for level in sorted(c, reverse=True):
            lateral = self.lateral[str(level)](c[level])
            top = lateral if top is None else lateral + F.interpolate(top, scale_factor=2, mode="nearest")
            out[f"p{level}"] = self.output[str(level)](top)
        highest = max(c)
        out[f"p{highest + 1}"] = F.max_pool2d(out[f"p{highest}"], 1, 2)  # plain subsampling
        return out
