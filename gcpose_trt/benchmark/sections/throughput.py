"""Frames a second: with several frames a call, and with several streams of frames at once.

Streams are threads of one process that share one contender. Each case runs the same frames, some at a time; cases and
contenders take turns, and every round runs all frames once, so that a median and a spread exist.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator, Mapping
from typing import Any

from gcpose_trt.benchmark.contender import ContenderSpec
from gcpose_trt.benchmark.plan import Plan
from gcpose_trt.benchmark.section import Fleet, Unit
from gcpose_trt.benchmark.sections.turns import LEFT_OUT, Result, Series, attempt, in_order, keep_reasons, of_section

NAME = "throughput"
WHAT = (
    "from frames in memory to their poses, preparation and download included, decoding and drawing left out; streams "
    "are threads of one process that share the model, each call with the contender's own number of threads"
)
_KINDS = {"batch": "batches", "streams": "streams"}  # name of a case's number, and of the list in the report


def units(plan: Plan) -> list[Unit]:
    """Return one unit for some frames in a row, as many as a turn has, in each round."""
    if not plan.wants(NAME) or not list(_cases(plan)):
        return []
    count = plan.rounds * len(_windows(plan))
    return [
        Unit(f"{NAME}/{number}", f"throughput, turn {number + 1} of {count}", functools.partial(_turn, plan, number))
        for number in range(count)
    ]


def _windows(plan: Plan) -> list[list[int]]:
    indices, turn = plan.clip.indices, plan.settings.turn
    return [list(indices[start : start + turn]) for start in range(0, len(indices), turn)]


def _cases(plan: Plan) -> Iterator[tuple[str, int]]:
    for kind, numbers in (("batch", plan.settings.batches), ("streams", plan.settings.streams)):
        for number in sorted(set(numbers)):
            yield kind, number


def _turn(plan: Plan, number: int, fleet: Fleet) -> dict[str, Any]:
    results: dict[str, Result] = {}
    windows, cases = _windows(plan), list(_cases(plan))
    round_, place = divmod(number, len(windows))
    for case in cases if (round_ + place) % 2 == 0 else cases[::-1]:  # the same frames the other way in the next round
        for spec in in_order(plan.contenders, round_ + place):
            attempt(results, spec, functools.partial(_measure, plan, fleet, spec, case, windows[place]))
    return results


def _measure(plan: Plan, fleet: Fleet, spec: ContenderSpec, case: tuple[str, int], window: list[int]) -> Result:
    kind, size = case
    answer = fleet.member(spec).ask(NAME, clip=plan.clip.path, indices=window, **{kind: size})
    return {f"{kind} {size}": answer}  # a case may be left out without the contender's being so


def assemble(plan: Plan, results: Mapping[str, dict[str, Any]]) -> dict[str, Any]:
    """Return each contender's frames a second by batch size and by number of streams."""
    section: dict[str, Any] = {}
    gathered: dict[str, dict[tuple[str, int], Series]] = {}
    windows = len(_windows(plan))
    for number, unit in of_section(results, NAME):
        keep_reasons(section, unit)
        for identity, result in unit.items():
            for kind, size in _cases(plan):
                name = f"{kind} {size}"
                case = result.get(name, {})
                if LEFT_OUT in case:
                    section.setdefault(identity, {}).setdefault("left_out_cases", {})[name] = case[LEFT_OUT]
                if "fps" in case:
                    series = gathered.setdefault(identity, {}).setdefault((kind, size), Series())
                    series.add([case["fps"]], number // windows, [number % windows])
    for identity, cases in gathered.items():
        entry = section.setdefault(identity, {})
        entry["what"] = WHAT
        for kind, plural in _KINDS.items():
            entry[plural] = [
                {kind: size, "fps": series.summary()} for (name, size), series in sorted(cases.items()) if name == kind
            ]
    return section
