"""Heads made unrecognisable.

Where the head is comes from the face's joints, and wherever these leave doubt also from the shoulders and the box: too
much is hidden rather than too little. What was under it cannot be computed back: a head keeps a handful of averages.
Only people that were found are hidden.
"""

from __future__ import annotations

from collections import deque

import cv2
import numpy as np
from numpy.typing import NDArray

from gcpose_trt.pose.drawing.strokes import Image
from gcpose_trt.pose.types import PoseFrame

Regions = NDArray[np.float64]

_FACE = slice(0, 5)  # nose, eyes, ears
_SHOULDERS, _HIPS = [5, 6], [11, 12]
_CELLS = 4  # averages across a head
_SMALLEST_CELL = 5.0  # pixels
_FAR = 1e5  # pixels: joints farther out say nothing


def blur_heads(image: Image, poses: PoseFrame, *, keypoint_threshold: float = 0.2) -> Image:
    """Return a copy of `image` with the heads of all `poses` unrecognisable.

    Args:
        image: (H, W, 3) BGR uint8.
        poses: the people, in pixels of `image`.
        keypoint_threshold: joints below this confidence do not say where a head is.

    Returns:
        (H, W, 3) BGR uint8.
    """
    canvas = image.copy()
    hide(canvas, head_regions(poses, keypoint_threshold))
    return canvas


class HeadBlur:
    """Hides the heads of one stream, and goes on for some frames where a person was lost from one to the next.

    Args:
        hold: frames for which the place of a head that is not found any more stays hidden.
    """

    def __init__(self, hold: int = 5) -> None:
        self._earlier: deque[Regions] = deque(maxlen=hold)
        self._shape: tuple[int, ...] = ()

    def apply(self, canvas: Image, poses: PoseFrame, keypoint_threshold: float = 0.2) -> None:
        """Hide the heads on `canvas` (H, W, 3) BGR uint8, which is changed."""
        if canvas.shape != self._shape:
            self.reset()
            self._shape = canvas.shape
        now = head_regions(poses, keypoint_threshold)
        lost: Regions = np.zeros((0, 4))
        for regions in reversed(self._earlier):
            lost = np.concatenate([lost, _elsewhere(regions, np.concatenate([now, lost]))])
        self._earlier.append(now)
        hide(canvas, np.concatenate([now, lost]))

    def reset(self) -> None:
        """Forget what was seen."""
        self._earlier.clear()


def _elsewhere(regions: Regions, known: Regions) -> Regions:
    """Return the `regions` whose centre is in none of the `known` ones."""
    apart = np.abs(regions[:, None, :2] - known[None, :, :2]) > 0.7 * known[None, :, 2:]
    return regions[apart.any(axis=2).all(axis=1)]


def head_regions(poses: PoseFrame, threshold: float) -> Regions:
    """Return ellipses that cover the heads: (R, 4) centre x, y and half axes in pixels, one or more a person."""
    regions = [
        region for row in range(len(poses)) for region in _of_person(poses.boxes[row], poses.keypoints[row], threshold)
    ]
    return np.array(regions, np.float64).reshape(-1, 4)


def _of_person(box: NDArray[np.float32], keypoints: NDArray[np.float32], threshold: float) -> list[list[float]]:
    points = keypoints[:, :2].astype(np.float64)
    scores = np.where(np.isfinite(points).all(axis=1) & (np.abs(points).max(axis=1) < _FAR), keypoints[:, 2], 0)
    seen = scores >= max(threshold, 1e-6)
    box = np.clip(np.nan_to_num(box.astype(np.float64), posinf=_FAR, neginf=-_FAR), -_FAR, _FAR)
    size = _head_size(points, seen, box)
    regions: list[list[float]] = []
    face = np.flatnonzero(seen[_FACE])
    if len(face):
        regions.append([*points[face].mean(axis=0), 0.68 * size, 0.72 * size])
    sure = len(face) >= 2 and scores[face].max() >= min(2 * threshold, 0.5)
    shoulders = _from_shoulders(points, seen, size)
    if shoulders is not None and not (sure and _agree(regions[0], shoulders)):
        regions.append(shoulders)
    if not sure and shoulders is None:
        regions.append(_from_box(box))
    return regions


