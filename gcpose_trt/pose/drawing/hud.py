"""A small panel of text: how the system does, readable on any ground and at any size of picture."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray

from gcpose_trt.pose.drawing.strokes import Image
from gcpose_trt.pose.drawing.text import text_mask

_GROUND = 22  # brightness
_OPACITY = 0.78  # of the ground: white text stays readable above snow
_VALUE, _NAME = 245, 170  # brightness of text, and of what stands before a tab
_SMALLEST = 6  # pixels of a capital letter
_MOST = 24  # lines


def draw_hud(canvas: Image, lines: Sequence[str]) -> None:
    """Draw a panel at the top left of `canvas`, as large as its lines need and no larger than the picture.

    Lines too many for the picture are left out, those too long end in "..".

    Args:
        canvas: (H, W, 3) BGR uint8, changed.
        lines: text; what stands before a tab is a name, dimmer, and what follows it is aligned over all lines.
    """
    if not lines:
        return
    panel = _panel(tuple(lines[:_MOST]), canvas.shape[0], canvas.shape[1])
    if panel is None:
        return
    margin = _margin(canvas.shape[0], canvas.shape[1])
    height, width = panel.shape[:2]
    region = canvas[margin : margin + height, margin : margin + width]
    cv2.convertScaleAbs(region, dst=region, alpha=1 - _OPACITY, beta=_OPACITY * _GROUND)
    # Light text on a dark ground: the brighter of the two needs no blending.
    cv2.max(region, panel, dst=region)


def hud_height(height: int, width: int) -> int:
    """Return the height in pixels of a capital letter in a picture of this size."""
    return max(_SMALLEST, round(0.34 * math.hypot(height, width) ** 0.5))


def _margin(height: int, width: int) -> int:
    return max(2, round(0.6 * hud_height(height, width)))


@lru_cache(maxsize=16)
def _panel(lines: tuple[str, ...], height: int, width: int) -> NDArray[np.uint8] | None:
    """Return the text (h, w, 3) uint8 on black; None where the picture has no room for a line."""
    margin, letter = _margin(height, width), hud_height(height, width)
    # Smaller letters before cut lines.
    while True:
        rows, columns = _layout(lines, letter)
        if columns <= width - 2 * margin or letter <= _SMALLEST:
            break
        letter -= 1
    pad, pitch = _pad(letter), _pitch(letter)
    fitting = min(len(rows), (height - 2 * margin - 2 * pad) // pitch)
    columns = min(columns, width - 2 * margin)
    if fitting < 1 or columns < 2 * pad + 2 * letter:
        return None
    panel: NDArray[np.uint8] = np.zeros((fitting * pitch + 2 * pad, columns), np.uint8)
    for index, row in enumerate(rows[:fitting]):
        top = pad + index * pitch
        for left, text, brightness in row:
            _put(panel[top : top + pitch, pad + left : columns - pad], text, letter, brightness)
    return np.asarray(cv2.cvtColor(panel, cv2.COLOR_GRAY2BGR), np.uint8)


def _layout(lines: tuple[str, ...], letter: int) -> tuple[list[list[tuple[int, str, int]]], int]:
    """Return each line as (left, text, brightness) and the panel's width in pixels."""
    pairs = [line.partition("\t") for line in lines]
    names = max((text_mask(name, letter).shape[1] for name, tab, _ in pairs if tab), default=0) + letter
    rows = [[(0, name, _NAME), (names, value, _VALUE)] if tab else [(0, name, _VALUE)] for name, tab, value in pairs]
    widest = max(left + text_mask(text, letter).shape[1] for row in rows for left, text, _ in row)
    return rows, widest + 2 * _pad(letter)


def _put(region: NDArray[np.uint8], text: str, letter: int, brightness: int) -> None:
    mask = text_mask(text, letter)
    while mask.shape[1] > region.shape[1] and len(text) > 2:
        text = text.removesuffix("..")[:-1] + ".."
        mask = text_mask(text, letter)
    mask = mask[: region.shape[0], : region.shape[1]]
    if not mask.size:
        return
    region[: mask.shape[0], : mask.shape[1]] = cv2.convertScaleAbs(mask, alpha=brightness / 255)


def _pad(letter: int) -> int:
    return max(2, round(0.6 * letter))


def _pitch(letter: int) -> int:
    return round(1.75 * letter)
