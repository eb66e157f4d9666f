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
    """Return pairs (P, 2) of rows of boxes `a` (N, 4) and `b` (M, 4), in the order of `a`.

    The pair that overlaps most goes first, then the next of the rows that are left; equal ones by the lower rows.

    Args:
        a, b: xyxy; each row is in one pair at most.
        least: intersection over union that a pair must exceed.
    """
    if not len(a) or not len(b):
        return np.zeros((0, 2), np.int64)
    iou = overlap(a, b)
    rows, columns = np.nonzero(iou > least)
    pairs: dict[int, int] = {}
    taken: set[int] = set()
    for place in np.argsort(-iou[rows, columns], kind="stable"):
        row, column = int(rows[place]), int(columns[place])
        if row not in pairs and column not in taken:
            pairs[row] = column
            taken.add(column)
    return np.array(sorted(pairs.items()), np.int64).reshape(-1, 2)
