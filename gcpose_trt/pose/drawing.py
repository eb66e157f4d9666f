"""Skeletons on frames.

Limbs and joints are anti-aliased at sub-pixel positions and as opaque as their joints are certain: a guess looks like
a guess. Widths follow the size of the person within limits set by the frame, from thumbnails to 8K.
"""

from __future__ import annotations

import math

import cv2
import numpy as np
from numpy.typing import NDArray

from gcpose_trt.pose.skeleton import COCO17, Colour, Skeleton
from gcpose_trt.pose.types import PoseFrame

Image = NDArray[np.uint8]

_SHIFT = 4  # fractional bits of cv2's sub-pixel coordinates
_INK: Colour = (28, 24, 22)  # outline that keeps a light limb visible on a light ground
_FAINTEST = 0.35  # opacity of a joint at the threshold
_FACE = 5  # joints before this one are eyes, ears and nose: small, close together
_HALF_TURN = np.linspace(np.pi / 2, 3 * np.pi / 2, 9)


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
    canvas = _as_bgr(frame)
    certain = min(1.0, 6 * keypoint_threshold) if certain is None else certain
    # Last the best, so that they lie on top.
    for row in reversed(range(len(poses))):
        width = _line_width(poses.boxes[row], canvas.shape)
        if boxes:
            _draw_box(canvas, poses.boxes[row], float(poses.scores[row]))
        keypoints = poses.keypoints[row]
        opacity = _opacity(keypoints[:, 2], keypoint_threshold, certain)
        _draw_person(canvas, keypoints[:, :2], opacity, width, skeleton)
    return canvas


def _as_bgr(frame: NDArray[np.generic]) -> Image:
    image = np.ascontiguousarray(frame, dtype=np.uint8)
    if image.ndim == 2:
        image = image[..., None]
    if image.shape[2] == 1:
        return np.repeat(image, 3, axis=2)
    return np.array(image[..., :3], order="C")


def _opacity(scores: NDArray[np.float32], threshold: float, certain: float) -> NDArray[np.float32]:
    """Return 0 below the threshold, then `_FAINTEST` rising to 1 at `certain`."""
    ramp = np.clip((scores - threshold) / max(certain - threshold, 1e-6), 0, 1)
    return np.where(scores >= threshold, _FAINTEST + (1 - _FAINTEST) * ramp, 0.0).astype(np.float32)


def _line_width(box: NDArray[np.float32], shape: tuple[int, ...]) -> float:
    """Return a limb's width in pixels for a person with this box in a frame of this shape."""
    width, height = (float(side) for side in np.clip(np.nan_to_num(box[2:] - box[:2]), 1, max(shape)))
    person = math.sqrt(width * height)
    frame = float(np.hypot(shape[0], shape[1]))
    return float(np.clip(0.022 * person, max(1.0, 0.0016 * frame), max(1.5, 0.007 * frame)))


def _draw_person(
    canvas: Image, points: NDArray[np.float32], opacity: NDArray[np.float32], width: float, skeleton: Skeleton
) -> None:
    # Strokes from joint to joint; a joint itself is one that ends where it starts.
    strokes = np.array([*skeleton.limbs, *((joint, joint) for joint in range(len(skeleton)))])
    colours = [*map(skeleton.limb_colour, skeleton.limbs), *map(skeleton.joint_colour, range(len(skeleton)))]
    widths = width * np.array([*[1.0] * len(skeleton.limbs), *[1.25] * _FACE, *[1.9] * (len(skeleton) - _FACE)])
    opacities, ends = opacity[strokes].min(axis=1), points[strokes].astype(np.float64)
    sane = np.isfinite(ends).all(axis=(1, 2)) & (np.abs(ends).max(axis=(1, 2)) < 4 * sum(canvas.shape))
    ends[~sane] = 0
    inner, outer = _outlines(ends, widths), _outlines(ends, widths + max(1.4, 0.55 * width))
    # What is certain lies on top: a faint limb must not make a clear one transparent where they cross.
    order = [int(row) for row in np.argsort(opacities, kind="stable") if sane[row] and opacities[row] > 0]
    faint = [row for row in order if opacities[row] < 1]
    if faint:
        _draw_faint(canvas, inner[faint], outer[faint], [colours[row] for row in faint], opacities[faint])
    for row in order[len(faint) :]:
        cv2.fillConvexPoly(canvas, outer[row], _INK, cv2.LINE_AA, _SHIFT)
        cv2.fillConvexPoly(canvas, inner[row], colours[row], cv2.LINE_AA, _SHIFT)


