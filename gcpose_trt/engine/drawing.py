"""A picture of an engine's largest layers."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from gcpose_trt.engine.inspection import Layer
from gcpose_trt.engine.report import largest, short_name, size_text

# BGR; dark enough for white figures inside, apart for people who see no difference of red and green.
COLOURS = {
    "FP32": (178, 114, 0),
    "FP16": (0, 94, 213),
    "BF16": (0, 94, 213),
    "INT8": (115, 158, 0),
    "FP8": (115, 158, 0),
    "INT4": (167, 121, 204),
    "FP4": (167, 121, 204),
    "other": (130, 130, 130),
}
_ROW, _MARGIN, _NAMES, _BARS, _FIGURES = 34, 24, 560, 560, 150
_FONT, _SCALE = cv2.FONT_HERSHEY_SIMPLEX, 0.5
_INK, _PAPER, _GRID = (40, 40, 40), (255, 255, 255), (225, 225, 225)


def draw_largest(graphs: dict[str, list[Layer]], count: int) -> NDArray[np.uint8]:
    """Draw the largest layers of each engine as bars.

    Args:
        graphs: layers by engine.
        count: bars of an engine.

    Returns:
        (H, W, 3) BGR uint8; one scale for all engines, colours by precision, weights darker than the rest.
    """
    chosen = {name: largest(layers, count) for name, layers in graphs.items()}
    most = max((layer.size for layers in chosen.values() for layer in layers), default=0) or 1
    rows = sum(len(layers) + 2 for layers in chosen.values())
    height = 2 * _MARGIN + _ROW * (rows + 1)
    canvas = np.full((height, 2 * _MARGIN + _NAMES + _BARS + _FIGURES, 3), _PAPER, np.uint8)
    top = _legend(canvas, {layer.precision for layers in chosen.values() for layer in layers})
    for name, layers in chosen.items():
        total = sum(layer.size for layer in graphs[name])
        _text(canvas, f"{name}: {len(graphs[name])} layers, {size_text(total)} moved in a run", _MARGIN, top, bold=True)
        top += _ROW
        for layer in layers:
            _bar(canvas, layer, most, top)
            top += _ROW
        top += _ROW
    return canvas


def _bar(canvas: NDArray[np.uint8], layer: Layer, most: int, top: int) -> None:
    left = _MARGIN + _NAMES
    _text(canvas, short_name(_ascii(layer.name), 62), _MARGIN, top)
    colour = COLOURS.get(layer.precision, COLOURS["other"])
    pale = tuple(int(255 - (255 - part) * 0.55) for part in colour)
    ends = [left + round(part / most * _BARS) for part in (layer.weights, layer.size)]
    cv2.rectangle(canvas, (left, top + 5), (left + _BARS, top + _ROW - 7), _GRID, 1)
    if layer.traffic:
        cv2.rectangle(canvas, (ends[0], top + 5), (max(ends[1], ends[0] + 1), top + _ROW - 7), pale, cv2.FILLED)
    if layer.weights:
        cv2.rectangle(canvas, (left, top + 5), (max(ends[0], left + 1), top + _ROW - 7), colour, cv2.FILLED)
    _text(canvas, f"{size_text(layer.size)} {layer.precision}", left + _BARS + 12, top)


def _legend(canvas: NDArray[np.uint8], present: set[str]) -> int:
    _text(canvas, "Bytes that a layer moves: weights (full colour) and activations (pale)", _MARGIN, _MARGIN // 2)
    left = _MARGIN + _NAMES
    for name in COLOURS:
        if name in present:
            top = _MARGIN // 2
            cv2.rectangle(canvas, (left, top + 8), (left + 18, top + _ROW - 8), COLOURS[name], cv2.FILLED)
            _text(canvas, name, left + 26, top)
            left += 100
    return _MARGIN // 2 + _ROW + _ROW // 2


def _text(canvas: NDArray[np.uint8], text: str, left: int, top: int, bold: bool = False) -> None:
    thickness = 2 if bold else 1
    cv2.putText(canvas, text, (left, top + _ROW - 12), _FONT, _SCALE, _INK, thickness, cv2.LINE_AA)


def _ascii(text: str) -> str:
    return text.encode("ascii", "replace").decode()  # OpenCV's font has no more
