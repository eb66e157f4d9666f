"""Which contender of one report is which of another, and whether the two reports may be compared at all."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from gcpose_trt.benchmark.comparison.values import TIMELESS, section_of
from gcpose_trt.errors import GcposeError

Record = Mapping[str, Any]
FREE = "free"

_NAMES = ("peer", "model")
_SETTINGS = ("backend", "precision", "size", "device", "threads", "min_score", "options")


@dataclass(frozen=True)
class Pair:
    """The same contender in both reports, as records of their "contenders"."""

    a: Record
    b: Record

    @property
    def label(self) -> str:
        """What people read."""
        a, b = self.a["label"], self.b["label"]
        return str(a) if a == b else f"{a} -> {b}"


def pair_up(a: Sequence[Record], b: Sequence[Record], match: Sequence[str] = ()) -> list[Pair]:
    """Find the pairs.

    Two are the same contender if all words of their specs are equal. Of a model or a peer given as a path only the last
    part counts, because folders may differ. Weights, versions of libraries and everything else that is not in the spec
    may differ: that is what reports are compared for. Threads may differ too if there is no better partner, so that
    `check_comparable` can say so.

    Args:
        a: the contenders of A.
        b: those of B.
        match: further pairs as "LABEL=LABEL"; "free": whoever is left over then goes with the contender of the
            same model or peer whose settings have most in common, and if each side has just one left, these two.

    Returns:
        The pairs, in the order of A.

    Raises:
        GcposeError: a label of `match` is of no contender or of several.
    """
    pairs = [_named(text, a, b) for text in match if text != FREE]
    for fields in ((*_NAMES, *_SETTINGS), tuple(name for name in (*_NAMES, *_SETTINGS) if name != "threads")):
        left_a, left_b = _left(pairs, a, b)
        for one in left_a:
            twins = [other for other in left_b if all(_word(one, name) == _word(other, name) for name in fields)]
            if twins:
                left_b.remove(twins[0])
                pairs.append(Pair(one, twins[0]))
    if FREE in match:
        pairs += _freely(*_left(pairs, a, b))
    order = {record["id"]: index for index, record in enumerate(a)}
    return sorted(pairs, key=lambda pair: order[pair.a["id"]])


def _word(record: Record, name: str) -> Any:
    word = record["spec"].get(name)
    if name in _NAMES:
        return (word or "").rstrip("/").rsplit("/", 1)[-1]
    if name == "options":
        return sorted((word or {}).items())
    return word or None


def _left(pairs: Sequence[Pair], a: Sequence[Record], b: Sequence[Record]) -> tuple[list[Record], list[Record]]:
    used_a, used_b = {pair.a["id"] for pair in pairs}, {pair.b["id"] for pair in pairs}
    return [one for one in a if one["id"] not in used_a], [one for one in b if one["id"] not in used_b]


def _freely(a: list[Record], b: list[Record]) -> list[Pair]:
    pairs = []
    while a and b:
        score, one, other = max(
            ((_alike(one, other), one, other) for one in a for other in b), key=lambda entry: entry[0]
        )
        if score < 0 and (len(a) > 1 or len(b) > 1):
            break
        a.remove(one)
        b.remove(other)
        pairs.append(Pair(one, other))
    return pairs


def _alike(one: Record, other: Record) -> int:
    if any(_word(one, name) != _word(other, name) for name in _NAMES):
        return -1
    return sum(_word(one, name) == _word(other, name) for name in _SETTINGS)


def _named(text: str, a: Sequence[Record], b: Sequence[Record]) -> Pair:
    first, sign, second = text.partition("=")
    if not sign:
        raise GcposeError(
            f"{text!r} pairs nobody up; give {FREE} or a label of A and one of B: 'mobile fp32=mobile int8'"
        )
    return Pair(_labelled(first.strip(), "A", a), _labelled(second.strip(), "B", b))


def _labelled(label: str, side: str, records: Sequence[Record]) -> Record:
    found = [record for record in records if label in (record["label"], record["id"])]
    if len(found) != 1:
        known = ", ".join(record["label"] for record in records) or "none"
        problem = "no contender" if not found else f"{len(found)} contenders"
        raise GcposeError(f"{side} has {problem} called {label!r}; choose from {known}, or give an id of the report")
    return found[0]


def check_comparable(
    a: Record, b: Record, pairs: Sequence[Pair], metrics: Sequence[str], *, across_machines: bool = False
) -> None:
    """Refuse what would compare apples with pears.

    Args:
        a: a report.
        b: another.
        pairs: their contenders.
        metrics: what is to be compared; only what matters to it is looked at.
        across_machines: whether the two may be of different machines.

    Raises:
        GcposeError: machine, clip, threads or data of the accuracy differ; says which and how to go on.
    """
    timed = [metric for metric in metrics if metric not in TIMELESS and _both_have(a, b, section_of(metric))]
    if timed:
        _check_timed(a, b, pairs, across_machines)
    if "accuracy" in metrics:
        _check_dataset(a, b, pairs, metrics)


def _check_timed(a: Record, b: Record, pairs: Sequence[Pair], across_machines: bool) -> None:
    others = [*_clip(a, b), *_threads(a, b, pairs, across_machines)]
    if others:
        raise GcposeError(
            f"times cannot be compared, because {' and '.join(others)}; measure both alike, or compare "
            f"--metrics {','.join(TIMELESS)} only"
        )
    if different_machines(a, b) and not across_machines:
        raise GcposeError(
            f"the reports are of different machines (A: {machine(a)}; B: {machine(b)}), so their times say nothing "
            f"about the programs; measure both on one machine, or give --across-machines to see them nonetheless"
        )


def _both_have(a: Record, b: Record, section: str | None) -> bool:
    return section is not None and bool(a.get(section)) and bool(b.get(section))


def different_machines(a: Record, b: Record) -> bool:
    """Say whether two reports are not certain to be of the same machine."""
    first, second = a["environment"].get("machine_id"), b["environment"].get("machine_id")
    return first is None or first != second


def machine(report: Record) -> str:
    """Return a report's machine in words."""
    facts = report["environment"]
    gpus = [gpu["name"] for gpu in facts.get("gpus") or () if isinstance(gpu, Mapping) and gpu.get("name")]
    cores = facts.get("cores")
    usable = cores.get("usable") if isinstance(cores, Mapping) else cores
    mode = facts.get("power_mode")
    memory = facts.get("memory_limit_bytes") or facts.get("memory_bytes")
    parts = [facts.get("cpu") or "unknown CPU", usable and f"{usable} cores", memory and f"{memory / 2**30:.1f} GiB"]
    parts += [*gpus, mode and f"power mode {mode}"]
    return ", ".join(str(part) for part in parts if part)


