"""People to draw: a body that stands in its box, as sure of its joints as asked."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from gcpose_trt.pose import PoseFrame

# Of COCO's joints, in fractions of the box: somebody who faces the camera.
BODY = np.array(
    [
        *[(0.50, 0.08), (0.54, 0.06), (0.46, 0.06), (0.58, 0.07), (0.42, 0.07)],
        *[(0.70, 0.20), (0.30, 0.20), (0.80, 0.38), (0.20, 0.38), (0.82, 0.54), (0.18, 0.54)],
        *[(0.62, 0.52), (0.38, 0.52), (0.62, 0.75), (0.38, 0.75), (0.62, 0.96), (0.38, 0.96)],
    ],
    np.float32,
)
FACE = slice(0, 5)


def standing(box: Sequence[float], confidence: float = 1.0) -> NDArray[np.float32]:
    """Return joints (17, 3) of a person in this box."""
    left, top, right, bottom = box
    places = BODY * (right - left, bottom - top) + (left, top)
    return np.column_stack([places, np.full(17, confidence)]).astype(np.float32)


def people(*boxes: Sequence[float], ids: Sequence[int] | None = None, confidence: float = 1.0) -> PoseFrame:
    """Return a frame of people who stand in these boxes."""
    keypoints = [standing(box, confidence) for box in boxes]
    scores = np.linspace(0.9, 0.8, len(boxes))
    return PoseFrame(boxes, scores, keypoints, ids)  # type: ignore[arg-type]


def noise(height: int, width: int, seed: int = 0) -> NDArray[np.uint8]:
    """Return a picture (height, width, 3) of random pixels."""
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)
