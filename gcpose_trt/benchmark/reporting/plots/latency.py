"""How the times of frames are distributed, whether they held still, and what they are made of."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from gcpose_trt.benchmark.contender import NETWORK_STAGES, STAGES
from gcpose_trt.benchmark.reporting.plots import rows
from gcpose_trt.benchmark.reporting.plots.canvas import (
    INK,
    MUTED,
    PAPER,
    Chart,
    colour,
    dashes,
    drawing,
    marker,
    to_svg,
)
from gcpose_trt.benchmark.reporting.plots.scales import far_apart, scale
from gcpose_trt.benchmark.reporting.view import Entry, Record, View, median
from gcpose_trt.benchmark.reporting.words import figure, look, number

_KINDS = {"end_to_end": "end to end", "network": "network only"}
_LEAST = 5  # samples that make a shape
_EDGE = ("decode", "draw")
_STEPS = 120


def samples(record: Record, key: str) -> NDArray[np.float64]:
    """Return the numbers under `samples`, (n,); empty where they are not."""
    found = look(record, "samples", key)
    known = [number(value) for value in found] if isinstance(found, list) else []
    return np.array([] if None in known else known, np.float64)


def _found(view: View, key: str) -> list[tuple[Entry, Record, NDArray[np.float64]]]:
    every = [(entry, record, samples(record, key)) for entry, record in view.of("latency")]
    return [item for item in every if len(item[2]) >= _LEAST and item[2].min() > 0]


def distributions(view: View) -> list[Chart]:
    """Draw a violin with a box for each contender, end to end and network only on the same axis."""
    found = {key: _found(view, key) for key in _KINDS}
    every = [times for items in found.values() for _, _, times in items]
    if not every:
        return []
    # The rarest spikes would press everything else together; how many lie beyond is said.
    high = max(1.12 * float(np.percentile(times, 99)) for times in every)
    low = min(float(times.min()) for times in every)
    charts = []
    for key, items in found.items():
        if items:
            charts.append(_distribution(key, items, low, high))
    return charts


def _distribution(key: str, items: list[tuple[Entry, Record, NDArray[np.float64]]], low: float, high: float) -> Chart:
    title = f"Times of frames, {_KINDS[key]}"
    values = [
        f"{figure(look(record, key, 'median'))}, p99 {figure(look(record, key, 'p99'))}" for _, record, _ in items
    ]
    with drawing(rows.height(len(items))) as (picture, axes):
        rows.prepare(axes, [entry for entry, _, _ in items], values, "milliseconds")
        scale(axes, "x", low, high)
        for row, (entry, _, times) in enumerate(items):
            rows.violin(axes, row, entry, times, high)
        words = "; ".join(
            f"{entry.name}: median {value} ms" for (entry, _, _), value in zip(items, values, strict=True)
        )
        svg = to_svg(picture, f"times-{key.replace('_', '-')}", title, words)
    beyond = sum(int((times > high).sum()) for _, _, times in items)
    note = "Dot: median. Thick line: quartiles. Tick: p99."
    if beyond:
        note += f" {beyond} of {sum(len(times) for _, _, times in items):,} frames lie to the right of the picture."
    return Chart(f"times-{key.replace('_', '-')}", title, svg, note)


def cumulative(view: View) -> Chart | None:
    """Draw the share of frames that took no longer than a time."""
    items = _found(view, "end_to_end")
    if not items:
        return None
    title = "Share of frames that took no longer, end to end"
    shares = np.linspace(0, 1, _STEPS + 1)
    with drawing(3.2) as (picture, axes):
        for entry, _, times in items:
            axes.plot(np.quantile(times, shares), 100 * shares, color=colour(entry), linestyle=dashes(entry))
        high = max(1.12 * float(np.percentile(times, 99)) for _, _, times in items)
        scale(axes, "x", min(float(times.min()) for _, _, times in items), high)
        axes.set_ylim(0, 101)
        axes.set_yticks([0, 25, 50, 75, 99], ["0", "25", "50", "75", "99 %"])
        axes.set_xlabel("milliseconds", labelpad=1)
        axes.grid()
        picture.subplots_adjust(left=0.11, right=0.97, bottom=0.16, top=0.97)
        words = "; ".join(
            f"{entry.name}: half of the frames within {rows.ms(np.median(times))}, 99 % within "
            f"{rows.ms(np.percentile(times, 99))}"
            for entry, _, times in items
        )
        svg = to_svg(picture, "cumulative", title, words)
    return Chart("cumulative", title, svg, "A steep line is a steady contender.", [entry for entry, _, _ in items])


def rounds(view: View) -> Chart | None:
    """Draw each round's median against the run's: what warms up, slows down or is disturbed shows here."""
    items = []
    for entry, record, times in _found(view, "end_to_end"):
        numbers = samples(record, "round")
        if len(numbers) == len(times) and len(set(numbers.tolist())) >= 3:
            order = sorted(set(numbers.tolist()))
            middle = [100 * (float(np.median(times[numbers == n])) / float(np.median(times)) - 1) for n in order]
            items.append((entry, order, middle))
    if not items:
        return None
    title = "Rounds: median of each against the whole run"
    with drawing(3.2) as (picture, axes):
        axes.axhline(0, color=MUTED, linewidth=0.8)
        for entry, order, middle in items:
            places = [place + 1 for place in range(len(order))]
            axes.plot(places, middle, color=colour(entry), linestyle=dashes(entry), marker=marker(entry), markersize=5)
        most = max(5.0, *(abs(value) for _, _, middle in items for value in middle))
        axes.set_ylim(-1.1 * most, 1.1 * most)
        signed_axis(axes)
        axes.set_xlabel("round", labelpad=1)
        axes.grid(axis="y")
        picture.subplots_adjust(left=0.15, right=0.97, bottom=0.16, top=0.97)
        words = "; ".join(
            f"{entry.name}: from {min(middle):+.1f} % to {max(middle):+.1f} %" for entry, _, middle in items
        )
        svg = to_svg(picture, "rounds", title, words)
    note = "End to end. Level lines: the machine stayed as it was. A slope: it warmed up or slowed down."
    return Chart("rounds", title, svg, note, [entry for entry, _, _ in items])


def signed_axis(axes: Any) -> None:
    """Label the upright axis with signed per cents, and the other with whole numbers."""
    from matplotlib.ticker import FuncFormatter, MaxNLocator

    axes.yaxis.set_major_locator(MaxNLocator(5))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:+g} %" if value else "0"))
    axes.xaxis.set_major_locator(MaxNLocator(8, integer=True))


def shares_of_time(view: View) -> Chart | None:
    """Draw what a frame's time is made of: the network, what goes with it, decoding and drawing."""
    items = []
    for entry, record in view.of("latency"):
        medians = {stage: median(look(record, "stages", stage)) for stage in STAGES}
        parts = [
            sum(value for stage, value in medians.items() if value and stage in NETWORK_STAGES),
            sum(value for stage, value in medians.items() if value and stage not in (*NETWORK_STAGES, *_EDGE)),
            sum(value for stage, value in medians.items() if value and stage in _EDGE),
        ]
        if sum(parts):
            items.append((entry, parts, median(record.get("end_to_end"))))
    if not items:
        return None
    title = "What the time is made of"
    with drawing(rows.height(len(items))) as (picture, axes):
        sums = [sum(parts) for _, parts, _ in items]
        relative = far_apart(min(sums), max(sums))
        unit = "per cent of each one's time" if relative else "milliseconds"
        rows.prepare(axes, [entry for entry, _, _ in items], [rows.ms(whole) for _, _, whole in items], unit)
        scale(axes, "x", 0, 100 / 1.06 if relative else max(sums))
        for row, (entry, found, _) in enumerate(items):
            parts = [100 * part / sum(found) for part in found] if relative else found
            starts = np.concatenate([[0], np.cumsum(parts)[:-1]]).tolist()
            rows.bar(axes, row + 0.72, entry, list(zip(starts, parts, rows.SHADES, strict=True)))
        words = "; ".join(
            f"{entry.name}: network {rows.ms(parts[0])}, around it {rows.ms(parts[1])}, decode and draw "
            f"{rows.ms(parts[2])}"
            for entry, parts, _ in items
        )
        svg = to_svg(picture, "shares", title, words)
    shades = ("network", "pre- and post-processing, copies", "decode and draw")
    return Chart("shares", title, svg, "Sums of the stages' medians; the number is the median end to end.", [], shades)


