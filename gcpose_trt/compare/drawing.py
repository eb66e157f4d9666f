"""The frame on which two sides differ most, with both sides' people, above bars of the stages."""

from __future__ import annotations

import math
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from gcpose_trt.compare.comparison import Comparison, Stage
from gcpose_trt.pose.skeleton import COCO17
from gcpose_trt.pose.types import PoseFrame

Image = NDArray[np.uint8]
Colour = tuple[int, int, int]

_A: Colour = (230, 190, 60)  # BGR; the two stay apart for colour-blind eyes, and on grass and snow
_B: Colour = (70, 110, 255)
_PAPER: Colour = (250, 250, 250)
_INK: Colour = (40, 40, 40)
_FAINT: Colour = (205, 205, 205)
_OVER: Colour = (60, 40, 200)
_WIDTH = 1200
_ROW = 26
_LOW, _HIGH = -6, 0  # decades of the bars
_SHIFT = 4


def draw_comparison(comparison: Comparison, keypoint_threshold: float) -> Image:
    """Return the picture (H, 1200, 3) BGR.

    Args:
        comparison: of `compare_sides`.
        keypoint_threshold: joints below it are left out.
    """
    parts = [_legend(comparison), _overlay(comparison, keypoint_threshold), _bars(comparison)]
    return np.concatenate(parts)


def _text(canvas: Image, text: str, x: int, y: int, colour: Colour = _INK, scale: float = 0.5) -> None:
    # OpenCV's letters are ASCII only.
    plain = text.encode("ascii", "replace").decode()
    cv2.putText(canvas, plain, (x, y), cv2.FONT_HERSHEY_SIMPLEX, scale, colour, 1, cv2.LINE_AA)


def _short(text: str, most: int) -> str:
    return text if len(text) <= most else "..." + text[3 - most :]


def _legend(comparison: Comparison) -> Image:
    canvas: Image = np.full((66, _WIDTH, 3), _PAPER, np.uint8)
    for row, (letter, label, colour) in enumerate((("A", comparison.a, _A), ("B", comparison.b, _B))):
        cv2.rectangle(canvas, (16, 12 + 24 * row), (44, 24 + 24 * row), colour, -1)
        _text(canvas, f"{letter}: {_short(label, 70)}", 54, 24 + 24 * row)
    people, worst = comparison.people, comparison.worst
    _text(canvas, f"{people.matched} people in both, {len(people.gained)} gained, {len(people.lost)} lost", 760, 24)
    _text(canvas, f"frame {worst.index}: a clear joint moves {worst.moved:.2f} px", 760, 48)
    return canvas


def _overlay(comparison: Comparison, threshold: float) -> Image:
    """Draw both sides' people on the frame, enlarged so that a few pixels show."""
    worst = comparison.worst
    scale = _WIDTH / worst.image.shape[1]
    size = (_WIDTH, max(1, round(worst.image.shape[0] * scale)))
    canvas: Image = cv2.resize(worst.image, size, interpolation=cv2.INTER_LINEAR)  # type: ignore[assignment]
    canvas = (0.7 * canvas + 0.3 * 255).astype(np.uint8)
    # A broad below B narrow: where they agree, B runs along the middle of A.
    for poses, colour, width in ((worst.a, _A, 7), (worst.b, _B, 2)):
        _draw_people(canvas, poses, scale, threshold, colour, width)
    return canvas


def _draw_people(canvas: Image, poses: PoseFrame, scale: float, threshold: float, colour: Colour, width: int) -> None:
    def place(point: NDArray[Any]) -> tuple[int, int]:
        # cv2 counts from pixel centres, continuous coordinates from the corner.
        x, y = np.rint((np.clip(point, -1e4, 1e4) * scale - 0.5) * (1 << _SHIFT)).astype(int)
        return int(x), int(y)

    for box, keypoints in zip(poses.boxes, poses.keypoints, strict=True):
        if not np.isfinite(box).all() or not np.isfinite(keypoints).all():
            continue
        cv2.rectangle(canvas, place(box[:2]), place(box[2:]), colour, max(1, width // 2), cv2.LINE_AA, _SHIFT)
        clear = keypoints[:, 2] >= threshold
        for first, second in COCO17.limbs:
            if clear[first] and clear[second]:
                ends = place(keypoints[first, :2]), place(keypoints[second, :2])
                cv2.line(canvas, *ends, colour, width, cv2.LINE_AA, _SHIFT)
        for point in keypoints[clear, :2]:
            cv2.circle(canvas, place(point), (width + 2) << _SHIFT, colour, max(1, width // 2), cv2.LINE_AA, _SHIFT)


def _bars(comparison: Comparison) -> Image:
    """Draw each stage's largest difference relative to A, on a logarithmic scale, with the median as a line across."""
    stages = [stage for stage in comparison.stages if stage.difference.count]
    canvas: Image = np.full((_ROW * (len(stages) + 2) + 10, _WIDTH, 3), _PAPER, np.uint8)
    left, right = 330, 900
    _text(canvas, "largest difference / peak (bar) and median / rms (line)", left, 18)
    bottom = _ROW * (len(stages) + 1)
    for decade in range(_LOW, _HIGH + 1):
        x = _across(10.0**decade, left, right)
        cv2.line(canvas, (x, _ROW), (x, bottom), _FAINT, 1)
        _text(canvas, "1" if decade == 0 else f"1e{decade}", x - 12, bottom + 18, scale=0.42)
    for row, stage in enumerate(stages, 1):
        _bar(canvas, stage, row * _ROW, left, right)
    return canvas


def _bar(canvas: Image, stage: Stage, top: int, left: int, right: int) -> None:
    value = stage.difference
    _text(canvas, f"{stage.name}, {stage.feed}", 16, top + 17, scale=0.45)
    colour = _A if stage.agrees else _OVER
    cv2.rectangle(canvas, (left, top + 5), (_across(value.relative_largest, left, right), top + 20), colour, -1)
    x = _across(value.relative_median, left, right)
    cv2.line(canvas, (x, top + 3), (x, top + 22), _INK, 2)
    unit = " px" if stage.unit else ""
    verdict = "" if stage.agrees else "  beyond the limit"
    text = f"{value.largest:.2g} / median {value.median:.2g} / p95 {value.p95:.2g}{unit}{verdict}"
    _text(canvas, text, right + 14, top + 17, _INK if stage.agrees else _OVER, 0.42)


def _across(value: float, left: int, right: int) -> int:
    """Return the column of a value on the logarithmic scale; what is off the scale lies at its ends."""
    if math.isnan(value):
        return right
    decade = math.log10(value) if value > 0 else _LOW
    share = (min(max(decade, _LOW), _HIGH) - _LOW) / (_HIGH - _LOW)
    return round(left + share * (right - left))
