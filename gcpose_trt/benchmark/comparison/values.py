"""The numbers of one contender in one report that a comparison looks at, each with how certain it is."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from gcpose_trt.benchmark.significance import t_quantile
from gcpose_trt.benchmark.statistics import median_error

# What does not hang on the machine, the clip and the threads.
TIMELESS = ("size", "accuracy")
# A part that changes by less than this share of the whole frame does not matter, be it twice as slow.
LEAST_SHARE = 0.01

_SECTIONS = {
    "latency": "latency",
    "stages": "latency",
    "people": "people",
    "throughput": "throughput",
    "start": "start",
    "memory": "start",
    "energy": "latency",
    "accuracy": "accuracy",
}


@dataclass(frozen=True)
class Value:
    """One number.

    Attributes:
        metric: one of `METRICS`.
        name: what it is, for people: "stage pose".
        unit: "ms", "ms/person", "fps", "bytes", "J/frame", "AP".
        value: the number, a median where it was measured repeatedly.
        error: its relative standard error; None where that is not known.
        blocks: rounds that the error comes from.
        spread: of repeated measurements of the same thing; None where unknown.
        least: differences below this do not matter, in the unit.
        higher_is_better: or lower.
        exact: every run gives the same.
    """

    metric: str
    name: str
    unit: str
    value: float
    error: float | None = None
    blocks: int | None = None
    spread: float | None = None
    least: float = 0.0
    higher_is_better: bool = False
    exact: bool = False

    @property
    def key(self) -> tuple[str, str]:
        """What it is compared by."""
        return self.metric, self.name


def section_of(metric: str) -> str | None:
    """Return the section of the report that a metric is in; None for one of the contender itself."""
    return _SECTIONS.get(metric)


def values_of(
    report: Mapping[str, Any], record: Mapping[str, Any], metrics: tuple[str, ...], *, same_frames: bool
) -> dict[tuple[str, str], Value]:
    """Collect what was measured of a contender.

    Args:
        report: as `reading.read_report` gives it.
        record: the contender, of the report's "contenders".
        metrics: some of `METRICS`.
        same_frames: whether the other report has the very same frames. If not, then what they show is a chance of its
            own: the frames are resampled too where samples were kept, and what has none is without an error.

    Returns:
        By `Value.key`, in the order of a report.
    """
    sections = {name: (report.get(name) or {}).get(record["id"]) or {} for name in set(_SECTIONS.values())}
    found = [
        *_latency(sections["latency"], same_frames),
        *_people(sections["people"]),
        *_throughput(sections["throughput"], same_frames),
        *_start(sections["start"]),
        *_energy(sections["latency"], same_frames),
        *_size(record),
        *_accuracy(sections["accuracy"]),
    ]
    return {value.key: value for value in found if value.metric in metrics}


def _median(metric: str, name: str, unit: str, summary: Mapping[str, Any], certain: bool = True, **more: Any) -> Value:
    """Return the value of a SUMMARY; its interval is t times the error of the median, see `statistics.summary`."""
    median, blocks, interval = summary["median"], summary.get("blocks"), summary.get("ci95")
    error = None
    if certain and interval is not None and blocks is not None and blocks > 1 and median > 0:
        # The upper end: the lower one may have been cut off at 0.
        error = (interval[1] - median) / median / t_quantile(blocks - 1)
    return Value(metric, name, unit, median, error, blocks, summary.get("spread"), **more)


def _latency(section: Mapping[str, Any], same_frames: bool) -> Iterator[Value]:
    whole = section.get("end_to_end")
    least = LEAST_SHARE * whole["median"] if whole else 0.0
    for key, name in (("end_to_end", "end to end"), ("network", "network")):
        if section.get(key):
            value = _median("latency", name, "ms", section[key], certain=same_frames)
            yield _resampled(value, section.get("samples") or {}, key, same_frames)
    for stage, summary in (section.get("stages") or {}).items():
        yield _median("stages", f"stage {stage}", "ms", summary, certain=same_frames, least=least)


def _resampled(value: Value, samples: Mapping[str, Any], key: str, same_frames: bool) -> Value:
    """Return the value with its error from the samples themselves, if they were kept."""
    if not samples.get(key) or not samples.get("round") or not samples.get("frame") or value.value <= 0:
        return value
    times = np.asarray(samples[key], np.float64)
    rounds, frames = (np.unique(samples[name], return_inverse=True)[1].reshape(-1) for name in ("round", "frame"))
    error = median_error(times, rounds, None if same_frames else frames)
    return _with_error(value, None if error is None else error / value.value, int(rounds.max()) + 1)


def _with_error(value: Value, error: float | None, blocks: int) -> Value:
    return Value(**(value.__dict__ | {"error": error, "blocks": blocks}))


def _people(section: Mapping[str, Any]) -> Iterator[Value]:
    """Yield what a person more costs, with the error that the medians which the line goes through leave it.

    The medians' errors are taken to be independent. Those of the same rounds go up and down together, which the
    slope does not feel, so this is on the safe side.
    """
    slope, counts, totals = section.get("slope"), section.get("counts"), section.get("total")
    if slope is None or not counts or not totals:
        return
    # The same points as the line's, see `sections.people`: the step from nobody to one person is no part of it.
    points = [(count, total) for count, total in zip(counts, totals, strict=True) if count >= 1 and total]
    medians = [_median("people", "", "ms", total) for _, total in points]
    centred = np.array([count for count, _ in points], np.float64)
    centred -= centred.mean() if len(centred) else 0.0
    error, blocks = None, None
    if len(set(centred)) > 1 and slope > 0 and all(value.error is not None for value in medians):
        errors = np.array([value.error * value.value for value in medians if value.error is not None])
        error = float(np.sqrt(((centred / (centred**2).sum() * errors) ** 2).sum())) / slope
        blocks = min(value.blocks for value in medians if value.blocks is not None)
    spreads = [value.spread for value in medians if value.spread is not None]
    # What the time of the largest crowd would not show.
    least = LEAST_SHARE * medians[-1].value / points[-1][0] if points else 0.0
    yield Value("people", "each person", "ms/person", slope, error, blocks, max(spreads, default=None), least)


def _throughput(section: Mapping[str, Any], same_frames: bool) -> Iterator[Value]:
    for key, number in (("batches", "batch"), ("streams", "streams")):
        for entry in section.get(key) or ():
            if entry.get("fps"):
                name = f"{number} {entry[number]:g}"
                yield _median("throughput", name, "fps", entry["fps"], certain=same_frames, higher_is_better=True)


def _start(section: Mapping[str, Any]) -> Iterator[Value]:
    for key, name in (("import", "import"), ("load", "load"), ("first_frame", "first frame")):
        if section.get(key):
            yield _median("start", name, "ms", section[key])
    for key, name in (("host_peak_bytes", "host memory peak"), ("gpu_peak_bytes", "GPU memory peak")):
        if section.get(key):
            yield _median("memory", name, "bytes", section[key])


def _energy(section: Mapping[str, Any], same_frames: bool) -> Iterator[Value]:
    for sensor, record in (section.get("energy") or {}).items():
        name = f"energy {sensor}"
        if record.get("joules"):  # a SUMMARY over the rounds
            yield _median("energy", name, "J/frame", record["joules"], certain=same_frames)
        elif record.get("joules_per_frame") is not None:
            yield Value("energy", name, "J/frame", record["joules_per_frame"])


def _size(record: Mapping[str, Any]) -> Iterator[Value]:
    if record.get("bytes"):
        yield Value("size", "model size", "bytes", record["bytes"], exact=True)


def _accuracy(section: Mapping[str, Any]) -> Iterator[Value]:
    for kind in ("keypoints", "boxes"):
        value = (section.get(kind) or {}).get("AP")
        if value is not None:
            yield Value("accuracy", f"{kind} AP", "AP", value, higher_is_better=True, exact=True)