def _draw_faint(
    canvas: Image,
    inner: NDArray[np.int32],
    outer: NDArray[np.int32],
    colours: list[Colour],
    opacities: NDArray[np.float32],
) -> None:
    """Draw outlines (S, P, 2) on a layer as large as they are together, and blend that once."""
    left, top = np.maximum((outer.min(axis=(0, 1)) >> _SHIFT) - 2, 0)
    right, bottom = np.minimum((outer.max(axis=(0, 1)) >> _SHIFT) + 3, canvas.shape[1::-1])
    if left >= right or top >= bottom:
        return
    origin = np.array([left, top], np.int32) << _SHIFT
    colour: Image = np.full((bottom - top, right - left, 3), _INK, np.uint8)
    alpha: Image = np.zeros((bottom - top, right - left), np.uint8)
    for inside, outside, paint, opacity in zip(inner - origin, outer - origin, colours, opacities, strict=True):
        cv2.fillConvexPoly(alpha, outside, round(255 * float(opacity)), cv2.LINE_AA, _SHIFT)
        cv2.fillConvexPoly(colour, outside, _INK, cv2.LINE_AA, _SHIFT)
        cv2.fillConvexPoly(colour, inside, paint, cv2.LINE_AA, _SHIFT)
    place = np.nonzero(alpha)  # a small part of the layer
    weight = alpha[place].astype(np.float32)[:, None] / 255
    region = canvas[top:bottom, left:right]
    below = region[place].astype(np.float32)
    region[place] = np.rint(below + (colour[place] - below) * weight)


def _outlines(ends: NDArray[np.float64], widths: NDArray[np.float64]) -> NDArray[np.int32]:
    """Return the outlines (S, 18, 2) of round-ended strokes, in cv2's fixed-point pixels.

    cv2's own thick lines take whole pixels only, so that widths would jump in a video.

    Args:
        ends: (S, 2, 2) both ends in continuous pixels.
        widths: (S,) pixels.
    """
    along = ends[:, 1] - ends[:, 0]
    turn = np.arctan2(along[:, 1], along[:, 0])[:, None] + _HALF_TURN
    arc = 0.5 * widths[:, None, None] * np.stack([np.cos(turn), np.sin(turn)], axis=2)
    polygons = np.concatenate([ends[:, :1] + arc, ends[:, 1:] - arc], axis=1)
    # cv2 counts from pixel centres, continuous coordinates from the corner.
    return np.rint((polygons - 0.5) * (1 << _SHIFT)).astype(np.int32)


def _draw_box(canvas: Image, box: NDArray[np.float32], score: float) -> None:
    """Draw a thin box with its score on a tag at the top left corner, inside the frame."""
    height, width = canvas.shape[:2]
    if not np.isfinite(box).all():
        return
    unit = float(np.hypot(height, width))
    thickness = max(1, round(unit / 1100))
    left, top, right, bottom = (
        int(np.clip(value, 0, limit - 1))
        for value, limit in zip(np.floor(box), (width, height, width, height), strict=True)
    )
    for rows, columns in (
        *((slice(max(0, y - thickness), y + thickness + 1), slice(left, right + 1)) for y in (top, bottom)),
        *((slice(top, bottom + 1), slice(max(0, x - thickness), x + thickness + 1)) for x in (left, right)),
    ):
        canvas[rows, columns] = 0.6 * canvas[rows, columns] + 0.4 * np.array(_INK)
    cv2.rectangle(canvas, (left, top), (right, bottom), COCO17.colours["centre"], thickness)
    scale, text = max(0.35, unit / 2600), f"{score:.2f}"
    stroke = max(1, round(scale * 1.4))
    (wide, tall), _ = cv2.getTextSize(text, cv2.FONT_HERSHEY_SIMPLEX, scale, stroke)
    pad = max(2, round(tall * 0.35))
    if wide + 2 * pad > width or tall + 2 * pad > height:
        return
    # Above the box where there is room, else inside it.
    tag_left = min(left, width - wide - 2 * pad)
    tag_top = top - tall - 2 * pad if top >= tall + 2 * pad else top
    tag = canvas[tag_top : tag_top + tall + 2 * pad, tag_left : tag_left + wide + 2 * pad]
    tag[:] = (0.3 * tag + 0.7 * np.array(_INK)).astype(np.uint8)
    baseline = (tag_left + pad, tag_top + pad + tall)
    cv2.putText(canvas, text, baseline, cv2.FONT_HERSHEY_SIMPLEX, scale, COCO17.colours["centre"], stroke, cv2.LINE_AA)
