"""MoveNet MultiPose's dense heads, kept as inputs of the branches.

The pretrained maps know a great deal about people that a small data set cannot teach: where joints are (`heat`), where
people are centred (`centre`), how large they are (`size`) and where the joints lie as seen from the centre (`regress`).
The network reads them beside its own pyramid. Layout: MoveNet MultiPose Lightning (Google, Apache-2.0).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

STRIDE = 4
HIDDEN = 96
JOINTS = 17


@dataclass
class PriorMaps:
    """Dense predictions at stride 4; coordinates are in cells, rows before columns, as MoveNet has them."""

    m4: Tensor | None  # (B, 32, H/16, W/16) MoveNet's own pyramid
    m3: Tensor | None  # (B, 24, H/8, W/8)
    m2: Tensor | None  # (B, 24, H/4, W/4)
    hidden: Tensor | None  # (B, 96, H/4, W/4) the layer before the heatmaps
    heat: Tensor  # (B, 17, H/4, W/4) joint probability
    centre: Tensor  # (B, 1, H/4, W/4) person centre logit
    size: Tensor  # (B, 2, H/4, W/4) height, width of the person centred here
    regress: Tensor  # (B, 34, H/4, W/4) from the cell to each joint


class CoarseMaps(NamedTuple):
    """What the half-size image says, on the grid and in the cells of `PriorMaps`."""

    heat: Tensor  # (B, 17, H/4, W/4) joint probability
    centre: Tensor  # (B, 1, H/4, W/4) probability, not logit
    regress: Tensor  # (B, 34, H/4, W/4)


class Fuse(nn.Module):
    """One step of MoveNet's pyramid: 2x bilinear, plus a lateral map, then a separable convolution and ReLU."""

    def __init__(self, lateral: int, inputs: int, outputs: int) -> None:
        super().__init__()
        self.lateral = nn.Conv2d(lateral, inputs, 1)
        self.depthwise = nn.Conv2d(inputs, inputs, 3, padding=1, groups=inputs, bias=False)
        self.pointwise = nn.Conv2d(inputs, outputs, 1)

    def forward(self, x: Tensor, lateral: Tensor) -> Tensor:
        x = F.interpolate(x, scale_factor=2, mode="bilinear", align_corners=False) + self.lateral(lateral)
        return F.relu(self.pointwise(self.depthwise(x)))


class DenseHead(nn.Module):
    """Separable 3x3 convolution to 96 channels, ReLU, 1x1 convolution; returns both."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.depthwise = nn.Conv2d(inputs, inputs, 3, padding=1, groups=inputs, bias=False)
        self.pointwise = nn.Conv2d(inputs, HIDDEN, 1)
        self.output = nn.Conv2d(HIDDEN, outputs, 1)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        hidden = F.relu(self.pointwise(self.depthwise(x)))
        return hidden, self.output(hidden)


class PosePrior(nn.Module):
    """Backbone maps to `PriorMaps`."""

    def __init__(self) -> None:
        super().__init__()
        self.reduce = nn.Conv2d(1280, 64, 1)
        self.fuse4 = Fuse(96, 64, 32)
        self.fuse3 = Fuse(48, 32, 24)
        self.fuse2 = Fuse(40, 24, 24)
        self.heat = DenseHead(24, JOINTS)
        self.centre = DenseHead(24, 1)
        self.size = DenseHead(24, 2)
        self.regress = DenseHead(24, 2 * JOINTS)

    def forward(self, c: dict[str, Tensor]) -> PriorMaps:
        m4 = self.fuse4(self.reduce(c["last"]), c["c4a"])
        m3 = self.fuse3(m4, c["c3"])
        m2 = self.fuse2(m3, c["c2"])
        hidden, heat = self.heat(m2)
        return PriorMaps(
            m4=m4,
            m3=m3,
            m2=m2,
            hidden=hidden,
            heat=torch.sigmoid(heat.float()),
            centre=self.centre(m2)[1].float(),
            size=self.size(m2)[1].float(),
            regress=self.regress(m2)[1].float(),
        )


def centre_proposals(maps: PriorMaps, count: int, stride: int = STRIDE) -> tuple[Tensor, Tensor]:
    """Return boxes (B, count, 4) in input pixels and centre logits (B, count) of the strongest local peaks.

    A cell is a peak when no 3x3 neighbour is higher (Zhou et al., Objects as Points, section 4).
    """
    batch, _, height, width = maps.centre.shape
    peak = F.max_pool2d(maps.centre, 3, 1, 1) == maps.centre
    score = torch.where(peak, maps.centre, torch.full_like(maps.centre, -20.0)).flatten(1)
    # `count` extra entries keep top-k legal on the smallest inputs and its output shape fixed.
    score, cell = F.pad(score, (0, count), value=-30.0).topk(count)
    cell = cell.clamp(max=height * width - 1)
    row = torch.div(cell, width, rounding_mode="floor")
    column = cell - row * width
    size = maps.size.flatten(2).gather(2, cell[:, None].expand(batch, 2, count)).clamp(min=0)
    # MoveNet has a further head for the place inside the cell; the box branch refines all boxes, so the middle will do.
    centre = torch.stack([column, row], -1) + 0.5
    half = torch.stack([size[:, 1], size[:, 0]], -1) / 2
    return torch.cat([centre - half, centre + half], -1) * stride, score


def halve(x: Tensor) -> Tensor:
    """Return a normalised batch (B, 3, H, W) at half its size, padded with zeros to multiples of 32.

    H and W are multiples of 32, so either there is a whole number of strides or half a one is missing.
    """
    x = F.avg_pool2d(x, 2)
    height, width = ((size + 16) // 32 * 32 for size in x.shape[-2:])
    return F.pad(x, (0, 16, 0, 16))[:, :, :height, :width]


def crop(maps: PriorMaps, rows: int, columns: int) -> PriorMaps:
    """Return the maps that later stages read (`m4`, `m3`, `m2` and `hidden` are left out) without their padding."""
    parts = (maps.heat, maps.centre, maps.size, maps.regress)
    return PriorMaps(None, None, None, None, *(part[:, :, :rows, :columns] for part in parts))


def to_fine(maps: PriorMaps) -> CoarseMaps:
    """Bring maps of the image at half its size to the grid and the units of the maps of the image itself."""
    stacked = torch.cat([maps.heat, torch.sigmoid(maps.centre), maps.regress], 1)
    fine = F.interpolate(stacked, scale_factor=2, mode="bilinear", align_corners=False)
    heat, centre, regress = fine.split([JOINTS, 1, 2 * JOINTS], 1)
    # A coarse cell is two fine ones, and its middle lies half a fine cell from the corners that regression counts from.
    return CoarseMaps(heat, centre, 2 * regress - 0.5)
