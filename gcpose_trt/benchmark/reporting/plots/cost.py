"""What a contender costs besides time a frame: its start, memory, energy."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from gcpose_trt.benchmark.reporting.plots import rows
from gcpose_trt.benchmark.reporting.plots.canvas import Chart, drawing, to_svg
from gcpose_trt.benchmark.reporting.plots.scales import scale
from gcpose_trt.benchmark.reporting.view import Entry, View, median
from gcpose_trt.benchmark.reporting.words import DASH, figure, look, number

_MIB = 2**20


def memory(view: View) -> Chart | None:
    """Draw peak memory of the host and the GPU, and the size of the model's files."""
    items = []
    for entry, record in view.of("start"):
        found = (
            median(record.get("host_peak_bytes")),
            median(record.get("gpu_peak_bytes")),
            number(entry.record.get("bytes")),
        )
        items.append((entry, [None if value is None else value / _MIB for value in found]))
    names = ("host, peak", "GPU, peak", "model files")
    return _bars("memory", "Memory and size of files", items, names, "MiB")


def start(view: View) -> Chart | None:
    """Draw what happens before the second frame, one piece after the other."""
    names = ("import", "load", "first frame")
    items = [
        (entry, [median(record.get(name)) for name in ("import", "load", "first_frame")])
        for entry, record in view.of("start")
    ]
    return _bars("start", "From start to the first frame", items, names, "milliseconds", stacked=True)


def energy(view: View) -> list[Chart]:
    """Draw joules a frame, a picture a sensor."""
    found: dict[str, list[tuple[Entry, list[float | None]]]] = {}
    for entry, record in view.of("latency"):
        sensors = record.get("energy")
        for sensor, read in sensors.items() if isinstance(sensors, Mapping) else ():
            found.setdefault(sensor, []).append((entry, [number(look(read, "joules_per_frame"))]))
    charts = [
        _bars(f"energy-{place}", f"Energy by sensor {sensor}", items, (), "joules a frame")
        for place, (sensor, items) in enumerate(found.items())
    ]
    return [chart for chart in charts if chart]


def _bars(
    key: str,
    title: str,
    items: Sequence[tuple[Entry, list[float | None]]],
    names: tuple[str, ...],
    unit: str,
    stacked: bool = False,
) -> Chart | None:
    """Draw a row of bars a contender, beside each other or one after the other; None where there is nothing."""
    known = [(entry, values) for entry, values in items if any(value is not None for value in values)]
    if not known:
        return None
    kept = [place for place in range(len(known[0][1])) if any(values[place] is not None for _, values in known)]
    ends = [
        sum(value or 0 for value in values) if stacked else max(value or 0 for value in values) for _, values in known
    ]
    texts = [" + ".join(figure(values[place]) for place in kept) if stacked else
             ", ".join(figure(values[place]) for place in kept) for _, values in known]  # fmt: skip
    with drawing(rows.height(len(known))) as (picture, axes):
        rows.prepare(axes, [entry for entry, _ in known], texts, unit)
        scale(axes, "x", 0, max(ends))
        for row, (entry, values) in enumerate(known):
            _row(axes, row, entry, [values[place] for place in kept], [rows.SHADES[place] for place in kept], stacked)
        words = "; ".join(
            f"{entry.name}: " + ", ".join(
                f"{names[place] if names else unit} {figure(values[place])}" for place in kept
            )
            for entry, values in known
        )  # fmt: skip
        svg = to_svg(picture, key, title, words)
    shades = tuple(names[place] if place in kept else "" for place in range(len(names)))
    note = "A dash: not measured." if any(DASH in words for words in texts) else ""
    return Chart(key, title, svg, note, [], shades)


def _row(
    axes: object, row: int, entry: Entry, values: Sequence[float | None], shades: Sequence[float], stacked: bool
) -> None:
    if stacked:
        parts, begin = [], 0.0
        for value, shade in zip(values, shades, strict=True):
            parts.append((begin, value or 0.0, shade))
            begin += value or 0.0
        rows.bar(axes, row + 0.72, entry, parts)
        return
    thick = 0.44 / len(values)
    for place, (value, shade) in enumerate(zip(values, shades, strict=True)):
        if value is not None:
            rows.bar(axes, row + 0.5 + (place + 0.5) * thick, entry, [(0, value, shade)], 0.88 * thick)
