"""What the reader of a comparison should know beside the numbers: what else differs, and what is in one report only."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from gcpose_trt.benchmark.comparison.pairs import Pair, Record, different_machines, machine
from gcpose_trt.benchmark.comparison.values import Value, section_of
from gcpose_trt.benchmark.comparison.verdicts import IMPROVEMENT, REGRESSION, Change
from gcpose_trt.benchmark.environment.differences import changes as happenings

Values = Mapping[tuple[str, str], Value]

_FACTS = {
    "governor": "the governor",
    "power_mode": "the power mode",
    "on_battery": "running on battery",
    "driver": "the driver",
    "container": "the container",
    "hypervisor": "the virtual machine",
    "os": "the system",
    "kernel": "the kernel",
}
# What gives average precision another meaning on the same images.
_ACCURACY_TERMS = {"images": "the number of images", "rank": "the order of people", "min_score": "the least score"}


def warnings(a: Record, b: Record) -> Iterator[str]:
    """Yield what makes the numbers of two reports less than they seem."""
    if different_machines(a, b):
        yield f"TIMES ARE OF DIFFERENT MACHINES. A: {machine(a)}. B: {machine(b)}."
    for name, report in (("A", a), ("B", b)):
        if not report["complete"]:
            yield f"{name} is partial: its run was interrupted. No time of it counts as better or worse."
    for name, report in (("A", a), ("B", b)):
        for session in report.get("sessions") or ():
            for sentence in happenings(session.get("before") or {}, session.get("after")):
                yield f"{name}: {sentence}"


def differences(a: Record, b: Record) -> Iterator[str]:
    """Yield what else is different about two runs, and may be why numbers changed."""
    if a.get("commit") != b.get("commit"):
        yield f"commit: {a.get('commit') or 'unknown'} in A, {b.get('commit') or 'unknown'} in B"
    first, second = a["environment"], b["environment"]
    for key, words in _FACTS.items():
        if first.get(key) != second.get(key):
            yield f"{words}: {_word(first.get(key))} in A, {_word(second.get(key))} in B"
    old, new = first.get("versions") or {}, second.get("versions") or {}
    for package in sorted({*old, *new}):
        if old.get(package) != new.get(package):
            yield f"{package}: {_word(old.get(package))} in A, {_word(new.get(package))} in B"


def _word(value: Any) -> str:
    return {None: "none", True: "yes", False: "no"}.get(value, value) if not isinstance(value, dict) else "other"


def same_frames(a: Record, b: Record, pair: Pair) -> bool:
    """Say whether a contender looked at the same frames of the clip in both reports."""
    first, second = (_frames(report, record) for report, record in ((a, pair.a), (b, pair.b)))
    if first and second:
        return first == second
    return bool((a.get("clip") or {}).get("frames") == (b.get("clip") or {}).get("frames"))


def _frames(report: Record, record: Record) -> set[int]:
    section = (report.get("latency") or {}).get(record["id"]) or {}
    return set((section.get("samples") or {}).get("frame") or ())


def alone(a: Record, b: Record, pairs: Sequence[Pair]) -> Iterator[str]:
    """Yield which measured contenders have no partner."""
    for name, report, paired in (
        ("A", a, {pair.a["id"] for pair in pairs}),
        ("B", b, {pair.b["id"] for pair in pairs}),
    ):
        for record in report["contenders"]:
            if record["id"] not in paired and record["status"] == "measured":
                yield f"{record['label']} is in {name} only"


def of_pair(pair: Pair, report_a: Record, report_b: Record, a: Values, b: Values) -> Iterator[str]:
    """Yield what is not alike about a contender in both reports."""
    states = pair.a["status"], pair.b["status"]
    for name, record, state, other in (("A", pair.a, *states), ("B", pair.b, *states[::-1])):
        if state != "measured" and other == "measured":
            yield f"{pair.label} was {state} in {name}: {record.get('reason') or 'no reason given'}"
    if states == ("measured", "measured"):
        if pair.a.get("weights_sha256") != pair.b.get("weights_sha256"):
            yield f"{pair.label}: its weights differ"
        if not same_frames(report_a, report_b, pair):
            yield f"{pair.label}: other frames of the clip in A than in B, so that less can be said for certain"
        if pair.a.get("version") != pair.b.get("version"):
            yield f"{pair.label}: {pair.a.get('version')} in A, {pair.b.get('version')} in B"
        for name, only in (("A", [a[key] for key in a if key not in b]), ("B", [b[key] for key in b if key not in a])):
            if only:
                yield f"{pair.label}: in {name} only: {', '.join(value.name for value in only)}"


def accuracy_terms(a: Record, b: Record, pair: Pair) -> str:
    """Return why average precision of a pair cannot be compared although the images are the same, or ""."""
    first, second = ((report.get("accuracy") or {}).get(one["id"]) or {} for report, one in ((a, pair.a), (b, pair.b)))
    if not first or not second:
        return ""
    for key, words in _ACCURACY_TERMS.items():
        if first.get(key) != second.get(key):
            return f"{pair.label}: accuracy not compared, {words} differs ({first.get(key)} and {second.get(key)})"
    return ""


def lost(pair: Pair, report: Record, a: Values) -> Iterator[tuple[str, str, str]]:
    """Yield (contender, section, reason) of what A has measured and failed in B."""
    if pair.b["status"] == "failed" and pair.a["status"] == "measured":
        yield pair.label, "all", pair.b.get("reason") or "no reason given"
        return
    for name in dict.fromkeys(section_of(metric) for metric, _ in a):
        reason = ((report.get(name or "") or {}).get(pair.b["id"]) or {}).get("failed")
        if reason:
            yield pair.label, str(name), str(reason)


def moved_controls(pairs: Sequence[Pair], changes: Sequence[Change]) -> Iterator[str]:
    """Yield which peers changed their time although nothing about them did: then the machine is what changed."""
    for pair in pairs:
        alike = all(pair.a.get(key) == pair.b.get(key) for key in ("version", "weights_sha256"))
        if not pair.a["spec"].get("peer") or not alike:
            continue
        for change in changes:
            moved = change.verdict in (REGRESSION, IMPROVEMENT)
            if moved and change.contender == pair.label and change.name == "end to end":
                yield (
                    f"{pair.label} is the same in both runs and yet took {change.ratio or 0:.2f} times as long: the "
                    "machine may have been faster or slower as a whole."
                )