def waterfalls(view: View) -> list[Chart]:
    """Draw the stages of each contender one after the other, on the same axis where they are not too far apart."""
    items = []
    for entry, record in view.of("latency"):
        stages = [(stage, median(look(record, "stages", stage))) for stage in STAGES]
        known = [(stage, value) for stage, value in stages if value is not None]
        if len(known) > 1:
            items.append((entry, known))
    sums = [sum(value for _, value in known) for _, known in items]
    apart = bool(sums) and far_apart(min(sums), max(sums))
    return [
        _waterfall(entry, known, own if apart else max(sums), "On an axis of its own." if apart else "")
        for (entry, known), own in zip(items, sums, strict=True)
    ]


def _beside(axes: Any, row: int, start: float, end: float, most: float, words: str) -> None:
    """Write to the right of a bar where there is room, else to its left, else into it."""
    gap, room = 0.012 * most, 0.14 * most
    if end + room < most:
        axes.text(end + gap, row, words, va="center_baseline", ha="left", color=INK)
    elif start > room:
        axes.text(start - gap, row, words, va="center_baseline", ha="right", color=INK)
    else:
        axes.text(end - gap, row, words, va="center_baseline", ha="right", color=PAPER, fontweight="bold")


def _waterfall(entry: Entry, stages: list[tuple[str, float]], most: float, note: str) -> Chart:
    title = f"Stages of {entry.name}"
    key = f"stages-{entry.index}"
    tall = 0.5 + 0.25 * len(stages)
    with drawing(tall) as (picture, axes):
        start = 0.0
        for row, (stage, value) in enumerate(stages):
            rows.bar(axes, row, entry, [(start, value, 1.0 if stage in NETWORK_STAGES else 0.5)], 0.68)
            _beside(axes, row, start, start + value, most, figure(value))
            start += value
        axes.set_yticks(range(len(stages)), [stage for stage, _ in stages])
        axes.set_ylim(len(stages) - 0.5, -0.5)
        scale(axes, "x", 0, most)
        axes.tick_params(axis="y", length=0, colors=INK)
        axes.set_xlabel("milliseconds", labelpad=1)
        axes.grid(axis="x")
        picture.subplots_adjust(left=0.23, right=0.97, bottom=0.45 / tall, top=1 - 0.03 / tall)
        words = ", ".join(f"{stage} {rows.ms(value)}" for stage, value in stages)
        svg = to_svg(picture, key, title, words)
    return Chart(key, title, svg, note, [entry])
