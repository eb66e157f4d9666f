"""The terms of the loss, on tensors. All are computed in float32 whatever the precision of the network."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


def smooth_l1(prediction: Tensor, target: Tensor, beta: float) -> Tensor:
    """Return the summed smooth-L1 loss; beta 0 is plain L1 (Girshick, Fast R-CNN)."""
    difference = (prediction.float() - target).abs()
    if beta == 0:
        return difference.sum()
    return torch.where(difference < beta, 0.5 * difference**2 / beta, difference - 0.5 * beta).sum()


def objectness_loss(logits: Tensor, labels: Tensor) -> Tensor:
    """Return the summed binary cross entropy of logits (N,) and labels (N,), 1 for people."""
    return F.binary_cross_entropy_with_logits(logits.float(), labels.float(), reduction="sum")


def class_loss(logits: Tensor, background: Tensor) -> Tensor:
    """Return the summed cross entropy of logits (N, 2), person and background; `background` (N,) is a bool mask."""
    return F.cross_entropy(logits.float(), background.long(), reduction="sum")


def gaussian_rows(position: Tensor, size: int, sigma: float) -> Tensor:
    """Return (M, size) float32 Gaussians about `position` (M,) in cells, each with sum 1 over the cells of the map."""
    centres = torch.arange(size, device=position.device, dtype=torch.float32) + 0.5
    return torch.softmax(-((centres - position[:, None]) ** 2) / (2 * sigma**2), 1)


def keypoint_loss(logits: Tensor, position: Tensor, weight: Tensor, sigma: float) -> Tensor:
    """Return the weighted, summed cross entropy over the cells of each joint's map (He et al., Mask R-CNN, section 5).

    Args:
        logits: (N, K, S, S) float.
        position: (N, K, 2) float32 x, y in cells.
        weight: (N, K) float32; joints of weight 0 cost nothing and are not computed.
        sigma: 0 for a target of one cell, else a Gaussian of that standard deviation in cells.
    """
    counted = weight > 0
    maps, place, weight = logits[counted].float(), position[counted], weight[counted]  # (M, S, S), (M, 2), (M,)
    size = logits.shape[-1]
    if sigma == 0:
        cell = place.long().clamp(0, size - 1)
        losses = F.cross_entropy(maps.flatten(1), cell[:, 1] * size + cell[:, 0], reduction="none")
    else:
        columns, rows = (gaussian_rows(place[:, axis], size, sigma) for axis in (0, 1))
        # The target is the outer product of rows and columns, so its dot product with the map needs no such map.
        expected = torch.einsum("mij,mi,mj->m", maps, rows, columns)
        losses = torch.logsumexp(maps.flatten(1), 1) - expected
    return (losses * weight).sum()
