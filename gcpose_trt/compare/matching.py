"""Which box of one set is which box of another."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]


def overlap(a: Array, b: Array) -> Array:
    """Return intersection over union (N, M) of boxes `a` (N, 4) and `b` (M, 4), xyxy; 0 where both are empty."""
    low = np.maximum(a[:, None, :2], b[None, :, :2])
    high = np.minimum(a[:, None, 2:], b[None, :, 2:])
    shared = np.clip(high - low, 0, None).prod(-1)
    area_a = (a[:, 2:] - a[:, :2]).prod(-1)
    area_b = (b[:, 2:] - b[:, :2]).prod(-1)
    union = area_a[:, None] + area_b[None] - shared
    iou: Array = np.where(union > 0, shared / np.maximum(union, 1e-12), 0)
    return iou


def match(a: Array, b: Array, least: float) -> NDArray[np.int64]:
    """Return pairs (P, 2) of rows of boxes `a` (N, 4) and `b` (M, 4) that overlap each other the most.

    Args:
        a, b: xyxy; each row is in one pair at most.
        least: intersection over union that a pair must exceed.
    """
    if not len(a) or not len(b):
        return np.zeros((0, 2), np.int64)
    iou = overlap(a, b)
    best = iou.argmax(1)
    rows = np.arange(len(a))
    mutual = (iou.argmax(0)[best] == rows) & (iou[rows, best] > least)
    return np.stack([rows[mutual], best[mutual]], 1).astype(np.int64)
