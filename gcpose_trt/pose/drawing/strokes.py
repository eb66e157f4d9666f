"""Round-ended lines and discs: anti-aliased, of any width, as opaque as asked, at sub-pixel places."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from gcpose_trt.pose.skeleton import Colour

Image = NDArray[np.uint8]

INK: Colour = (28, 24, 22)  # outline that keeps a light line visible on a light ground
_SHIFT = 4  # fractional bits of cv2's sub-pixel coordinates
_FEW, _MANY = (np.linspace(np.pi / 2, 3 * np.pi / 2, points) for points in (5, 11))
_LEVELS = 10  # steps of opacity: lines of the same step are blended together
_CALL = 10_000  # pixels that could be blended while a call into OpenCV gets going
_PIECES = 6  # of a long line that are blended one by one
_FINE = 7.0  # pixels: narrower ends look round with few corners


def draw_strokes(
    canvas: Image,
    ends: NDArray[Any],
    widths: NDArray[Any],
    colours: Sequence[Colour],
    opacities: NDArray[Any],
    ink: float,
) -> None:
    """Draw lines onto `canvas`, the most certain on top: a faint line never makes a clear one transparent.

    Args:
        canvas: (H, W, 3) BGR uint8, changed.
        ends: (S, 2, 2) both ends in continuous pixels; twice the same place is a disc. Lines with ends that are not
            finite or far outside the picture are left out.
        widths: (S,) pixels.
        colours: of each line.
        opacities: (S,) 0..1, rounded to tenths; 0 is not drawn.
        ink: pixels by which a dark outline makes each line wider; 0 for none.
    """
    ends, widths = np.array(ends, np.float64), np.asarray(widths, np.float64)
    with np.errstate(invalid="ignore"):
        near = np.abs(ends).max(axis=(1, 2), initial=0) < 4 * sum(canvas.shape)
    shown = np.flatnonzero(near & np.isfinite(ends).all(axis=(1, 2)) & (opacities > 0))
    shown = shown[np.argsort(opacities[shown], kind="stable")]
    if not len(shown):
        return
    inner = _outlines(ends[shown], widths[shown])
    outer = _outlines(ends[shown], widths[shown] + ink)
    paints = [colours[row] for row in shown.tolist()]
    # One pixel more than the outline, for what anti-aliasing touches.
    low = np.maximum((outer.min(axis=1) >> _SHIFT) - 1, 0)
    high = np.minimum((outer.max(axis=1) >> _SHIFT) + 3, canvas.shape[1::-1])
    levels = np.rint(opacities[shown] * _LEVELS)
    starts = [0, *(np.flatnonzero(np.diff(levels)) + 1).tolist(), len(paints)]
    for start, stop in pairwise(starts):
        opacity = max(1.0, float(levels[start])) / _LEVELS
        for first, last in _batches(low[start:stop], high[start:stop], whole=opacity >= 1):
            batch = slice(start + first, start + last)
            (left, top), (right, bottom) = low[batch].min(axis=0).tolist(), high[batch].max(axis=0).tolist()
            if left >= right or top >= bottom:
                continue
            region = canvas[top:bottom, left:right]
            layer = region if opacity >= 1 else region.copy()
            corner = np.array((left << _SHIFT, top << _SHIFT), np.int32)
            _fill(layer, inner[batch] - corner, outer[batch] - corner if ink > 0 else None, paints[batch])
            if layer is not region:
                cv2.addWeighted(layer, opacity, region, 1 - opacity, 0, dst=region)


def draw_way(
    canvas: Image,
    points: NDArray[np.float64],
    widths: NDArray[np.float64],
    opacities: NDArray[np.float64],
    colour: Colour,
) -> None:
    """Draw a line through points onto `canvas`; its parts do not shine through where they meet.

    Args:
        canvas: (H, W, 3) BGR uint8, changed.
        points: (P, 2) continuous pixels; a point that is not finite or far outside the picture is a gap.
        widths: (P - 1,) pixels, of each part.
        opacities: (P - 1,) 0..1; where parts overlap, the later one's counts.
        colour: of the line.
    """
    with np.errstate(invalid="ignore"):
        near = np.asarray(np.all(np.abs(points) < 4 * sum(canvas.shape), axis=1))
    shown = np.flatnonzero(near[:-1] & near[1:])
    if not len(shown):
        return
    parts = _outlines(np.stack([points[shown], points[shown + 1]], axis=1), widths[shown])
    left, top = np.maximum((parts.min(axis=(0, 1)) >> _SHIFT) - 1, 0).tolist()
    right, bottom = np.minimum((parts.max(axis=(0, 1)) >> _SHIFT) + 3, canvas.shape[1::-1]).tolist()
    if left >= right or top >= bottom:
        return
    mask: NDArray[np.uint8] = np.zeros((bottom - top, right - left), np.uint8)
    for part, opacity in zip(
        parts - np.array((left << _SHIFT, top << _SHIFT), np.int32), opacities[shown], strict=True
    ):
        cv2.fillConvexPoly(mask, part, round(255 * float(opacity)), cv2.LINE_AA, _SHIFT)
    # Across a large picture a thin line fills little of the region around it: blend it piece by piece.
    pieces = np.linspace(0, max(mask.shape), _PIECES + 1).astype(int).tolist()
    for start, stop in pairwise(pieces):
        piece = mask[:, start:stop] if mask.shape[1] >= mask.shape[0] else mask[start:stop]
        x, y, width, height = cv2.boundingRect(piece) if piece.size else (0, 0, 0, 0)
        if mask.shape[1] >= mask.shape[0]:
            x += start
        else:
            y += start
        part_of = (slice(y, y + height), slice(x, x + width))
        blend(canvas[top:bottom, left:right][part_of], mask[part_of], colour)


def blend(region: Image, mask: NDArray[np.uint8], colour: Colour) -> None:
    """Blend `colour` onto `region` (h, w, 3) as far as `mask` (h, w) covers it; the smaller of both counts."""
    height, width = min(len(region), len(mask)), min(region.shape[1], mask.shape[1])
    if not height or not width:
        return
    region, weight = region[:height, :width], cv2.merge([mask[:height, :width]] * 3)
    paint = np.full(region.shape, colour, np.uint8)
    below = cv2.multiply(region, cv2.bitwise_not(weight), scale=1 / 255)
    region[:] = cv2.add(cv2.multiply(paint, weight, scale=1 / 255), below)


def _fill(layer: Image, inner: NDArray[np.int32], outer: NDArray[np.int32] | None, colours: Sequence[Colour]) -> None:
    for place, colour in enumerate(colours):
        if outer is not None:
            cv2.fillConvexPoly(layer, outer[place], INK, cv2.LINE_AA, _SHIFT)
        cv2.fillConvexPoly(layer, inner[place], colour, cv2.LINE_AA, _SHIFT)


def _batches(low: NDArray[np.int32], high: NDArray[np.int32], whole: bool) -> list[tuple[int, int]]:
    """Return which of the lines of one opacity are blended together: all, or each its own small region if cheaper."""
    together = int(np.prod(high.max(axis=0) - low.min(axis=0)))
    apart = int((high - low).prod(axis=1).sum()) + _CALL * len(low)
    return [(0, len(low))] if whole or together <= apart else [(row, row + 1) for row in range(len(low))]


def _outlines(ends: NDArray[np.float64], widths: NDArray[np.float64]) -> NDArray[np.int32]:
    """Return the outlines (S, P, 2) of round-ended lines, in cv2's fixed-point pixels.

    cv2's own thick lines take whole pixels only, so that widths would jump in a video.
    """
    along = ends[:, 1] - ends[:, 0]
    half_turn = _FEW if widths.max() < _FINE else _MANY
    turn = np.arctan2(along[:, 1], along[:, 0])[:, None] + half_turn
    arc = 0.5 * widths[:, None, None] * np.stack([np.cos(turn), np.sin(turn)], axis=2)
    polygons = np.concatenate([ends[:, :1] + arc, ends[:, 1:] - arc], axis=1)
    # cv2 counts from pixel centres, continuous coordinates from the corner.
    return np.rint((polygons - 0.5) * (1 << _SHIFT)).astype(np.int32)
