"""What anchors, regions and heatmaps are trained towards."""

from __future__ import annotations

import torch
from torch import Tensor

from gcpose_trt.model.boxes import box_area, box_intersection, box_iou
from gcpose_trt.training.config import BoxConfig, RpnConfig

POSITIVE, NEGATIVE, IGNORED = 1, 0, -1


def choose(candidates: Tensor, count: int, generator: torch.Generator) -> Tensor:
    """Return at most `count` of the indices `candidates` (N,) int64, drawn without replacement."""
    if len(candidates) <= count:
        return candidates
    keys = torch.rand(len(candidates), generator=generator, device=candidates.device)
    return candidates[keys.topk(count).indices]


def inside_ignored(boxes: Tensor, ignore: Tensor, overlap: float) -> Tensor:
    """Return the (N,) bool mask of `boxes` (N, 4) with more than the part `overlap` in a box of `ignore` (I, 4)."""
    if len(ignore) == 0:
        return torch.zeros(len(boxes), dtype=torch.bool, device=boxes.device)
    shared = box_intersection(boxes, ignore).amax(1)
    return shared > overlap * box_area(boxes)


def match_anchors(anchors: Tensor, boxes: Tensor, ignore: Tensor, config: RpnConfig) -> tuple[Tensor, Tensor]:
    """Label anchors (Ren et al., Faster R-CNN, section 3.1.2).

    Args:
        anchors: (A, 4) float32.
        boxes: (G, 4) float32, the people.
        ignore: (I, 4) float32, crowds.
        config: thresholds.

    Returns:
        labels (A,) int8 (1 person, 0 background, -1 neither) and the matched person (A,) int64, meaningful where 1.
    """
    labels = torch.full((len(anchors),), NEGATIVE, dtype=torch.int8, device=anchors.device)
    matched = torch.zeros(len(anchors), dtype=torch.int64, device=anchors.device)
    ignored = inside_ignored(anchors, ignore, config.ignore_overlap)
    if len(boxes):
        overlaps = box_iou(anchors, boxes)
        best, matched = overlaps.max(1)
        labels[best >= config.negative_iou] = IGNORED
        # The best anchors of each person count too, ties included, or small people would have none.
        best_of_person = overlaps.amax(0)
        closest = ((overlaps == best_of_person) & (best_of_person > 0)).any(1)
        positive = closest | (best >= config.positive_iou)
        labels[positive] = POSITIVE
        ignored &= ~positive
    labels[ignored] = IGNORED
    return labels, matched


def sample_anchors(labels: Tensor, config: RpnConfig, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Return indices of the positive and the negative anchors to train on, from labels (A,) int8."""
    positive = torch.nonzero(labels == POSITIVE).flatten()
    positive = choose(positive, int(config.samples * config.positive_fraction), generator)
    negative = torch.nonzero(labels == NEGATIVE).flatten()
    return positive, choose(negative, config.samples - len(positive), generator)


def sample_regions(
    proposals: Tensor, boxes: Tensor, ignore: Tensor, config: BoxConfig, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """Choose the regions of one image for the box branch; the people themselves are added to the proposals.

    Args:
        proposals: (P, 4) float32.
        boxes: (G, 4) float32, the people.
        ignore: (I, 4) float32, crowds.
        config: how many, and of which.
        generator: where randomness comes from.

    Returns:
        regions (R, 4) float32, people first, and the matched person (R,) int64, -1 for background.
    """
    candidates = torch.cat([proposals, boxes])
    matched = torch.full((len(candidates),), -1, dtype=torch.int64, device=candidates.device)
    if len(boxes):
        best, person = box_iou(candidates, boxes).max(1)
        matched = torch.where(best >= config.positive_iou, person, matched)
    background = (matched < 0) & ~inside_ignored(candidates, ignore, config.ignore_overlap)
    positive = torch.nonzero(matched >= 0).flatten()
    positive = choose(positive, int(config.samples * config.positive_fraction), generator)
    negative = choose(torch.nonzero(background).flatten(), config.samples - len(positive), generator)
    chosen = torch.cat([positive, negative])
    return candidates[chosen], matched[chosen]


def jitter_boxes(boxes: Tensor, amount: float, generator: torch.Generator) -> Tensor:
    """Shift and resize boxes (N, 4) by up to `amount` of their sides; sizes change by factors, both ways alike."""
    noise = (torch.rand(len(boxes), 4, generator=generator, device=boxes.device) * 2 - 1) * amount
    side = boxes[:, 2:] - boxes[:, :2]
    centre = (boxes[:, :2] + boxes[:, 2:]) / 2 + noise[:, :2] * side
    half = side * torch.exp(noise[:, 2:]) / 2
    return torch.cat([centre - half, centre + half], 1)


def keypoint_cells(keypoints: Tensor, boxes: Tensor, size: int) -> tuple[Tensor, Tensor]:
    """Place keypoints on the heatmap of their box.

    Args:
        keypoints: (N, K, 3) float32 x, y, weight.
        boxes: (N, 4) float32, the enlarged boxes.
        size: cells along each side of the map.

    Returns:
        position (N, K, 2) float32 x, y in cells (the floor is the cell) and weight (N, K) float32, 0 outside the box.
    """
    corner = boxes[:, None, :2]
    side = (boxes[:, None, 2:] - corner).clamp(min=1e-6)
    position = (keypoints[..., :2] - corner) * (size / side)
    # The far edge belongs to the last cell.
    inside = ((keypoints[..., :2] >= corner) & (keypoints[..., :2] <= boxes[:, None, 2:])).all(-1)
    return position.clamp(0, size - 1e-3), keypoints[..., 2] * inside