def _clip(a: Record, b: Record) -> list[str]:
    first, second = a.get("clip") or {}, b.get("clip") or {}
    if first.get("sha256") == second.get("sha256"):
        return []
    names = first.get("name"), second.get("name")
    what = f"{names[0]} and {names[1]}" if names[0] != names[1] else f"both called {names[0]}"
    return [f"the clips differ ({what})"]


def _threads(a: Record, b: Record, pairs: Sequence[Pair], across_machines: bool) -> list[str]:
    for pair in pairs:
        if pair.a.get("status") != "measured" or pair.b.get("status") != "measured":
            continue
        # What it ran with; the spec says only what was asked for, which may be nothing.
        first, second = (record.get("threads") or record["spec"].get("threads") for record in (pair.a, pair.b))
        if first != second:
            return [f"{pair.label} had {_count(first)} in A and {_count(second)} in B"]
    return []


def _count(threads: int | None) -> str:
    return "all threads" if threads is None else f"{threads} thread{'s' if threads != 1 else ''}"


def _check_dataset(a: Record, b: Record, pairs: Sequence[Pair], metrics: Sequence[str]) -> None:
    for pair in pairs:
        sets = [_dataset(report, record) for report, record in ((a, pair.a), (b, pair.b))]
        if None not in sets and (sets[0] or {}).get("sha256") != (sets[1] or {}).get("sha256"):
            names = [str((one or {}).get("name")) for one in sets]
            others = ",".join(metric for metric in metrics if metric != "accuracy") or "size"
            raise GcposeError(
                f"accuracy cannot be compared, because the images and annotations differ ({names[0]} and {names[1]}); "
                f"measure both on the same, or leave it out with --metrics {others}"
            )


def _dataset(report: Record, record: Record) -> Record | None:
    section = (report.get("accuracy") or {}).get(record["id"]) or {}
    return section.get("dataset")
