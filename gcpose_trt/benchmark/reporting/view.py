"""A report as the tables and plots look at it: its contenders in order, and what each section has of them."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from gcpose_trt.benchmark.contender import STAGES
from gcpose_trt.benchmark.reporting.words import clean, look, number

COLOURS = 8  # told apart by colour-blind eyes; a ninth contender has the first's colour and another marker
WHY_NOT = {"failed": "failed", "left_out": "left out"}  # keys of a reason in a section, and words for them
Record = Mapping[str, Any]


@dataclass(frozen=True)
class Entry:
    """A contender of a report.

    Attributes:
        index: place in the report, from 0; gives its colour and its marker on the whole page.
        id: key in the sections.
        name: label, made unique by a number where two are the same.
        record: its part of `report["contenders"]`.
    """

    index: int
    id: str
    name: str
    record: Record = field(default_factory=dict, compare=False)

    @property
    def colour(self) -> int:
        """Number of its colour, 0 to `COLOURS` - 1."""
        return self.index % COLOURS

    @property
    def label(self) -> str:
        """Number and name: "2 mobile int8"."""
        return f"{self.index + 1} {self.name}"

    @property
    def side(self) -> float | None:
        """The longer side of its input in pixels; None where it is not said."""
        for words in (look(self.record, "spec", "size"), self.record.get("size")):
            sides = re.findall(r"\d{2,5}", words) if isinstance(words, str) else []
            if sides:
                return float(max(map(int, sides)))
        return None

    @property
    def family(self) -> str:
        """What it has in common with the same model in other sizes."""
        spec = look(self.record, "spec")
        known = {key: value for key, value in spec.items() if key != "size"} if isinstance(spec, Mapping) else self.id
        return repr(sorted(known.items()) if isinstance(known, dict) else known)

    @property
    def family_name(self) -> str:
        """Its name without the size."""
        return self.name.rsplit(" @", 1)[0]


class View:
    """Reads a report, complete or not; what is not there, or not as it should be, is None or left out."""

    def __init__(self, report: Record) -> None:
        self.report = report
        records = report.get("contenders")
        found = [record for record in records if isinstance(record, Mapping)] if isinstance(records, list) else []
        names = [clean(record.get("label") or record.get("id") or "contender", 90) or "contender" for record in found]
        often = Counter(names)
        seen: Counter[str] = Counter()
        self.entries: list[Entry] = []
        for index, (record, name) in enumerate(zip(found, names, strict=True)):
            seen[name] += 1
            unique = f"{name} ({seen[name]})" if often[name] > 1 else name
            self.entries.append(Entry(index, str(record.get("id", "")), unique, record))

    def get(self, *keys: str) -> Any:
        """Return what lies under the keys; None where a step is missing."""
        return look(self.report, *keys)

    def of(self, section: str) -> list[tuple[Entry, Record]]:
        """Return the contenders that a section has results of, in order."""
        records = self.get(section)
        if not isinstance(records, Mapping):
            return []
        pairs = [(entry, records.get(entry.id)) for entry in self.entries]
        return [(entry, record) for entry, record in pairs if isinstance(record, Mapping) and _has_result(record)]

    def name_of(self, identity: Any) -> str | None:
        """Return the name of the contender with this id."""
        return next((entry.name for entry in self.entries if entry.id == identity), None)

    @property
    def stages(self) -> list[str]:
        """The stages that any contender has, in order."""
        have = {stage for _, record in self.of("latency") for stage in _names(record.get("stages"))}
        return [stage for stage in STAGES if stage in have]

    @property
    def sessions(self) -> list[Record]:
        """The pieces of time in which the run was made."""
        sessions = self.get("sessions")
        return [item for item in sessions if isinstance(item, Mapping)] if isinstance(sessions, list) else []

    @property
    def families(self) -> list[list[Entry]]:
        """Contenders that differ in their size only, by size; groups of at least two that were timed."""
        timed = [entry for entry, _ in self.of("latency")]
        groups = [[entry for entry in timed if entry.family == name] for name in dict.fromkeys(e.family for e in timed)]
        sized = [sorted((e for e in group if e.side), key=lambda e: (e.side or 0, e.index)) for group in groups]
        return [group for group in sized if len({entry.side for entry in group}) > 1]

    @property
    def complete(self) -> bool:
        """Whether the run came to its end."""
        return self.report.get("complete") is True


def median(summary: Any) -> float | None:
    """Return the median of a SUMMARY; None where there is none."""
    return number(look(summary, "median"))


def bounds(summary: Any) -> tuple[float, float] | None:
    """Return the interval of a SUMMARY's median."""
    pair = look(summary, "ci95")
    if not isinstance(pair, (list, tuple)) or len(pair) != 2:
        return None
    low, high = map(number, pair)
    return None if low is None or high is None else (low, high)


def _has_result(record: Record) -> bool:
    return any(key not in WHY_NOT for key in record)


def _names(stages: Any) -> list[str]:
    return [name for name, summary in stages.items() if median(summary) is not None] if isinstance(stages, dict) else []
