"""Time of a frame against the number of people in it.

A frame with exactly N people in it is not to be had for every N, so the contender is made to look at N boxes: the
detector runs once as always, the pose network on N boxes of assorted sizes. What a peer does cannot be steered like
that; those are left out.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from gcpose_trt.benchmark.contender import ContenderSpec
from gcpose_trt.benchmark.plan import Plan
from gcpose_trt.benchmark.schema import TIMED_FRAMES
from gcpose_trt.benchmark.section import Fleet, Unit
from gcpose_trt.benchmark.sections.turns import Result, Series, attempt, in_order, keep_reasons, of_section

NAME = "people"
REPEATS = 5  # of a number of people before the next number has its turn
STAGES = ("total", "detector", "pose")


def units(plan: Plan) -> list[Unit]:
    """Return one unit a turn; after all of them every number has been timed `TIMED_FRAMES` times at least."""
    if not plan.wants(NAME) or not plan.settings.people:
        return []
    count = plan.rounds * _turns(plan)
    return [
        Unit(f"{NAME}/{number}", f"people, turn {number + 1} of {count}", functools.partial(_turn, plan, number))
        for number in range(count)
    ]


def _turns(plan: Plan) -> int:
    """Return how many turns are a round."""
    return math.ceil(TIMED_FRAMES / plan.rounds / REPEATS)


def _turn(plan: Plan, number: int, fleet: Fleet) -> dict[str, Any]:
    """Let contenders and numbers of people take turns, so that a busy moment does not fall on one of them alone."""
    counts = sorted(set(plan.settings.people), reverse=number % 2 == 1)
    results: dict[str, Result] = {}
    for spec in in_order(plan.contenders, number):
        attempt(results, spec, functools.partial(_measure, plan, fleet, spec, counts))
    return results


def _measure(plan: Plan, fleet: Fleet, spec: ContenderSpec, counts: list[int]) -> Result:
    frame = plan.clip.indices[len(plan.clip.indices) // 2]
    return fleet.member(spec).ask(NAME, clip=plan.clip.path, frame=frame, counts=counts, repeats=REPEATS)


def assemble(plan: Plan, results: Mapping[str, dict[str, Any]]) -> dict[str, Any]:
    """Return each contender's times by number of people, and what a person more costs."""
    section: dict[str, Any] = {}
    gathered: dict[str, dict[int, dict[str, Series]]] = {}
    for number, unit in of_section(results, NAME):
        keep_reasons(section, unit)
        for identity, result in unit.items():
            if result.get("unreached"):
                section.setdefault(identity, {}).setdefault("unreached", {}).update(result["unreached"])
            for count, times in result.get("counts", {}).items():
                mine = gathered.setdefault(identity, {}).setdefault(int(count), {})
                for stage, values in times.items():
                    mine.setdefault(stage, Series()).add(values, number // _turns(plan))
    for identity, by_count in gathered.items():
        section.setdefault(identity, {}).update(_entry(by_count))
    return section


def _entry(by_count: Mapping[int, Mapping[str, Series]]) -> dict[str, Any]:
    counts = sorted(by_count)
    entry: dict[str, Any] = {"counts": counts}
    for stage in STAGES:
        entry[stage] = [by_count[count].get(stage, Series()).summary() for count in counts]
    return {**entry, "slope": slope(counts, [record and record["median"] for record in entry["total"]])}


def slope(counts: list[int], medians: list[float | None]) -> float | None:
    """Return the milliseconds that a person more costs, by least squares.

    Frames without people are left out: the pose network is not called for them, so that the step from none to one is
    not what a person costs. None if fewer than two numbers are left.
    """
    pairs = [(count, value) for count, value in zip(counts, medians, strict=True) if count >= 1 and value is not None]
    if len(pairs) < 2:
        return None
    people, milliseconds = np.array(pairs, np.float64).T
    return float(np.polyfit(people, milliseconds, 1)[0])
