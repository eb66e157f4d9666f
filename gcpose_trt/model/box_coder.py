"""Box regression targets: shifts of the centre in units of the reference box, and log ratios of the sides.

Girshick et al., R-CNN, appendix C; the weights scale the targets to similar spread.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

MAX_LOG_RATIO = math.log(1000 / 16)  # a box grows at most 62.5 times; larger logits would overflow exp
Weights = tuple[float, float, float, float]


def _centre_and_side(boxes: Tensor) -> tuple[Tensor, Tensor]:
    side = boxes[..., 2:] - boxes[..., :2]
    return boxes[..., :2] + side / 2, side


def encode_boxes(boxes: Tensor, reference: Tensor, weights: Weights) -> Tensor:
    """Return the deltas (..., 4) that turn `reference` (..., 4) into `boxes` (..., 4)."""
    centre, side = _centre_and_side(boxes)
    reference_centre, reference_side = _centre_and_side(reference)
    reference_side = reference_side.clamp(min=1e-6)
    shift = (centre - reference_centre) / reference_side
    ratio = torch.log(side.clamp(min=1e-6) / reference_side)
    return torch.cat([shift, ratio], -1) * boxes.new_tensor(weights)


def decode_boxes(deltas: Tensor, reference: Tensor, weights: Weights) -> Tensor:
    """Apply `deltas` (..., 4) to `reference` (..., 4) and return boxes (..., 4)."""
    wx, wy, ww, wh = weights
    centre, side = _centre_and_side(reference)
    shift = torch.stack([deltas[..., 0] / wx, deltas[..., 1] / wy], -1)
    ratio = torch.stack([deltas[..., 2] / ww, deltas[..., 3] / wh], -1).clamp(max=MAX_LOG_RATIO)
    centre = centre + shift * side
    half = torch.exp(ratio) * side / 2
    return torch.cat([centre - half, centre + half], -1)
