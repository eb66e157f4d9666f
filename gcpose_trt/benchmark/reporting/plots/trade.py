"""Speed against accuracy."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from gcpose_trt.benchmark.reporting.plots.canvas import INK, MUTED, PAPER, Chart, colour, drawing, marker, to_svg
from gcpose_trt.benchmark.reporting.plots.scales import scale
from gcpose_trt.benchmark.reporting.tables.quality import average_precision
from gcpose_trt.benchmark.reporting.view import Entry, View
from gcpose_trt.benchmark.reporting.words import figure, number

Point = tuple[float, float]


def frontier(points: Sequence[Point]) -> list[Point]:
    """Return the points (speed, accuracy) that no other beats in both, from slow to fast.

    A point with an equal in both stays.
    """
    best = float("-inf")
    kept = []
    for speed, accuracy in sorted(set(points), key=lambda point: (-point[0], -point[1])):
        if accuracy > best:
            kept.append((speed, accuracy))
            best = accuracy
    return kept[::-1]


def pareto(view: View) -> Chart | None:
    """Draw frames a second against keypoint AP, of the contenders that have both."""
    exact = {entry.id: average_precision(record) for entry, record in view.of("accuracy")}
    items: list[tuple[Entry, float, float]] = []
    for entry, record in view.of("latency"):
        speed, accuracy = number(record.get("fps")), exact.get(entry.id)
        if speed is not None and accuracy is not None and speed > 0:
            items.append((entry, speed, accuracy))
    if not items:
        return None
    title = "Frames a second against accuracy"
    edge = frontier([(speed, accuracy) for _, speed, accuracy in items])
    with drawing(3.6) as (picture, axes):
        _limits(axes, items)
        low, left = axes.get_ylim()[0], axes.get_xlim()[0]
        # Steps, because nothing between two contenders was measured.
        across = [left, *(x for point in edge for x in (point[0], point[0]))]
        up = [*(y for point in edge for y in (point[1], point[1])), low]
        axes.fill_between(across, low, up, color=MUTED, alpha=0.09, linewidth=0)
        axes.plot(across, up, color=MUTED, linewidth=1.2, linestyle=(0, (3, 2)))
        for entry, speed, accuracy in items:
            axes.plot(
                [speed], [accuracy], marker=marker(entry), markersize=9.5, color=colour(entry), linestyle="none",
                markeredgecolor=PAPER, markeredgewidth=0.8, zorder=4,
            )  # fmt: skip
            end = axes.transLimits.transform(axes.transScale.transform((speed, accuracy)))[0] > 0.88
            axes.annotate(
                str(entry.index + 1), (speed, accuracy), (-9 if end else 8, 6), textcoords="offset points",
                ha="right" if end else "left", va="baseline", color=INK, zorder=5,
            )  # fmt: skip
        words = "; ".join(f"{entry.name}: {figure(speed)} frames a second, AP {ap:.3f}" for entry, speed, ap in items)
        picture.subplots_adjust(left=0.13, right=0.97, bottom=0.15, top=0.91)
        svg = to_svg(picture, "pareto", title, words)
    note = "Up and to the right is better. Broken line: whoever is on it is beaten by nobody in both."
    return Chart("pareto", title, svg, note, [entry for entry, _, _ in items])


def _limits(axes: Any, items: Sequence[tuple[Entry, float, float]]) -> None:
    from matplotlib.ticker import FuncFormatter, MaxNLocator

    speeds, scores = [speed for _, speed, _ in items], [score for _, _, score in items]
    room = max(0.02, 0.18 * (max(scores) - min(scores)))
    # Room for the numbers beside the points.
    logarithmic = scale(axes, "x", min(speeds) / 1.1, max(speeds) * 1.1)
    axes.set_ylim(max(0.0, min(scores) - room), min(1.0, max(scores) + room))
    axes.yaxis.set_major_locator(MaxNLocator(5))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:.4g}"))
    axes.set_xlabel("frames a second" + (", logarithmic" if logarithmic else ""), labelpad=1)
    axes.text(0, 1.03, "keypoint AP", transform=axes.transAxes, ha="left", va="bottom", color=MUTED)
    axes.grid()
