"""Skeletons on single pictures, without a memory of the one before.

Limbs and joints are anti-aliased at sub-pixel positions and as opaque as their joints are certain: a guess looks like
a guess. Widths follow the size of the person within limits set by the frame, from thumbnails to 8K.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from gcpose_trt.pose.drawing.labels import draw_box, draw_tag, track_colour
from gcpose_trt.pose.drawing.skeletons import draw_skeletons
from gcpose_trt.pose.drawing.strokes import Image
from gcpose_trt.pose.skeleton import COCO17, Skeleton
from gcpose_trt.pose.types import PoseFrame


def draw_poses(
    frame: NDArray[np.generic],
    poses: PoseFrame,
    *,
    keypoint_threshold: float = 0.05,
    certain: float | None = None,
    boxes: bool = True,
    skeleton: Skeleton = COCO17,
) -> Image:
    """Return a copy of `frame` with the people drawn on it.

    Args:
        frame: (H, W), (H, W, 1), (H, W, 3) BGR or (H, W, 4) BGRA, uint8.
        poses: the people, in pixels of `frame`.
        keypoint_threshold: joints below this confidence are left out.
        certain: confidence from which a joint is fully opaque; None takes six times the threshold, because a heatmap's
            softmax peak is well below 1 even where the joint is plain to see.
        boxes: also draw the box and its score.
        skeleton: the joints' meaning.

    Returns:
        (H, W, 3) BGR uint8.
    """
    canvas = bgr_copy(frame)
    certain = certainty(keypoint_threshold, certain)
    # Last the best, so that they lie on top.
    for row in reversed(range(len(poses))) if boxes else ():
        draw_box(canvas, poses.boxes[row], track_colour(None))
        draw_tag(canvas, poses.boxes[row], float(poses.scores[row]))
    draw_skeletons(canvas, poses, threshold=keypoint_threshold, certain=certain, skeleton=skeleton)
    return canvas


def bgr_copy(frame: NDArray[np.generic]) -> Image:
    """Return a copy (H, W, 3) BGR uint8 of a frame as `draw_poses` takes it."""
    image = np.ascontiguousarray(frame, dtype=np.uint8)
    if image.ndim == 2:
        image = image[..., None]
    if image.shape[2] == 1:
        return np.repeat(image, 3, axis=2)
    return np.array(image[..., :3], order="C")


def certainty(threshold: float, certain: float | None) -> float:
    """Return the confidence from which a joint is fully opaque; see `draw_poses`."""
    return min(1.0, 6 * threshold) if certain is None else certain
