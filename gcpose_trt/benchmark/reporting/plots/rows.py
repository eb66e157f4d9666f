"""Charts with a row for each contender: its name above, its values to the right of it, the shape below."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gcpose_trt.benchmark.reporting.plots.canvas import FONT, INK, MUTED, colour
from gcpose_trt.benchmark.reporting.view import Entry
from gcpose_trt.benchmark.reporting.words import figure

_ROW = 0.56  # inches
_NAME = 34  # letters
SHADES = (1.0, 0.55, 0.25)  # opacities of full, half and faint


def height(rows: int) -> float:
    """Return the height in inches of a chart with so many rows."""
    return 0.5 + _ROW * max(rows, 1)


def short(name: str, most: int = _NAME) -> str:
    """Return a name that fits above a row."""
    return name if len(name) <= most else name[: most - 1] + "…"


def prepare(axes: Any, entries: Sequence[Entry], values: Sequence[str], unit: str) -> None:
    """Put names and values above the rows, from top to bottom, and leave only the axis below.

    Args:
        axes: of `canvas.drawing`.
        entries: one a row.
        values: text at the right end of each row.
        unit: title of the axis.
    """
    rows = len(entries)
    inches = height(rows)
    axes.figure.subplots_adjust(left=0.02, right=0.97, bottom=0.45 / inches, top=1 - 0.03 / inches)
    axes.set_ylim(rows, 0)
    axes.set_yticks([])
    axes.spines["left"].set_visible(False)
    axes.grid(axis="x")
    axes.set_xlabel(unit, fontsize=FONT - 0.5, labelpad=1)
    across = axes.get_yaxis_transform()
    for row, (entry, value) in enumerate(zip(entries, values, strict=True)):
        style = {"transform": across, "va": "baseline", "fontsize": FONT}
        axes.text(0, row + 0.36, short(entry.label), color=INK, ha="left", **style)
        axes.text(1, row + 0.36, value, color=MUTED, ha="right", **style)


def violin(axes: Any, row: int, entry: Entry, samples: NDArray[np.float64], high: float) -> None:
    """Draw where the samples of one row lie: density above, quartiles and median on the base line, p99 as a tick.

    Args:
        axes: prepared.
        row: from 0.
        entry: for its colour.
        samples: milliseconds, at least two.
        high: right end of the axis; what lies beyond it is not drawn.
    """
    base, most = row + 0.9, 0.4
    places, density = _density(samples, high)
    peak = density.max()
    if peak > 0:
        axes.fill_between(places, base, base - most * density / peak, color=colour(entry), alpha=0.45, linewidth=0)
    quarter, middle, three_quarters, p99 = np.percentile(samples, (25, 50, 75, 99)).tolist()
    axes.plot([samples.min(), min(samples.max(), high)], [base, base], color=colour(entry), linewidth=0.9)
    axes.plot([quarter, three_quarters], [base, base], color=colour(entry), linewidth=4.5, solid_capstyle="butt")
    if p99 <= high:
        axes.plot([p99, p99], [base - 0.12, base + 0.08], color=colour(entry), linewidth=1.8)
    axes.plot([middle], [base], marker="o", markersize=5.5, color=INK, linestyle="none", clip_on=False)


def _density(samples: NDArray[np.float64], high: float) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return places and a smooth density of the samples' logarithms there (120 each)."""
    logs = np.log(np.maximum(samples, 1e-6))
    quarter, three_quarters = np.percentile(logs, (25, 75))
    # Silverman's rule of thumb, robust to a long tail.
    width = 0.9 * min(float(logs.std()), float(three_quarters - quarter) / 1.34) * len(logs) ** -0.2
    width = max(width, 1e-3)
    end = min(float(logs.max()), math.log(high))
    # No further than the samples: there is nothing where nothing was measured.
    grid = np.linspace(float(logs.min()), end, 120)
    density = np.exp(-0.5 * ((grid[:, None] - logs[None]) / width) ** 2).sum(axis=1)
    return np.exp(grid), density


def bar(axes: Any, row: float, entry: Entry, parts: Sequence[tuple[float, float, float]], thick: float = 0.4) -> None:
    """Draw pieces of a bar.

    Args:
        axes: prepared.
        row: its middle.
        entry: for its colour.
        parts: (start, length, opacity) each.
        thick: in rows.
    """
    for start, length, opacity in parts:
        axes.barh(row, length, left=start, height=thick, color=colour(entry), alpha=opacity, linewidth=0)


def ms(value: Any) -> str:
    """Return milliseconds with their unit."""
    return f"{figure(value)} ms"
