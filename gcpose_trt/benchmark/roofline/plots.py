"""A roofline's pictures: where each stage lies below the ceilings, and how far it is above its floor."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from typing import Any

from gcpose_trt.benchmark.reporting.plots.canvas import FONT, GRID, INK, MUTED, WIDTH, drawing, to_svg
from gcpose_trt.benchmark.roofline.text import number
from gcpose_trt.errors import MissingDependencyError

Record = Mapping[str, Any]
_UNIT = 72  # of an SVG, an inch
_GRAPHS = {"detector": "#101100", "pose": "#101101"}  # stand-ins of the canvas for the page's first two colours
_LIGHT = "--panel:#fff;--muted:#55606f;--grid:#e7eaef;--c0:#0a70bd;--c1:#b54d00;color:#14181e"
_DARK = "--panel:#161a20;--muted:#9ba6b5;--grid:#262c35;--c0:#44b4ff;--c1:#ff9248;color:#e8ebf0"


def need_matplotlib() -> None:
    """Raise MissingDependencyError without matplotlib."""
    try:
        import matplotlib  # noqa: F401
    except ImportError as error:
        raise MissingDependencyError("matplotlib", "benchmark", "the plot of a roofline") from error


def draw(record: Record) -> dict[str, str]:
    """Return the pictures of a record as SVG for a page, by key.

    Raises:
        MissingDependencyError: without matplotlib.
    """
    need_matplotlib()
    pictures = {"roof": _roof(record), "floors": _floors(record)}
    return {key: svg for key, svg in pictures.items() if svg}


def standalone(charts: Mapping[str, str]) -> str:
    """Return the pictures below each other as one SVG file, right on light and dark grounds."""
    inner, height = [], 0.0
    width = WIDTH * _UNIT
    for svg in charts.values():
        box = re.search(r'viewBox="[-\d.]+ [-\d.]+ ([\d.]+) ([\d.]+)"', svg)
        assert box is not None  # `to_svg` writes it
        tall = width * float(box[2]) / float(box[1])
        inner.append(svg.replace("<svg ", f'<svg y="{height:.1f}" width="{width:.1f}" height="{tall:.1f}" ', 1))
        height += tall
    style = f"svg{{{_LIGHT}}}@media (prefers-color-scheme:dark){{svg{{{_DARK}}}}}"
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:.1f} {height:.1f}" width="{1.6 * width:.0f}" '
        f'font-family="system-ui, sans-serif"><style>{style}</style>'
        f'<rect width="100%" height="100%" fill="var(--panel)"/>{"".join(inner)}</svg>\n'
    )


def numbered(record: Record) -> list[tuple[int, Mapping[str, Any]]]:
    """Return the stages with the numbers that they have in the pictures."""
    return list(enumerate(record["stages"], 1))


def _roof(record: Record) -> str | None:
    points = [
        (place, line, line["intensity"], _rate(line))
        for place, line in numbered(record)
        if line["intensity"] and line["milliseconds"] and _rate(line) > 0
    ]
    if not points:
        return None
    longest = max(line["milliseconds"] for _, line, _, _ in points)
    low = min(min(x for _, _, x, _ in points), 1.0) / 2
    high = max(max(x for _, _, x, _ in points) * 2, *(_ridge(record, key) * 2 for key in _products(record)))
    with drawing(4.0) as (figure, axes):
        axes.set_xscale("log")
        axes.set_yscale("log")
        _plain_ticks(axes.xaxis, axes.yaxis)
        axes.grid(True)
        top = _ceilings(record, axes, low, high)
        for place, line, x, y in points:
            size = 60 + 600 * line["milliseconds"] / longest
            axes.scatter([x], [y], s=size, color=_GRAPHS[line["graph"]], alpha=0.35, linewidths=0, zorder=3)
            axes.text(x, y, str(place), ha="center", va="center", color=INK, fontsize=FONT - 1, zorder=4)
        axes.set_xlim(low, high)
        axes.set_ylim(min(y for _, _, _, y in points) / 3, 2.2 * top)
        axes.set_xlabel("operations a byte")
        axes.set_ylabel("10⁹ operations a second")
        figure.subplots_adjust(left=0.17, right=0.97, top=0.98, bottom=0.13)
        words = "; ".join(
            f"{line['name']}: {number(x)} operations a byte, {number(y)} thousand million operations a second"
            for _, line, x, y in points
        )
        return to_svg(figure, "roof", "Stages below the ceilings", words)


def _ceilings(record: Record, axes: Any, low: float, high: float) -> float:
    """Draw the ceilings; return the highest, in 1e9 operations a second."""
    ceilings = record["ceilings"]
    products = _products(record)
    top = max(products.values())
    for name, rate in products.items():
        axes.plot([low, high], [rate, rate], color=INK, linewidth=1.4)
        axes.text(low * 1.2, rate * 1.08, f"{name} {number(rate)}", va="bottom", fontsize=FONT - 1.5)
    for name, key, dash in (("memory", "memory", "-"), ("caches", "fastest_stream", (0, (4, 2)))):
        slope = ceilings[key]["best"] / 1e9
        ends = (low, min(top / slope, high))
        label = f"{name} {number(slope)} GB/s"
        axes.plot(ends, [slope * x for x in ends], color=MUTED, linewidth=1.4, linestyle=dash, label=label)
    # The stages with many operations a byte lie high, those with few lie left: this corner is free.
    axes.legend(loc="lower right", frameon=False, fontsize=FONT - 1.5)
    return top


def _plain_ticks(*sides: Any) -> None:
    """Write 0.1, 1, 10: the canvas draws no formulas, and powers of ten are some."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    for side in sides:
        side.set_major_locator(LogLocator(numticks=6))
        side.set_major_formatter(FuncFormatter(lambda value, place: f"{value:,.10g}"))
        side.set_minor_formatter(NullFormatter())


