"""Arithmetic on boxes, (N, 4) float xyxy in pixels."""

from __future__ import annotations

import torch
from torch import Tensor


def box_area(boxes: Tensor) -> Tensor:
    """Return the areas (..., N) of `boxes` (..., N, 4); boxes turned inside out have none."""
    return (boxes[..., 2] - boxes[..., 0]).clamp(min=0) * (boxes[..., 3] - boxes[..., 1]).clamp(min=0)


def box_intersection(a: Tensor, b: Tensor) -> Tensor:
    """Return the areas (N, M) that boxes `a` (N, 4) and `b` (M, 4) share."""
    low = torch.maximum(a[:, None, :2], b[None, :, :2])
    high = torch.minimum(a[:, None, 2:], b[None, :, 2:])
    side = (high - low).clamp(min=0)
    return side[..., 0] * side[..., 1]


def box_iou(a: Tensor, b: Tensor) -> Tensor:
    """Return intersection over union (N, M) of boxes `a` (N, 4) and `b` (M, 4); 0 where both are empty."""
    shared = box_intersection(a, b)
    union = box_area(a)[:, None] + box_area(b)[None] - shared
    return torch.where(union > 0, shared / union.clamp(min=1e-12), torch.zeros_like(shared))


def clip_boxes(boxes: Tensor, image_size: Tensor) -> Tensor:
    """Clip boxes (B, N, 4) to images of size (B, 2) int64 (height, width)."""
    size = image_size.to(boxes.dtype)[:, None]  # (B, 1, 2)
    limit = torch.stack([size[..., 1], size[..., 0], size[..., 1], size[..., 0]], -1)
    return torch.minimum(boxes.clamp(min=0), limit)


def enlarge_boxes(boxes: Tensor, factor: float) -> Tensor:
    """Grow boxes (..., 4) about their centres; 1.3 for the paper's keypoint branch (Li et al., section 3.2)."""
    centre = (boxes[..., :2] + boxes[..., 2:]) / 2
    half = (boxes[..., 2:] - boxes[..., :2]) * (factor / 2)
    return torch.cat([centre - half, centre + half], -1)
