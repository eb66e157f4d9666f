"""Lines over a count: people in view, input size, batch, streams."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from gcpose_trt.benchmark.reporting.plots.canvas import PAPER, Chart, colour, dashes, drawing, marker, to_svg
from gcpose_trt.benchmark.reporting.plots.scales import far_apart, number_ends, scale
from gcpose_trt.benchmark.reporting.tables.timing import counts, steps
from gcpose_trt.benchmark.reporting.view import Entry, View, bounds, median
from gcpose_trt.benchmark.reporting.words import figure, look, number

_RATIO = 20.0  # higher than elsewhere: that a line is straight says something, and a logarithm bends it


@dataclass(frozen=True)
class Line:
    """Attributes:
    entry: gives colour and marker.
    places: across.
    values: upwards, as many.
    intervals: of the values, where known.
    faint: drawn thin and broken.
    """

    entry: Entry
    places: Sequence[float]
    values: Sequence[float]
    intervals: Sequence[tuple[float, float] | None] = ()
    faint: bool = False


def people(view: View) -> list[Chart]:
    """Draw time against the number of people, of the whole and of the part that works on each of them."""
    charts = []
    for part, title in (("total", "Time against people in view"), ("pose", "The pose part against people in view")):
        lines = []
        for entry, record in view.of("people"):
            have, summaries = counts(record), record.get(part)
            pairs = list(zip(have, summaries, strict=False)) if isinstance(summaries, list) else []
            lines.append(_line(entry, pairs))
        key = f"people-{part}"
        charts.append(_chart(key, title, lines, "people in view", "ms", "Upright bars: 95 % interval of the median."))
    return [chart for chart in charts if chart]


def throughput(view: View) -> list[Chart]:
    """Draw frames a second against batch size and streams."""
    charts = []
    for key, unit, title, across in (
        ("batches", "batch", "Throughput against batch size", "frames in one call"),
        ("streams", "streams", "Throughput against streams", "streams at the same time"),
    ):
        lines = [_line(entry, list(steps(record.get(key), unit).items())) for entry, record in view.of("throughput")]
        charts.append(
            _chart(key, title, lines, across, "frames a second", "Upright bars: 95 % interval of the median.")
        )
    return [chart for chart in charts if chart]


def sizes(view: View) -> list[Chart]:
    """Draw time, and average precision, against input size."""
    timed = {entry.id: record for entry, record in view.of("latency")}
    exact = {entry.id: record for entry, record in view.of("accuracy")}
    time_lines, precise = [], []
    for family in view.families:
        first = family[0]
        for key, faint in (("end_to_end", False), ("network", True)):
            pairs = [(entry.side or 0.0, timed[entry.id].get(key)) for entry in family]
            time_lines.append(_line(first, pairs, faint))
        known = [(entry.side or 0.0, number(look(exact.get(entry.id), "keypoints", "AP"))) for entry in family]
        scores = [(side, score) for side, score in known if score is not None]
        precise.append(Line(first, [side for side, _ in scores], [score for _, score in scores]))
    across = "longer side of the input, pixels"
    note = "Full: end to end, with 95 % intervals. Broken: network only. A line has the colour of its smallest size."
    charts = [
        _chart("sizes", "Time against input size", time_lines, across, "ms", note),
        _chart("sizes-precision", "Accuracy against input size", precise, across, "keypoint AP", ""),
    ]
    return [chart for chart in charts if chart]


def _line(entry: Entry, pairs: Sequence[tuple[float, Any]], faint: bool = False) -> Line:
    known = [(place, summary) for place, summary in pairs if median(summary) is not None]
    return Line(
        entry,
        [place for place, _ in known],
        [median(summary) or 0.0 for _, summary in known],
        [bounds(summary) for _, summary in known],
        faint,
    )


def _chart(key: str, title: str, lines: Sequence[Line], across: str, unit: str, note: str) -> Chart | None:
    """Draw lines from zero upwards; None where no line has two points."""
    drawn = [line for line in lines if len(line.places) > 1]
    if not drawn:
        return None
    with drawing(3.2) as (picture, axes):
        for line in drawn:
            _draw(axes, line)
        # Lines far from each other need a logarithm; one line far from its own beginning does not.
        tops = [max(line.values) for line in drawn]
        high = max(value for line in drawn for value in _reach(line))
        apart = far_apart(min(tops), max(tops), _RATIO)
        low = max(min(tops) / _RATIO, min(value for line in drawn for value in line.values)) if apart else 0.0
        if scale(axes, "y", low, high):
            note += " The upright axis is logarithmic."
        _finish(axes, sorted({place for line in drawn for place in line.places}), across, unit)
        picture.subplots_adjust(left=0.12, right=0.94, bottom=0.16, top=0.9)
        ends = [(line.places[-1], line.values[-1], str(line.entry.index + 1)) for line in drawn if not line.faint]
        number_ends(axes, ends)
        words = "; ".join(
            f"{line.entry.name}{' (network only)' if line.faint else ''}: "
            + ", ".join(f"{place:g}: {figure(value)}" for place, value in zip(line.places, line.values, strict=True))
            for line in drawn
        )
        svg = to_svg(picture, key, title, f"{unit} by {across}. {words}")
    return Chart(key, title, svg, note.strip(), list(dict.fromkeys(line.entry for line in drawn)))


def _reach(line: Line) -> list[float]:
    """Return all values that a line shows."""
    return [*line.values, *(value for pair in line.intervals if pair and not line.faint for value in pair)]


def _draw(axes: Any, line: Line) -> None:
    paint = colour(line.entry)
    # Bars and not a shade along the line: between two places nothing was measured, and shades hide each other.
    for place, pair in zip(line.places, line.intervals, strict=False):
        if pair and not line.faint:
            axes.plot([place, place], pair, color=paint, linewidth=1.1, marker="_", markersize=7, alpha=0.8)
    axes.plot(
        line.places,
        line.values,
        color=paint,
        linestyle=(0, (1.5, 1.8)) if line.faint else dashes(line.entry),
        linewidth=1.2 if line.faint else 1.8,
        marker=marker(line.entry),
        markersize=4 if line.faint else 6.5,
        markeredgecolor=PAPER,
        markeredgewidth=0.6,
        clip_on=False,
    )


def _finish(axes: Any, places: list[float], across: str, unit: str) -> None:
    # Counts such as 1, 2, 4, 8 get their own ticks where those do not crowd.
    span = places[-1] - places[0] or 1
    ticks = [places[-1]]
    for place in reversed(places[:-1]):
        if ticks[-1] - place >= 0.075 * span:
            ticks.append(place)
    axes.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
    axes.set_xlim(places[0] - 0.03 * span, places[-1] + 0.03 * span)
    axes.set_xlabel(across, labelpad=1)
    # Level, at the top: an upright title costs width.
    axes.text(0, 1.04, unit, transform=axes.transAxes, ha="left", va="bottom", color=axes.xaxis.label.get_color())
    axes.grid()
