"""How alike two people look: by their joints (OKS) and by their boxes (IoU), each against each."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from gcpose_trt.pose.skeleton import COCO17

Floats = NDArray[np.float64]

VARIANCES = (2 * np.asarray(COCO17.sigmas)) ** 2


def iou(first: NDArray[np.floating], second: NDArray[np.floating]) -> Floats:
    """Return the intersection over union of boxes.

    Args:
        first: (N, 4) x1, y1, x2, y2 in pixels.
        second: (M, 4).

    Returns:
        (N, M), 0..1; 0 where a box has no area or is not finite.
    """
    a, b = np.asarray(first, np.float64), np.asarray(second, np.float64)
    corner = np.maximum(a[:, None, :2], b[None, :, :2])
    sides = np.maximum(np.minimum(a[:, None, 2:], b[None, :, 2:]) - corner, 0)
    shared = sides[..., 0] * sides[..., 1]
    union = areas(a)[:, None] + areas(b) - shared
    return _sane(np.divide(shared, union, out=np.zeros_like(shared), where=union > 0))


def oks(
    first: NDArray[np.floating],
    second: NDArray[np.floating],
    area: NDArray[np.floating],
    blur: NDArray[np.floating] | float = 0.0,
) -> tuple[Floats, Floats]:
    """Return the object keypoint similarity of poses, as COCO defines it, with joints weighed by confidence.

    A joint weighs as much as both poses are certain of it (the geometric mean), where COCO counts those that a person
    labelled. Each then adds exp(-d^2 / (2 (s^2 k^2 + blur))).

    Args:
        first: (N, 17, 3) x, y, confidence.
        second: (M, 17, 3).
        area: (N,) the people's size s^2 in square pixels.
        blur: (N,) or one for all: variance in square pixels of not knowing where the first are.

    Returns:
        Similarity (N, M), 0..1, and the weight (N, M), 0..1: the mean confidence that it rests on. Where the weight is
        0, so is the similarity.
    """
    a, b = np.asarray(first, np.float64), np.asarray(second, np.float64)
    likeness = joint_similarity(a, b, area, blur)
    root = [np.sqrt(np.clip(_sane(pose[..., 2]), 0, 1)) for pose in (a, b)]
    total = root[0] @ root[1].T
    weighed = np.einsum("nj,mj,nmj->nm", root[0], root[1], likeness)
    similarity = np.divide(weighed, total, out=np.zeros_like(total), where=total > 0)
    return similarity, total / len(COCO17)


def joint_similarity(
    first: NDArray[np.floating],
    second: NDArray[np.floating],
    area: NDArray[np.floating],
    blur: NDArray[np.floating] | float = 0.0,
) -> Floats:
    """Return the similarity of each joint, of which `oks` is the mean: (N, M, 17), 0..1, of the same arguments."""
    a, b = np.asarray(first, np.float64), np.asarray(second, np.float64)
    x = a[:, None, :, 0] - b[None, :, :, 0]
    y = a[:, None, :, 1] - b[None, :, :, 1]
    spread = np.asarray(area, np.float64)[:, None] * VARIANCES + np.reshape(np.asarray(blur, np.float64), (-1, 1))
    return _sane(np.exp((x * x + y * y) / (-2 * np.maximum(spread, 1e-9))[:, None]))


def areas(boxes: Floats) -> Floats:
    """Return the areas (N,) of boxes (N, 4), 0 for those turned inside out."""
    sides = np.maximum(boxes[:, 2:] - boxes[:, :2], 0)
    product: Floats = sides[:, 0] * sides[:, 1]
    return product


def _sane(values: Floats) -> Floats:
    return np.where(np.isfinite(values), values, 0.0)