def _products(record: Record) -> dict[str, float]:
    names = {"FP32": "float32", "INT8": "int8"}
    found = {name: record["ceilings"][key] for name, key in names.items()}
    return {name: max(samples["best"] for samples in group) / 1e9 for name, group in found.items() if group}


def _ridge(record: Record, name: str) -> float:
    """Return from how many operations a byte memory no longer holds them back."""
    rate: float = _products(record)[name] * 1e9 / record["ceilings"]["memory"]["best"]
    return rate


def _rate(line: Mapping[str, Any]) -> float:
    """Return 1e9 operations a second."""
    operations = line["operations"] + line["integer_operations"]
    return float(operations / line["milliseconds"] / 1e6) if line["milliseconds"] else 0.0


def _floors(record: Record) -> str | None:
    lines = [(place, line) for place, line in numbered(record) if line["over_floor"]]
    if not lines:
        return None
    with drawing(0.75 + 0.3 * len(lines)) as (figure, axes):
        axes.set_xscale("log")
        longest = max(max(line["over_floor"] for _, line in lines), 2.0)
        _plain_ticks(axes.xaxis)
        axes.set_xticks([10**power for power in range(int(math.log10(longest)) + 1)])
        most = longest**1.75  # room for what stands behind the longest bar: three quarters of its length
        start = min(1.0, min(line["over_floor"] for _, line in lines)) / 1.25
        for row, (_, line) in enumerate(lines):
            colour = _GRAPHS[line["graph"]]
            axes.barh(row, line["over_floor"] - start, left=start, height=0.62, color=colour, alpha=0.5)
            axes.text(
                line["over_floor"] * 1.08,
                row,
                f"{number(line['over_floor'])}× ({number(line['milliseconds'])} ms)",
                va="center",
                fontsize=FONT - 1.5,
                color=INK,
            )
        axes.axvline(1.0, color=INK, linewidth=1.0)
        axes.set_yticks(range(len(lines)), [f"{line['name']}  {place}" for place, line in lines])
        axes.invert_yaxis()
        axes.set_xlim(start, most)
        axes.grid(True, axis="x", color=GRID)
        axes.tick_params(axis="y", length=0)
        axes.set_xlabel("measured time over the floor")
        figure.subplots_adjust(left=0.36, right=0.97, top=0.99, bottom=0.5 / (0.75 + 0.3 * len(lines)))
        words = "; ".join(f"{line['name']}: {number(line['over_floor'])} times its floor" for _, line in lines)
        return to_svg(figure, "floors", "Time over the floor", words)


def legend() -> Sequence[tuple[str, str]]:
    """Return what the colours mean: a class of the page's style sheet, and words."""
    return (("k0", "detector"), ("k1", "pose"))
