"""The ranking of blocks as bars, and as a table."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from gcpose_trt.quantization.proposal import Proposal
from gcpose_trt.quantization.sensitivity import BlockError

Image = NDArray[np.uint8]
Colour = tuple[int, int, int]

_HEAT: Colour = (230, 160, 40)  # BGR; the two stay apart for colour-blind eyes
_BOX: Colour = (60, 110, 250)
_PAPER: Colour = (250, 250, 250)
_INK: Colour = (40, 40, 40)
_FAINT: Colour = (225, 225, 225)
_WIDTH = 1100
_LEFT, _RIGHT = 330, 880
_ROW = 24
_HEAD = 76


def draw_ranking(errors: Sequence[BlockError], title: str, proposal: Proposal | None = None) -> Image:
    """Return a picture (H, 1100, 3) BGR of the blocks, the most harmful on top.

    Args:
        errors: as `rank_blocks` returns them.
        title: what was measured, in ASCII.
        proposal: its blocks are marked.
    """
    canvas: Image = np.full((_HEAD + _ROW * len(errors) + 16, _WIDTH, 3), _PAPER, np.uint8)
    _text(canvas, title, 16, 26, scale=0.6)
    for x, colour, label in ((_LEFT, _HEAT, "heat maps"), (_LEFT + 130, _BOX, "boxes")):
        cv2.rectangle(canvas, (x, 44), (x + 22, 56), colour, -1)
        _text(canvas, label, x + 30, 55)
    has_ap = any(error.ap_drop is not None for error in errors)
    _text(canvas, "error" + ("      AP lost" if has_ap else ""), _RIGHT + 20, 55)
    if proposal is not None and proposal.keep:
        _text(canvas, "* stays in higher precision", 16, 55)
    most = max((error.harm for error in errors), default=0.0) or 1.0
    for share in (0.25, 0.5, 0.75, 1.0):
        x = round(_LEFT + share * (_RIGHT - _LEFT))
        cv2.line(canvas, (x, _HEAD - 8), (x, canvas.shape[0] - 12), _FAINT, 1)
    kept = set(proposal.keep) if proposal else set()
    for row, error in enumerate(errors):
        _bar(canvas, error, _HEAD + row * _ROW, most, error.block in kept)
    return canvas


def _bar(canvas: Image, error: BlockError, top: int, most: float, kept: bool) -> None:
    _text(canvas, f"{'* ' if kept else ''}{error.block} ({error.layers})", 16, top + 15)
    start = float(_LEFT)
    for value, colour in ((error.heatmap, _HEAT), (error.box, _BOX)):
        end = start + value / most * (_RIGHT - _LEFT)
        cv2.rectangle(canvas, (round(start), top + 4), (round(end), top + _ROW - 6), colour, -1)
        start = end
    text = f"{error.harm:.4f}"
    if error.ap_drop is not None:
        text += f"    {error.ap_drop:+.2f}"
    _text(canvas, text, _RIGHT + 20, top + 15)


def _text(canvas: Image, text: str, x: int, y: int, scale: float = 0.45) -> None:
    plain = text.encode("ascii", "replace").decode()  # OpenCV's letters are ASCII only
    cv2.putText(canvas, plain, (x, y), cv2.FONT_HERSHEY_SIMPLEX, scale, _INK, 1, cv2.LINE_AA)


def format_ranking(errors: Sequence[BlockError]) -> str:
    """Return the ranking as a table."""
    width = max([len("block"), *(len(error.block) for error in errors)])
    lines = [f"{'block':<{width}}  graph     layers  heat maps      p2   boxes    lost  AP lost"]
    for error in errors:
        drop = "" if error.ap_drop is None else f"{error.ap_drop:+8.2f}"
        lines.append(
            f"{error.block:<{width}}  {error.graph:<8}  {error.layers:>6}  {error.heatmap:>9.4f}  {error.p2:>6.4f}  "
            f"{error.box:>6.4f}  {100 * error.lost:>4.1f} %  {drop}".rstrip()
        )
    return "\n".join(lines)


def format_proposal(proposal: Proposal) -> str:
    """Return one line: what to keep in higher precision."""
    loss = f"{proposal.ap_drop:+.2f} points of AP lost, {proposal.limit:g} allowed"
    if not proposal.reached:
        return f"no set is enough: with every block in higher precision {loss}; calibrate on more images"
    if not proposal.keep:
        return f"everything may be INT8: {loss}"
    return f"keep in higher precision: {', '.join(proposal.keep)} ({loss})"