def _head_size(points: NDArray[np.float64], seen: NDArray[np.bool_], box: NDArray[np.float64]) -> float:
    """Return the height of the head with hair, in pixels: the largest of what the body's measures say.

    A side view shortens the width of shoulders, bending shortens the trunk; hardly anything shortens all.
    """
    sides = np.maximum(box[2:] - box[:2], 1)
    sizes = [0.13 * float(sides.max()), 6.0]
    face = points[_FACE][seen[_FACE]]
    if len(face) > 1:
        sizes.append(1.9 * float(np.linalg.norm(face[:, None] - face[None], axis=2).max()))
    if seen[_SHOULDERS].all():
        sizes.append(0.6 * float(np.linalg.norm(points[5] - points[6])))
        if seen[_HIPS].any():
            trunk = points[_SHOULDERS].mean(axis=0) - points[_HIPS][seen[_HIPS]].mean(axis=0)
            sizes.append(0.45 * float(np.linalg.norm(trunk)))
    # One joint gone astray must not hide the whole picture.
    return min(max(sizes), float(sides.max()))


def _from_shoulders(points: NDArray[np.float64], seen: NDArray[np.bool_], size: float) -> list[float] | None:
    """Return where the head is above the shoulders seen, along the trunk."""
    shoulders = points[_SHOULDERS][seen[_SHOULDERS]]
    if not len(shoulders):
        return None
    neck = shoulders.mean(axis=0)
    up = np.array((0.0, -1.0))
    if seen[_HIPS].any():
        trunk = neck - points[_HIPS][seen[_HIPS]].mean(axis=0)
        length = float(np.linalg.norm(trunk))
        if length > size:
            up = trunk / length
    # One shoulder leaves open on which side of it the head is.
    reach = size * (0.85 if len(shoulders) == 2 else 1.1)
    return [*(neck + 0.85 * size * up), reach, reach]


def _agree(face: list[float], shoulders: list[float]) -> bool:
    return bool(np.hypot(face[0] - shoulders[0], face[1] - shoulders[1]) < 1.5 * shoulders[2])


def _from_box(box: NDArray[np.float64]) -> list[float]:
    """Return the upper part of a box; all of one that lies, whose head may be at either end."""
    wide, tall = np.maximum(box[2:] - box[:2], 1).tolist()
    part = tall if wide > 1.2 * tall else min(tall, max(0.3 * tall, 0.6 * wide))
    # An ellipse that holds the corners of that part except for little.
    return [float(box[0] + box[2]) / 2, float(box[1]) + 0.45 * part, 0.6 * wide, 0.65 * part]


def hide(canvas: Image, regions: Regions) -> None:
    """Replace ellipses of `canvas` (H, W, 3) BGR uint8 by a few averages of their pixels, blurred into each other."""
    height, width = canvas.shape[:2]
    for x, y, across, down in regions.tolist():
        left, right = max(0, int(np.floor(x - across))), min(width, int(np.ceil(x + across)) + 1)
        top, bottom = max(0, int(np.floor(y - down))), min(height, int(np.ceil(y + down)) + 1)
        if left >= right or top >= bottom:
            continue
        region = canvas[top:bottom, left:right]
        cell = max(_SMALLEST_CELL, 2 * min(across, down) / _CELLS)
        cells = (max(1, round((right - left) / cell)), max(1, round((bottom - top) / cell)))
        few = cv2.resize(region, cells, interpolation=cv2.INTER_AREA)
        smooth = cv2.resize(few, region.shape[1::-1], interpolation=cv2.INTER_LINEAR)
        mask: NDArray[np.uint8] = np.zeros(region.shape[:2], np.uint8)
        centre = (round(16 * (x - left - 0.5)), round(16 * (y - top - 0.5)))
        cv2.ellipse(mask, centre, (round(16 * across), round(16 * down)), 0, 0, 360, 255, -1, cv2.LINE_8, 4)
        cv2.copyTo(smooth, mask, region)
