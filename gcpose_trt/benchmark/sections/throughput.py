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
from gcpose_trt.benchmark.sections.turns import (
    LEFT_OUT,
    Result,
    Series,
    attempt,
    in_order,
    keep_reasons,
    of_section,
)

NAME = "throughput"
WHAT = (
    "from frames in memory to their poses, preparation and download included, decoding and drawing left out; streams "
    "are threads of one process that share the model, each call with the contender's own number of threads"
)
_KINDS = {"batch": "batches", "streams": "streams"}  # name of a case's number, and of the list in the report


def units(plan: Plan) -> list[Unit]:
    """Return one unit a round."""
    if not plan.wants(NAME) or not list(_cases(plan)):
        return []
    return [
        Unit(
            f"{NAME}/{number}",
            f"throughput, round {number + 1} of {plan.rounds}",
            functools.partial(_round, plan, number),
        )
        for number in range(plan.rounds)
    ]


def _cases(plan: Plan) -> Iterator[tuple[str, int]]:
    for kind, numbers in (("batch", plan.settings.batches), ("streams", plan.settings.streams)):
        for number in sorted(set(numbers)):
            yield kind, number


def _round(plan: Plan, number: int, fleet: Fleet) -> dict[str, Any]:
    results: dict[str, Result] = {}
    indices, turn = plan.clip.indices, plan.settings.turn
    windows = [list(indices[start : start + turn]) for start in range(0, len(indices), turn)]
    cases = list(_cases(plan))
    for place, window in enumerate(windows):
        for case in cases if (number + place) % 2 == 0 else cases[::-1]:
            for spec in in_order(plan.contenders, number + place):
                work = functools.partial(_measure, plan, fleet, spec, case, place, window)
                attempt(results, spec, work, functools.partial(_merge, case))
    return results


def _measure(
    plan: Plan, fleet: Fleet, spec: ContenderSpec, case: tuple[str, int], place: int, window: list[int]
) -> Result:
    answer = fleet.member(spec).ask(NAME, clip=plan.clip.path, indices=window, **{case[0]: case[1]})
    return {"fps": answer.get("fps"), "place": place, LEFT_OUT: answer.get(LEFT_OUT)}


def _merge(case: tuple[str, int], known: Result, new: Result) -> Result:
    """Return a contender's cases with one window more.

    {"batch 8": {"fps": [...], "places": [...]}, "streams 2": {"left_out": reason}}, the places saying which frames.
    """
    name = f"{case[0]} {case[1]}"
    if new[LEFT_OUT] is not None:
        return {**known, name: {LEFT_OUT: new[LEFT_OUT]}}
    mine = known.get(name, {})
    fps, places = mine.get("fps", []), mine.get("places", [])
    return {**known, name: {"fps": [*fps, new["fps"]], "places": [*places, new["place"]]}}


def assemble(plan: Plan, results: Mapping[str, dict[str, Any]]) -> dict[str, Any]:
    """Return each contender's frames a second by batch size and by number of streams."""
    section: dict[str, Any] = {}
    gathered: dict[str, dict[tuple[str, int], Series]] = {}
    for number, unit in of_section(results, NAME):
        keep_reasons(section, unit)
        for identity, result in unit.items():
            for kind, size in _cases(plan):
                name = f"{kind} {size}"
                case = result.get(name, {})
                if LEFT_OUT in case:
                    section.setdefault(identity, {}).setdefault("left_out_cases", {})[name] = case[LEFT_OUT]
                if case.get("fps"):
                    series = gathered.setdefault(identity, {}).setdefault((kind, size), Series())
                    series.add(case["fps"], number, case["places"])
    for identity, cases in gathered.items():
        entry = section.setdefault(identity, {})
        entry["what"] = WHAT
        for kind, plural in _KINDS.items():
            entry[plural] = [
                {kind: size, "fps": series.summary()} for (name, size), series in sorted(cases.items()) if name == kind
            ]
    return section
