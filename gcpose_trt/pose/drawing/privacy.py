"""Heads made unrecognisable.

Where the head is comes from the face's joints, and wherever these leave doubt also from the shoulders and the box: too
much is hidden rather than too little. What was under it cannot be computed back: a head keeps a handful of averages.
Only people that were found are hidden.
"""

from __future__ import annotations

import math
from collections import deque
from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray

from gcpose_trt.pose.drawing.strokes import Image
from gcpose_trt.pose.types import PoseFrame

Regions = NDArray[np.float64]

_Point = tuple[float, float]

_FACE = range(5)  # nose, eyes, ears
_EARS = (3, 4)
_SHOULDERS, _HIPS = (5, 6), (11, 12)
_RADIUS = 0.68  # of what is hidden around the face, in head heights
_CELLS = 4  # averages across a head
_SMALLEST_CELL = 5.0  # pixels
_FAR = 1e5  # pixels: joints farther out say nothing
_SOLID = 0.88  # part of the radius within which nothing of the picture is left
_DISC = 64  # pixels of the soft disc that is stretched over a head


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
    inside = np.abs(regions[:, None, :2] - known[None, :, :2]) <= 0.7 * known[None, :, 2:]
    return regions[~np.any(np.all(inside, axis=2), axis=1)]


def head_regions(poses: PoseFrame, threshold: float) -> Regions:
    """Return ellipses that cover the heads: (R, 4) centre x, y and half axes in pixels, one or more a person."""
    regions = [
        region for row in range(len(poses)) for region in _of_person(poses.boxes[row], poses.keypoints[row], threshold)
    ]
    return np.array(regions, np.float64).reshape(-1, 4)


def _of_person(box: NDArray[np.float32], keypoints: NDArray[np.float32], threshold: float) -> list[list[float]]:
    left, top, right, bottom = np.clip(np.nan_to_num(box, posinf=_FAR, neginf=-_FAR), -_FAR, _FAR).tolist()
    wide, tall = max(right - left, 1.0), max(bottom - top, 1.0)
    joints = keypoints.tolist()
    seen = {
        joint: (x, y)
        for joint, (x, y, score) in enumerate(joints)
        if score >= max(threshold, 1e-6) and abs(x) < _FAR and abs(y) < _FAR
    }
    size = _head_size(seen, max(wide, tall))
    face = [seen[joint] for joint in _FACE if joint in seen]
    regions: list[list[float]] = []
    # One joint gone astray must neither pull the rest away from the face nor be wrong about it: each is hidden.
    for x, y in _centres(face, 0.5 * size):
        regions.append([x, y, _RADIUS * size, _RADIUS * size])
    shoulders = _from_shoulders(seen, size)
    best = max((joints[joint][2] for joint in _FACE if joint in seen), default=0.0)
    sure = len(face) >= 2 and len(regions) == 1 and best >= min(2 * threshold, 0.5)
    if shoulders is not None and not (sure and math.dist(regions[0][:2], shoulders[:2]) < 1.5 * size):
        regions.append(shoulders)
    if not sure and shoulders is None:
        regions.append(_from_box(left, top, wide, tall))
    return regions


