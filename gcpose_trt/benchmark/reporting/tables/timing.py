"""How long: frames, stages, people, sizes, batches and streams, the start."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from gcpose_trt.benchmark.reporting.table import Column, Row, Table
from gcpose_trt.benchmark.reporting.view import View, median
from gcpose_trt.benchmark.reporting.words import (
    DASH,
    clean,
    figure,
    fixed,
    interval,
    look,
    mebibytes,
    number,
    share,
    whole,
)

_SUMMARY = ("median", "p90", "p99", "95 % interval", "spread")


def latency(view: View) -> Table | None:
    """End to end and network only, side by side."""
    found = view.of("latency")
    if not found:
        return None
    whole_frame, network = "end to end", "network only"
    columns = [
        *(Column(name, whole_frame) for name in _SUMMARY),
        *(Column(name, network) for name in _SUMMARY),
        Column("poses", "frames a second"),
        Column("end to end", "frames a second"),
        Column("people"),
        Column("frames"),
    ]
    rows = []
    for entry, record in found:
        cells = [
            *_summary(record.get("end_to_end")),
            *_summary(record.get("network")),
            figure(record.get("fps")),
            figure(record.get("fps_end_to_end")),
            fixed(record.get("people"), 1),
            whole(look(record, "end_to_end", "count")),
        ]
        marked = frozenset({_SUMMARY.index("spread")}) if record.get("unsteady") is True else frozenset()
        rows.append(Row(entry.name, cells, entry, marked))
    notes = [
        "Milliseconds a frame. End to end is from the encoded frame to the picture with skeletons; network only is the "
        "network's own part of the same frames.",
        "Frames a second by the median: “poses” from the decoded frame to the poses, “end to end” with decoding and "
        "drawing.",
    ]
    if any(row.marked for row in rows):
        notes.append("A marked spread is over 10 %: that contender's times did not hold still, so read them with care.")
    return Table("Time a frame, end to end and network only", "contender", columns, rows, notes).without_empty()


def _summary(summary: Any) -> list[str]:
    return [
        *(figure(look(summary, name)) for name in ("median", "p90", "p99")),
        interval(look(summary, "ci95")),
        share(look(summary, "spread")),
    ]


def stages(view: View) -> Table | None:
    """Medians of the stages."""
    names = view.stages
    found = [pair for pair in view.of("latency") if look(pair[1], "stages")]
    if not names or not found:
        return None
    rows = [
        Row(
            entry.name,
            [
                *(figure(look(record, "stages", name, "median")) for name in names),
                figure(look(record, "end_to_end", "median")),
            ],
            entry,
        )
        for entry, record in found
    ]
    notes = [
        "Median milliseconds of each stage; medians of parts do not add up to the median of the whole exactly. "
        "A dash: this contender cannot tell that stage apart, and it is inside a neighbour."
    ]
    return Table("Stages of a frame", "contender", [*map(Column, names), Column("end to end")], rows, notes)


def people(view: View) -> Table | None:
    """Time against the number of people."""
    found = [(entry, record, counts(record)) for entry, record in view.of("people")]
    found = [item for item in found if item[2]]
    if not found:
        return None
    every = sorted({count for _, _, have in found for count in have})
    rows = []
    for entry, record, have in found:
        for part in ("total", "detector", "pose"):
            summaries = record.get(part)
            by_count = dict(zip(have, summaries, strict=False)) if isinstance(summaries, list) else {}
            cells = [figure(median(by_count.get(count))) for count in every]
            if part == "total" or any(cell != DASH for cell in cells):
                slope = figure(record.get("slope")) if part == "total" else DASH
                rows.append(Row(entry.name, [part, *cells, slope], entry))
    columns = [Column("part", words=True), *(Column(f"{count:g}", "people in view") for count in every)]
    notes = ["Median milliseconds. A person more costs the last column's: the slope of the total from one person on."]
    return Table("Time against people", "contender", [*columns, Column("ms a person")], rows, notes)


def counts(record: Mapping[str, Any]) -> list[float]:
    """Return the numbers of people of a record of section people; [] if one of them is none."""
    said = record.get("counts")
    known = [number(count) for count in said] if isinstance(said, list) else []
    return [count for count in known if count is not None] if None not in known else []


def sizes(view: View) -> Table | None:
    """The same model at several sizes of its input."""
    timed = {entry.id: record for entry, record in view.of("latency")}
    exact = {entry.id: record for entry, record in view.of("accuracy")}
    rows = [
        Row(
            entry.family_name,
            [
                figure(entry.side),
                figure(median(timed[entry.id].get("end_to_end"))),
                figure(median(timed[entry.id].get("network"))),
                figure(timed[entry.id].get("fps")),
                fixed(look(exact.get(entry.id), "keypoints", "AP"), 3),
            ],
            entry,
        )
        for family in view.families
        for entry in family
    ]
    if not rows:
        return None
    columns = [Column(name) for name in ("longer side", "end to end", "network only", "frames a second", "keypoint AP")]
    notes = ["The same model, backend and precision; pixels of the input's longer side, median milliseconds."]
    return Table("Time against input size", "model", columns, rows, notes).without_empty()


def throughput(view: View) -> list[Table]:
    """Frames a second by batch size, and by streams at once."""
    tables = []
    for key, unit, word, caption, note in (
        ("batches", "batch", "batch", "Throughput by batch size", "A batch is that many frames in one call."),
        ("streams", "streams", "streams", "Throughput by streams", "Streams are that many callers at the same time."),
    ):
        found = [(entry, steps(record.get(key), unit)) for entry, record in view.of("throughput")]
        found = [pair for pair in found if pair[1]]
        counts = sorted({count for _, have in found for count in have})
        if not counts:
            continue
        rows = [
            Row(entry.name, [cell for count in counts for cell in _rate(have.get(count))], entry)
            for entry, have in found
        ]
        columns = [Column(name, f"{word} {count:g}") for count in counts for name in ("median", "95 % interval")]
        notes = [f"Frames a second. {note}"]
        tables.append(Table(caption, "contender", columns, rows, notes).without_empty())
    # Once, below the last of them.
    what = dict.fromkeys(clean(record["what"]) for _, record in view.of("throughput") if record.get("what"))
    notes = [f"Measured {words}." for words in what]
    return [*tables[:-1], *(replace(table, notes=[*table.notes, *notes]) for table in tables[-1:])]


def steps(records: Any, unit: str) -> dict[float, Any]:
    """Return SUMMARY by batch size or number of streams, in order."""
    found = {}
    for record in records if isinstance(records, Sequence) and not isinstance(records, str) else ():
        count = number(look(record, unit))
        if count is not None and median(look(record, "fps")) is not None:
            found[count] = look(record, "fps")
    return dict(sorted(found.items()))


def _rate(summary: Any) -> list[str]:
    return [figure(median(summary)), interval(look(summary, "ci95"))]


def start(view: View) -> Table | None:
    """Start-up, first frame, memory and size of the files."""
    found = view.of("start")
    if not found:
        return None
    names = ("import", "load", "first_frame", "steady")
    titles = ("import", "load", "first frame", "a later frame")
    columns = [
        *(Column(title, "milliseconds") for title in titles),
        Column("host, peak", "MiB"),
        Column("GPU, peak", "MiB"),
        Column("model files", "MiB"),
    ]
    rows = [
        Row(
            entry.name,
            [
                *(figure(median(record.get(name))) for name in names),
                mebibytes(median(record.get("host_peak_bytes"))),
                mebibytes(median(record.get("gpu_peak_bytes"))),
                mebibytes(entry.record.get("bytes")),
            ],
            entry,
        )
        for entry, record in found
    ]
    notes = ["Medians over new processes."]
    for key, title in (("what", "Peak memory,"), ("gpu_reason", "GPU memory was not measured:")):
        said = {clean(record[key]).rstrip("."): None for _, record in found if record.get(key)}
        notes += [f"{title} {words}." for words in said]
    return Table("Start and memory", "contender", columns, rows, notes).without_empty()
