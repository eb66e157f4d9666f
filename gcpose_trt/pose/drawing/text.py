"""Small text: OpenCV's line font, drawn large and shrunk, so that it has any size, keeps its shape and stays cheap.

Glyphs and lines are kept, because a video shows nearly the same words in every frame.
"""

from __future__ import annotations

import unicodedata
from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray

Mask = NDArray[np.uint8]

_FONT = cv2.FONT_HERSHEY_SIMPLEX
_LARGE = 2.0  # cv2's font scale before shrinking
_CAPITAL, _BELOW = 42, 18  # pixels of a capital letter above the base line and of a "g" below it, at that scale
_SIDE = 1  # pixels beside a letter, at that scale
_LONGEST = 200  # characters of a line that are worth looking at
DESCENT = _BELOW / _CAPITAL  # depth below the base line, in heights of a capital letter


@lru_cache(maxsize=256)
def text_mask(text: str, height: int, bold: bool = False) -> Mask:
    """Return how much each pixel is covered by `text`.

    Args:
        text: one line. Letters that the font lacks lose their accents or become "?".
        height: of a capital letter in pixels, 4 or more.
        bold: heavier lines.

    Returns:
        (height * (1 + DESCENT) rounded up, W) uint8, read-only; the base line is below row `height`.
    """
    glyphs = [_glyph(letter, height, bold) for letter in plain(text)[:_LONGEST]] or [_glyph(" ", height, bold)]
    mask: Mask = np.hstack(glyphs)
    mask.flags.writeable = False
    return mask


def plain(text: str) -> str:
    """Return `text` in the letters that OpenCV's font has (printable ASCII); white space becomes a space."""
    decomposed = unicodedata.normalize("NFKD", text.replace("…", "...").replace("–", "-").replace("·", "-"))
    kept = (letter for letter in decomposed if not unicodedata.combining(letter))
    return "".join(" " if letter.isspace() else letter if " " <= letter <= "~" else "?" for letter in kept)


@lru_cache(maxsize=1024)
def _glyph(letter: str, height: int, bold: bool) -> Mask:
    stroke = 7 if bold else 5
    (width, _), _ = cv2.getTextSize(letter, _FONT, _LARGE, 1)
    large: Mask = np.zeros((_CAPITAL + _BELOW + 4, width + 2 * _SIDE), np.uint8)
    cv2.putText(large, letter, (_SIDE, _CAPITAL + 2), _FONT, _LARGE, 255, stroke, cv2.LINE_AA)
    scale = height / _CAPITAL
    size = (max(1, round(large.shape[1] * scale)), -int(-height * (1 + DESCENT) // 1))
    return np.asarray(cv2.resize(large, size, interpolation=cv2.INTER_AREA), np.uint8)
