"""Greedy non-maximum suppression with a fixed number of padded outputs."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from gcpose_trt.model.boxes import box_iou
from gcpose_trt.model.ops import native


def _keep_greedy(boxes: Tensor, iou_threshold: float) -> Tensor:
    """Return the (N,) bool mask that greedy NMS keeps of `boxes` (N, 4), which are in falling score order.

    A box is kept when no kept box before it overlaps it. Repeating that sentence for all boxes at once until nothing
    changes gives the greedy answer: after k rounds the first k boxes are final, and in practice a few rounds suffice.
    """
    overlaps = (box_iou(boxes, boxes) > iou_threshold).triu(1)
    keep = torch.ones(len(boxes), dtype=torch.bool, device=boxes.device)
    while True:
        updated = ~(overlaps & keep[:, None]).any(0)
        if torch.equal(updated, keep):
            return keep
        keep = updated


def nms(
    boxes: Tensor,
    scores: Tensor,
    groups: Tensor,
    *,
    iou_threshold: float,
    score_threshold: float,
    max_outputs: int,
) -> tuple[Tensor, Tensor]:
    """Keep the best boxes of each image.

    Args:
        boxes: (B, N, 4) float32 xyxy.
        scores: (B, N) float32; ties go to the lower index.
        groups: (N,) int64; boxes of different groups never suppress each other (pyramid levels, classes).
        iou_threshold: a kept box suppresses those that overlap it by more than this.
        score_threshold: only boxes that score more take part.
        max_outputs: number of outputs an image, K.

    Returns:
        indices (B, K) int64 in falling score order, padded with 0, and count (B,) int64 of the valid ones.
    """
    if torch.onnx.is_in_onnx_export():
        attributes: dict[str, Any] = {
            "iou_threshold": iou_threshold,
            "score_threshold": score_threshold,
            "max_outputs": max_outputs,
        }
        indices, count = torch.onnx.ops.symbolic_multi_out(
            "gcpose::Nms",
            [boxes, scores, groups],
            attributes,
            dtypes=[torch.int64, torch.int64],
            shapes=[[boxes.shape[0], max_outputs], [boxes.shape[0]]],
            version=1,
        )
        return indices, count
    if boxes.dtype == torch.float32 and native.serves(boxes, scores):
        kept: tuple[Tensor, Tensor] = native.nms(boxes, scores, groups, iou_threshold, score_threshold, max_outputs)
        return kept
    indices = torch.zeros(len(boxes), max_outputs, dtype=torch.int64, device=boxes.device)
    count = torch.zeros(len(boxes), dtype=torch.int64, device=boxes.device)
    for b in range(len(boxes)):
        order = torch.sort(scores[b], descending=True, stable=True).indices
        order = order[scores[b][order] > score_threshold]
        keep = torch.zeros(len(order), dtype=torch.bool, device=boxes.device)
        order_groups = groups[order]
        for group in torch.unique(order_groups):
            member = torch.nonzero(order_groups == group).flatten()
            keep[member] = _keep_greedy(boxes[b][order[member]], iou_threshold)
        chosen = order[keep][:max_outputs]
        indices[b, : len(chosen)] = chosen
        count[b] = len(chosen)
    return indices, count
