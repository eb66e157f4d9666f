"""Skeletons on frames.

Limbs and joints are anti-aliased at sub-pixel positions and as opaque as their joints are certain: a guess looks like
a guess. Widths follow the size of the person within limits set by the frame, from thumbnails to 8K.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from gcpose_trt.pose.skeleton import COCO17, Colour, Skeleton
from gcpose_trt.pose.types import PoseFrame

Image = NDArray[np.uint8]
Point = tuple[float, float]

_SHIFT = 4  # fractional bits of cv2's sub-pixel coordinates
_INK: Colour = (28, 24, 22)  # outline that keeps a light limb visible on a light ground
_FAINTEST = 0.35  # opacity of a joint at the threshold


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
        points = [(float(x), float(y)) for x, y in keypoints[:, :2]]
        _draw_person(canvas, points, opacity, width, skeleton)
    return canvas


def _as_bgr(frame: NDArray[np.generic]) -> Image:
    image = np.ascontiguousarray(frame, dtype=np.uint8)
    if image.ndim == 2:
        image = image[..., None]
    if image.shape[2] == 1:
        return np.repeat(image, 3, axis=2)
    return np.array(image[..., :3], order="C")


def _opacity(scores: NDArray[np.float32], threshold: float, certain: float) -> list[float]:
    """Return 0 below the threshold, then `_FAINTEST` rising to 1 at `certain`."""
    ramp = np.clip((scores - threshold) / max(certain - threshold, 1e-6), 0, 1)
    return np.where(scores >= threshold, _FAINTEST + (1 - _FAINTEST) * ramp, 0.0).tolist()


def _line_width(box: NDArray[np.float32], shape: tuple[int, ...]) -> float:
    """Return a limb's width in pixels for a person with this box in a frame of this shape."""
    person = float(np.sqrt(max((box[2] - box[0]) * (box[3] - box[1]), 1.0)))
    frame = float(np.hypot(shape[0], shape[1]))
    return float(np.clip(0.022 * person, max(1.0, 0.0016 * frame), max(1.5, 0.007 * frame)))


def _draw_person(canvas: Image, points: list[Point], opacity: list[float], width: float, skeleton: Skeleton) -> None:
    for start, end in skeleton.limbs:
        alpha = min(opacity[start], opacity[end])
        if alpha > 0:
            ends = (points[start], points[end])
            _stroke(canvas, ends, width + max(1.2, 0.5 * width), _INK, 0.55 * alpha)
            _stroke(canvas, ends, width, skeleton.limb_colour((start, end)), alpha)
    for joint, point in enumerate(points):
        if opacity[joint] > 0:
            radius = width * (0.62 if joint < 5 else 0.95)
            _disc(canvas, point, radius + max(0.8, 0.3 * width), _INK, 0.7 * opacity[joint])
            _disc(canvas, point, radius, skeleton.joint_colour(joint), opacity[joint])


def _stroke(canvas: Image, ends: tuple[Point, Point], width: float, colour: Colour, alpha: float) -> None:
    """Blend a round-ended line of fractional width onto `canvas`.

    Drawn as a filled outline: cv2's own thick lines take whole pixels only, so that widths would jump in a video.
    """
    (x1, y1), (x2, y2) = ends
    length = float(np.hypot(x2 - x1, y2 - y1))
    if not np.isfinite(length) or length > 4 * (canvas.shape[0] + canvas.shape[1]):
        return
    angle = float(np.arctan2(y2 - y1, x2 - x1))
    turn = np.linspace(np.pi / 2, 3 * np.pi / 2, 9)
    arc = np.concatenate([angle + turn, angle + np.pi + turn])
    centres = np.repeat(np.array(ends), 9, axis=0)
    outline = centres + 0.5 * width * np.stack([np.cos(arc), np.sin(arc)], axis=1)
    _blend(canvas, outline, colour, alpha)


def _disc(canvas: Image, centre: Point, radius: float, colour: Colour, alpha: float) -> None:
    if not np.isfinite(centre).all():
        return
    turn = np.linspace(0, 2 * np.pi, 25)[:-1]
    _blend(canvas, np.array(centre) + radius * np.stack([np.cos(turn), np.sin(turn)], axis=1), colour, alpha)


def _blend(canvas: Image, outline: NDArray[np.float64], colour: Colour, alpha: float) -> None:
    """Blend a convex polygon (P, 2), in continuous pixels, onto the part of `canvas` that it covers."""
    height, width = canvas.shape[:2]
    left, top = np.maximum(np.floor(outline.min(axis=0)).astype(int) - 1, 0)
    right, bottom = np.minimum(np.ceil(outline.max(axis=0)).astype(int) + 2, (width, height))
    if left >= right or top >= bottom:
        return
    coverage = np.zeros((bottom - top, right - left), np.uint8)
    # cv2 counts from pixel centres, continuous coordinates from the corner.
    corners = np.rint((outline - (left + 0.5, top + 0.5)) * (1 << _SHIFT)).astype(np.int32)
    cv2.fillConvexPoly(coverage, corners, 255, cv2.LINE_AA, _SHIFT)
    weight = coverage[..., None].astype(np.float32) * (alpha / 255)
    region = canvas[top:bottom, left:right]
    region[:] = np.rint(region + (np.array(colour, np.float32) - region) * weight)


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
    cv2.rectangle(canvas, (left, top), (right, bottom), _INK, thickness + 1, cv2.LINE_AA)
    cv2.rectangle(canvas, (left, top), (right, bottom), COCO17.colours["centre"], thickness, cv2.LINE_AA)
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