def _centres(points: list[_Point], reach: float) -> list[_Point]:
    """Return the centres of groups of points, within `reach` of the middle one of each group."""
    centres = []
    while points:
        middle = sorted(x for x, _ in points)[len(points) // 2], sorted(y for _, y in points)[len(points) // 2]
        # Nothing may lie near a middle made of two points' coordinates: its nearest point then stands for it.
        if all(math.dist(point, middle) > reach for point in points):
            middle = min(points, key=lambda point: math.dist(point, middle))
        group = [point for point in points if math.dist(point, middle) <= reach]
        points = [point for point in points if math.dist(point, middle) > reach]
        centres.append((sum(x for x, _ in group) / len(group), sum(y for _, y in group) / len(group)))
    return centres


def _head_size(seen: dict[int, _Point], longest: float) -> float:
    """Return the height of the head with hair, in pixels.

    From body proportions: a side view shortens the shoulders, bending shortens the trunk, and hardly anything shortens
    all. The face corrects what is too large by more than a little, as where two people's joints are mixed up.

    Args:
        seen: joints by index.
        longest: the box's longer side.
    """
    shoulders = [seen[joint] for joint in _SHOULDERS if joint in seen]
    hips = [seen[joint] for joint in _HIPS if joint in seen]
    body = 0.0
    if len(shoulders) == 2:
        body = 0.6 * math.dist(*shoulders)
        if hips:
            body = max(body, 0.45 * math.dist(_mean(shoulders), _mean(hips)))
    face = [seen[joint] for joint in _FACE if joint in seen]
    ears = any(joint in seen for joint in _EARS)
    spread = max((math.dist(one, other) for one in face for other in face), default=0.0)
    wide = spread * (2.0 if ears else 4.2)
    size = max(body, 0.13 * longest)
    if body and wide > 2 * size:
        wide = 2 * size  # a joint of another person's face
    size = max(size, wide)
    if len(face) >= 3 and ears and wide > 0.5 * size:
        size = min(size, 1.35 * wide)
    return max(6.0, min(size, longest))


def _from_shoulders(seen: dict[int, _Point], size: float) -> list[float] | None:
    """Return where the head is above the shoulders seen, along the trunk."""
    shoulders = [seen[joint] for joint in _SHOULDERS if joint in seen]
    if not shoulders:
        return None
    x, y = _mean(shoulders)
    up = (0.0, -1.0)
    hips = [seen[joint] for joint in _HIPS if joint in seen]
    if hips:
        below = _mean(hips)
        length = math.dist((x, y), below)
        if length > size:
            up = (x - below[0]) / length, (y - below[1]) / length
    # One shoulder leaves open on which side of it the head is.
    reach = size * (0.8 if len(shoulders) == 2 else 1.5)
    return [x + 0.85 * size * up[0], y + 0.85 * size * up[1], reach, reach]


def _from_box(left: float, top: float, wide: float, tall: float) -> list[float]:
    """Return the upper part of a box; all of one that lies, whose head may be at either end."""
    part = tall if wide > 1.2 * tall else min(tall, max(0.3 * tall, 0.6 * wide))
    # The ellipse holds the corners of that part except for little.
    return [left + wide / 2, top + 0.45 * part, 0.66 * wide, 0.7 * part]


def _mean(points: list[_Point]) -> _Point:
    return sum(x for x, _ in points) / len(points), sum(y for _, y in points) / len(points)


def hide(canvas: Image, regions: Regions) -> None:
    """Replace ellipses of `canvas` (H, W, 3) BGR uint8 by a few averages of their pixels, blurred into each other."""
    height, width = canvas.shape[:2]
    for x, y, across, down in regions.tolist():
        left, right = max(0, math.floor(x - across)), min(width, math.ceil(x + across) + 1)
        top, bottom = max(0, math.floor(y - down)), min(height, math.ceil(y + down) + 1)
        if left >= right or top >= bottom:
            continue
        region = canvas[top:bottom, left:right]
        size = (right - left, bottom - top)
        cell = max(_SMALLEST_CELL, 2 * min(across, down) / _CELLS)
        cells = (max(1, round(size[0] / cell)), max(1, round(size[1] / cell)))
        few = cv2.resize(region, cells, interpolation=cv2.INTER_AREA)
        smooth = cv2.resize(few, size, interpolation=cv2.INTER_LINEAR)
        stretch = np.array(
            [[2 * across / _DISC, 0, x - across - left], [0, 2 * down / _DISC, y - down - top]], np.float64
        )
        stretch[:, 2] += 0.5 * stretch.sum(axis=1, where=[True, True, False]) - 0.5  # cv2 counts from pixel centres
        weight = cv2.warpAffine(_soft_disc(), stretch, size, flags=cv2.INTER_LINEAR)
        region[:] = cv2.blendLinear(smooth, region, weight, 1 - weight)


@lru_cache(maxsize=1)
def _soft_disc() -> NDArray[np.float32]:
    """Return weights (_DISC, _DISC): 1 within `_SOLID` of the radius, falling to 0 at the edge."""
    place = (np.arange(_DISC) + 0.5) / _DISC * 2 - 1
    radius = np.hypot(place[:, None], place[None])
    return np.clip((1 - radius) / (1 - _SOLID), 0, 1).astype(np.float32)
