"""Axes of numbers: from zero, or logarithmic where they lie far apart; and numbers beside the ends of lines."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from gcpose_trt.benchmark.reporting.plots.canvas import INK

_RATIO = 6.0  # from here on an axis from zero would press the small ones into a corner
_LINE = 0.155  # inches between numbers beside each other


def far_apart(low: float, high: float, ratio: float = _RATIO) -> bool:
    """Say whether values from `low` to `high` need a logarithmic axis, as they do from a ratio on."""
    return low > 0 and high / low > ratio


def scale(axes: Any, name: str, low: float, high: float) -> bool:
    """Set an axis so that it shows values from `low` to `high`.

    Args:
        axes: of `canvas.drawing`.
        name: "x" or "y".
        low, high: the values, 0 or more.

    Returns:
        Whether it is logarithmic.
    """
    from matplotlib.ticker import FixedLocator, FuncFormatter, MaxNLocator, NullLocator

    axis = getattr(axes, f"{name}axis")
    limits = getattr(axes, f"set_{name}lim")
    logarithmic = far_apart(low, high)
    if logarithmic:
        getattr(axes, f"set_{name}scale")("log")
        limits(low / 1.1, high * 1.1)
        axis.set_major_locator(FixedLocator(_decades(low / 1.1, high * 1.1)))
        axis.set_minor_locator(NullLocator())
    else:
        limits(0, high * 1.06 if high > 0 else 1)
        axis.set_major_locator(MaxNLocator(5))
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.6g}"))
    return logarithmic


def _decades(low: float, high: float) -> list[float]:
    """Return 1, 2, 5, 10, ... between the two, and fewer where there would be many."""
    steps = (1, 2, 5) if high / low < 150 else (1, 3) if high / low < 1000 else (1,)
    places = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    return [step * 10.0**place for place in places for step in steps if low <= step * 10.0**place <= high]


def number_ends(axes: Any, ends: Sequence[tuple[float, float, str]]) -> None:
    """Write words to the right of points, moved up and down so that none hides another.

    Args:
        axes: with its limits and its place in the figure set.
        ends: (x, y, words) each.
    """
    dpi = axes.figure.dpi
    placed = sorted((float(axes.transData.transform((x, y))[1]), x, y, words) for x, y, words in ends)
    heights = spread([place for place, *_ in placed], _LINE * dpi)
    for height, (place, x, y, words) in zip(heights, placed, strict=True):
        shift = (7, (height - place) * 72 / dpi)
        axes.annotate(words, (x, y), shift, textcoords="offset points", va="center_baseline", color=INK)


def spread(places: Sequence[float], least: float) -> list[float]:
    """Return places, ascending as given, moved as little as makes them at least `least` apart.

    Those that would touch become a group about their mean; groups that touch become one.
    """
    groups: list[list[float]] = []
    for place in places:
        groups.append([place])
        while len(groups) > 1 and _edges(groups[-1], least)[0] < _edges(groups[-2], least)[1] + least:
            last = groups.pop()
            groups[-1] = groups[-1] + last
    return [_edges(group, least)[0] + least * number for group in groups for number in range(len(group))]


def _edges(group: Sequence[float], least: float) -> tuple[float, float]:
    middle, half = sum(group) / len(group), least * (len(group) - 1) / 2
    return middle - half, middle + half
