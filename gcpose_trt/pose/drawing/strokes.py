"""Round-ended lines and discs: anti-aliased, of any width, as opaque as asked, at sub-pixel places."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from gcpose_trt.pose.skeleton import Colour

Image = NDArray[np.uint8]

INK: Colour = (28, 24, 22)  # outline that keeps a light line visible on a light ground
_SHIFT = 4  # fractional bits of cv2's sub-pixel coordinates
_FEW, _MANY = (np.linspace(np.pi / 2, 3 * np.pi / 2, points) for points in (5, 11))
_FINE = 7.0  # pixels: narrower ends look round with few corners


def draw_strokes(
    canvas: Image,
    ends: NDArray[np.floating],
    widths: NDArray[np.floating],
    colours: Sequence[Colour],
    opacities: NDArray[np.floating],
    ink: float,
) -> None:
    """Draw lines onto `canvas`, the most certain on top: a faint line never makes a clear one transparent.

    Args:
        canvas: (H, W, 3) BGR uint8, changed.
        ends: (S, 2, 2) both ends in continuous pixels; twice the same place is a disc. Lines with ends that are not
            finite or far outside the picture are left out.
        widths: (S,) pixels.
        colours: of each line.
        opacities: (S,) 0..1; 0 is not drawn.
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
    outer = _outlines(ends[shown], widths[shown] + ink) if ink > 0 else inner
    # One pixel more than the outline, for what anti-aliasing touches.
    low = np.maximum((outer.min(axis=1) >> _SHIFT) - 1, 0).tolist()
    high = np.minimum((outer.max(axis=1) >> _SHIFT) + 3, canvas.shape[1::-1]).tolist()
    for row, (left, top), (right, bottom), inside, outside in zip(shown.tolist(), low, high, inner, outer, strict=True):
        if left >= right or top >= bottom:
            continue
        region, opacity = canvas[top:bottom, left:right], float(opacities[row])
        layer = region if opacity >= 1 else region.copy()
        origin = np.array((left << _SHIFT, top << _SHIFT), np.int32)
        if ink > 0:
            cv2.fillConvexPoly(layer, outside - origin, INK, cv2.LINE_AA, _SHIFT)
        cv2.fillConvexPoly(layer, inside - origin, colours[row], cv2.LINE_AA, _SHIFT)
        if layer is not region:
            cv2.addWeighted(layer, opacity, region, 1 - opacity, 0, dst=region)


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
