"""Contenders in turns, and what a unit keeps of one that fails or is left out."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from gcpose_trt.benchmark.contender import ContenderSpec
from gcpose_trt.benchmark.fleet import ContenderFailed
from gcpose_trt.benchmark.statistics import summary

FAILED, LEFT_OUT = "failed", "left_out"
Result = dict[str, Any]


def in_order(specs: Sequence[ContenderSpec], number: int) -> list[ContenderSpec]:
    """Return the contenders for turn or round `number`: every other one the other way round (A B, B A)."""
    return list(specs) if number % 2 == 0 else list(reversed(specs))


def attempt(
    results: dict[str, Result],
    spec: ContenderSpec,
    work: Callable[[], Result],
    merge: Callable[[Result, Result], Result] = lambda known, new: {**known, **new},
) -> None:
    """Do a contender's work and keep what it returns under its id; of one that fails, the reason.

    Args:
        results: of the unit. One that failed or was left out before has no further turn; what was measured before a
            contender failed is kept.
        spec: whose turn it is.
        work: returns what was measured.
        merge: puts together what is known of the contender from earlier turns and what is new.
    """
    known = results.get(spec.id, {})
    if FAILED in known or LEFT_OUT in known:
        return
    try:
        results[spec.id] = merge(known, work())
    except ContenderFailed as error:
        results[spec.id] = {**known, FAILED: str(error)}


def of_section(results: Mapping[str, Any], name: str) -> Iterator[tuple[int, Mapping[str, Result]]]:
    """Yield the number and the result of each unit "name/NUMBER" that is there, in order."""
    found = [(key.partition("/"), unit) for key, unit in results.items()]
    numbered = [(int(number), unit) for (section, _, number), unit in found if section == name]
    yield from sorted(numbered, key=lambda pair: pair[0])


def keep_reasons(section: dict[str, Any], unit: Mapping[str, Result]) -> None:
    """Put into a section why contenders failed or were left out in a unit."""
    for identity, result in unit.items():
        kept = {key: result[key] for key in (FAILED, LEFT_OUT) if key in result}
        if kept:
            section.setdefault(identity, {}).update(kept)


@dataclass
class Series:
    """Measurements of the same thing, each with its round and its frame (or whatever else differs in content)."""

    values: list[float] = field(default_factory=list)
    rounds: list[int] = field(default_factory=list)
    frames: list[int] = field(default_factory=list)

    def add(self, values: Sequence[float], number: int, frames: Sequence[int] | None = None) -> None:
        """Add what one round measured; without `frames` all are of the same one."""
        self.values += values
        self.rounds += [number] * len(values)
        self.frames += frames if frames is not None else [0] * len(values)

    def summary(self) -> dict[str, Any] | None:
        """Return SUMMARY of `schema`, None if nothing was measured."""
        return summary(self.values, self.rounds, self.frames) if self.values else None
