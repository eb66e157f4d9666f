"""Boxes, and tags with a person's number and score."""

from __future__ import annotations

import math

import cv2
import numpy as np
from numpy.typing import NDArray

from gcpose_trt.pose.drawing.strokes import INK, Image, blend
from gcpose_trt.pose.drawing.text import text_mask
from gcpose_trt.pose.skeleton import COCO17, Colour

# BGR. Bright enough for dark text, far apart in lightness or hue, and none is that of a side of the body.
_TRACKS: tuple[Colour, ...] = (
    (80, 225, 245),
    (190, 205, 70),
    (205, 145, 240),
    (110, 215, 85),
    (240, 140, 165),
    (200, 245, 215),
    (130, 165, 190),
)


def track_colour(track: int | None) -> Colour:
    """Return the BGR colour of a tracked person; light grey for None."""
    return COCO17.colours["centre"] if track is None else _TRACKS[track % len(_TRACKS)]


def draw_box(canvas: Image, box: NDArray[np.float32], colour: Colour) -> None:
    """Draw a thin box with a dark edge onto `canvas`, inside the picture."""
    place = _clipped(box, canvas)
    if place is None:
        return
    left, top, right, bottom = place
    thickness = max(1, round(math.hypot(*canvas.shape[:2]) / 1100))
    for rows, columns in (
        *((slice(max(0, y - thickness), y + thickness + 1), slice(left, right + 1)) for y in (top, bottom)),
        *((slice(top, bottom + 1), slice(max(0, x - thickness), x + thickness + 1)) for x in (left, right)),
    ):
        _darken(canvas[rows, columns], 0.4)
    cv2.rectangle(canvas, (left, top), (right, bottom), colour, thickness)


def draw_tag(canvas: Image, box: NDArray[np.float32], score: float | None, track: int | None = None) -> None:
    """Draw a person's number and score onto `canvas`: on the box's top left corner where there is room, else inside.

    Args:
        canvas: (H, W, 3) BGR uint8, changed.
        box: (4,) x1, y1, x2, y2 in continuous pixels.
        score: 0..1, or None to leave it out.
        track: number, or None where nobody tracks.
    """
    place = _clipped(box, canvas)
    parts = _parts(score, track, tag_height(canvas.shape))
    if place is None or not parts:
        return
    if len(parts) == 2 and sum(mask.shape[1] for mask, _, _ in parts) > 1.5 * (place[2] - place[0]):
        parts.pop()  # in a crowd seen from afar, scores would hide their neighbours' numbers
    pad = max(2, round(0.3 * tag_height(canvas.shape)))
    tall = parts[0][0].shape[0] + pad
    wide = sum(mask.shape[1] + 2 * pad for mask, _, _ in parts)
    if wide > canvas.shape[1] or tall > canvas.shape[0]:
        return
    left = min(place[0], canvas.shape[1] - wide)
    top = place[1] - tall if place[1] >= tall else min(place[1], canvas.shape[0] - tall)
    for mask, ink, ground in parts:
        region = canvas[top : top + tall, left : left + mask.shape[1] + 2 * pad]
        if ground is None:
            _darken(region, 0.75)
        else:
            region[:] = ground
        blend(region[pad : pad + len(mask), pad : pad + mask.shape[1]], mask, ink)
        left += mask.shape[1] + 2 * pad


def tag_height(shape: tuple[int, ...]) -> int:
    """Return the height in pixels of a capital letter on a tag, in a picture of this shape."""
    return max(7, round(0.42 * math.hypot(shape[0], shape[1]) ** 0.48))


def _parts(
    score: float | None, track: int | None, height: int
) -> list[tuple[NDArray[np.uint8], Colour, Colour | None]]:
    """Return mask, text colour and ground of each part of a tag; a ground of None is dark and transparent."""
    parts: list[tuple[NDArray[np.uint8], Colour, Colour | None]] = []
    if track is not None:
        parts.append((text_mask(str(track), height, bold=True), INK, track_colour(track)))
    if score is not None:
        parts.append((text_mask(f"{score:.2f}", height), COCO17.colours["centre"], None))
    return parts


def _darken(region: Image, amount: float) -> None:
    if region.size:
        cv2.convertScaleAbs(region, dst=region, alpha=1 - amount, beta=amount * INK[1])


def _clipped(box: NDArray[np.float32], canvas: Image) -> tuple[int, int, int, int] | None:
    """Return the box's pixels in the picture; None where it is not finite."""
    if not np.isfinite(box).all():
        return None
    height, width = canvas.shape[:2]
    limits = (width, height, width, height)
    left, top, right, bottom = (
        int(min(max(math.floor(value), 0), limit - 1)) for value, limit in zip(box.tolist(), limits, strict=True)
    )
    return left, top, right, bottom
