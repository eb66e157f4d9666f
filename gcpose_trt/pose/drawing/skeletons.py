"""Limbs and joints: left and right in different colours, as opaque as the joints are certain."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from gcpose_trt.pose.drawing.strokes import Image, draw_strokes
from gcpose_trt.pose.skeleton import COCO17, Colour, Skeleton
from gcpose_trt.pose.types import PoseFrame

_FAINTEST = 0.35  # opacity of a joint at the threshold
_FACE = 5  # joints before this one are eyes, ears and nose: small, close together


def draw_skeletons(
    canvas: Image,
    poses: PoseFrame,
    *,
    threshold: float,
    certain: float,
    skeleton: Skeleton = COCO17,
) -> None:
    """Draw the people's limbs and joints onto `canvas`, the best on top.

    Args:
        canvas: (H, W, 3) BGR uint8, changed.
        poses: the people, in pixels of `canvas`; widths of lines follow their boxes.
        threshold: joints below this confidence are left out.
        certain: confidence from which a joint is fully opaque.
        skeleton: the joints' meaning.
    """
    people = len(poses)
    if not people:
        return
    strokes, colours, relative = _COCO_PLAN if skeleton is COCO17 else _plan(skeleton)
    opacities = joint_opacity(poses.keypoints[..., 2], threshold, certain)[:, strokes].min(axis=2)
    widths = np.array([line_width(box, canvas.shape) for box in poses.boxes])
    draw_strokes(
        canvas,
        poses.keypoints[:, strokes, :2].reshape(-1, 2, 2),
        (widths[:, None] * relative).ravel(),
        colours * people,
        opacities.ravel(),
        np.repeat(np.maximum(1.4, 0.55 * widths), len(strokes)),
        np.repeat(np.arange(people, 0, -1), len(strokes)),
    )


def joint_opacity(scores: NDArray[np.float32], threshold: float, certain: float) -> NDArray[np.float32]:
    """Return 0 below the threshold, then `_FAINTEST` rising to 1 at `certain`; 0 for NaN."""
    ramp = np.clip((scores - threshold) / max(certain - threshold, 1e-6), 0, 1)
    return np.where(scores >= threshold, _FAINTEST + (1 - _FAINTEST) * ramp, 0.0).astype(np.float32)


def line_width(box: NDArray[np.float32], shape: tuple[int, ...]) -> float:
    """Return a limb's width in pixels for a person with this box in a picture of this shape."""
    left, top, right, bottom = np.nan_to_num(box.astype(np.float64)).tolist()
    person = math.sqrt(min(max(right - left, 1), max(shape)) * min(max(bottom - top, 1), max(shape)))
    frame = math.hypot(shape[0], shape[1])
    return min(max(0.022 * person, max(1.0, 0.0016 * frame)), max(1.5, 0.007 * frame))


def _plan(skeleton: Skeleton) -> tuple[NDArray[np.int64], list[Colour], NDArray[np.float64]]:
    """Return each line's joints (S, 2), colour and relative width (S,). A joint is a line to itself."""
    joints = range(len(skeleton))
    strokes = np.array([*skeleton.limbs, *((joint, joint) for joint in joints)], np.int64)
    colours = [*map(skeleton.limb_colour, skeleton.limbs), *map(skeleton.joint_colour, joints)]
    widths = [1.0] * len(skeleton.limbs) + [1.25 if joint < _FACE else 1.9 for joint in joints]
    return strokes, colours, np.array(widths)


_COCO_PLAN = _plan(COCO17)
