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
_CALL = 10_000  # pixels that are blended in the time of a few calls into OpenCV
_PIECES = 6  # of a long line that are blended one by one
_FINE = 7.0  # pixels: narrower ends look round with few corners


def draw_strokes(
    canvas: Image,
    ends: NDArray[Any],
    widths: NDArray[Any],
    colours: Sequence[Colour],
    opacities: NDArray[Any],
    inks: NDArray[Any],
    layers: NDArray[Any],
) -> None:
    """Draw lines onto `canvas`, within a layer the most certain on top: a faint line never makes a clear one faint.

    Args:
        canvas: (H, W, 3) BGR uint8, changed.
        ends: (S, 2, 2) both ends in continuous pixels; twice the same place is a disc. Lines with ends that are not
            finite or far outside the picture are left out.
        widths: (S,) pixels.
        colours: of each line.
        opacities: (S,) 0..1, rounded to tenths; 0 is not drawn.
        inks: (S,) pixels by which a dark outline makes each line wider.
        layers: (S,) lines of a higher layer lie on those of a lower one.
    """
    with np.errstate(invalid="ignore"):
        near = np.abs(ends).max(axis=(1, 2), initial=0) < 4 * sum(canvas.shape)  # not so for NaN
    steps = np.where(opacities > 0, np.clip(np.rint(opacities * _LEVELS), 1, _LEVELS), 0)
    order = np.lexsort((steps, layers))
    order = order[near[order] & (steps[order] > 0)]
    if not len(order):
        return
    inner, outer = _outlines(ends[order], np.stack([widths[order], (widths + inks)[order]]))
    paints = [colours[row] for row in order.tolist()]
    # Lines of one layer and opacity are blended together.
    batch = layers[order] * (_LEVELS + 1) + steps[order]
    starts = np.concatenate([[0], np.flatnonzero(np.diff(batch)) + 1])
    low, high = _bounds(outer, canvas.shape)
    starts = _split(starts, steps[order], low, high)
    stops = [*starts[1:].tolist(), len(paints)]
    levels = steps[order][starts].astype(int).tolist()
    regions = np.hstack([np.minimum.reduceat(low, starts), np.maximum.reduceat(high, starts)]).tolist()
    for start, stop, level, (left, top, right, bottom) in zip(starts.tolist(), stops, levels, regions, strict=True):
        if left >= right or top >= bottom:
            continue
        region = canvas[top:bottom, left:right]
        layer = region if level == _LEVELS else region.copy()
        corner = np.array((left << _SHIFT, top << _SHIFT), np.int32)
        insides, outsides = inner[start:stop] - corner, outer[start:stop] - corner
        for inside, outside, paint in zip(insides, outsides, paints[start:stop], strict=True):
            cv2.fillConvexPoly(layer, outside, INK, cv2.LINE_AA, _SHIFT)
            cv2.fillConvexPoly(layer, inside, paint, cv2.LINE_AA, _SHIFT)
        if layer is not region:
            cv2.addWeighted(layer, level / _LEVELS, region, 1 - level / _LEVELS, 0, dst=region)


def _bounds(outlines: NDArray[np.int32], shape: tuple[int, ...]) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """Return the corners (S, 2) left, top and right, bottom of the picture's pixels that each outline touches."""
    # One pixel more than the outline, for what anti-aliasing touches.
    low = np.maximum((outlines.min(axis=1) >> _SHIFT) - 1, 0)
    return low, np.minimum((outlines.max(axis=1) >> _SHIFT) + 3, shape[1::-1])


def _split(starts: NDArray[Any], steps: NDArray[Any], low: NDArray[np.int32], high: NDArray[np.int32]) -> NDArray[Any]:
    """Return the starts of batches, where large ones of little content have become batches of one line each."""
    spans = np.maximum.reduceat(high, starts) - np.minimum.reduceat(low, starts)
    apart = np.add.reduceat(np.maximum(high - low, 0).prod(axis=1) + _CALL, starts)
    wasteful = (spans.prod(axis=1) > apart) & (steps[starts] < _LEVELS)
    if not wasteful.any():
        return starts
    alone = np.repeat(wasteful, np.diff([*starts.tolist(), len(steps)]))
    alone[starts] = True
    return np.flatnonzero(alone)


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


def _outlines(ends: NDArray[Any], widths: NDArray[Any]) -> NDArray[np.int32]:
    """Return the outlines (..., S, P, 2) of round-ended lines, in cv2's fixed-point pixels.

    cv2's own thick lines take whole pixels only, so that widths would jump in a video.

    Args:
        ends: (S, 2, 2) both ends in continuous pixels.
        widths: (..., S) pixels.
    """
    along = (ends[:, 1] - ends[:, 0]).astype(np.float64)
    half_turn = _FEW if widths.max() < _FINE else _MANY
    turn = np.arctan2(along[:, 1], along[:, 0])[:, None] + half_turn
    arc = 0.5 * widths[..., None, None] * np.stack([np.cos(turn), np.sin(turn)], axis=2)
    polygons = np.concatenate([ends[:, :1] + arc, ends[:, 1:] - arc], axis=-2)
    # cv2 counts from pixel centres, continuous coordinates from the corner.
    return np.rint((polygons - 0.5) * (1 << _SHIFT)).astype(np.int32)
