"""From nothing to the first poses: a new process each time.

The times of one start follow each other: they add up to what a user waits for. "import" is from the parent's order to
start the process until Python and all libraries are there, "load" until the model is ready, "first_frame" from the
first frame to its poses; "steady" is what later frames take. Files have been read before, so they come from memory and
not from the disk.
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Mapping
from typing import Any

from gcpose_trt.benchmark.contender import ContenderSpec
from gcpose_trt.benchmark.plan import Plan
from gcpose_trt.benchmark.section import Fleet, Unit
from gcpose_trt.benchmark.sections.turns import Result, Series, attempt, in_order, keep_reasons, of_section

NAME = "start"
WHAT = (
    "host: the most that the process held until it had run {frames} frames, with Python, libraries, the model, the "
    "decoder of the clip and files mapped into memory; GPU: what the driver counts for the process after those frames, "
    "with its context"
)
_STEADY = 10
_ONCE = ("import", "load", "first_frame", "host_peak_bytes", "gpu_peak_bytes")


def units(plan: Plan) -> list[Unit]:
    """Return one unit a start: every contender is started once."""
    if not plan.wants(NAME):
        return []
    count = plan.settings.starts
    return [
        Unit(f"{NAME}/{number}", f"start {number + 1} of {count}", functools.partial(_starts, plan, number))
        for number in range(count)
    ]


def _starts(plan: Plan, number: int, fleet: Fleet) -> dict[str, Any]:
    results: dict[str, Result] = {}
    for spec in in_order(plan.contenders, number):
        attempt(results, spec, functools.partial(_start, plan, fleet, spec))
    return results


def _indices(plan: Plan) -> list[int]:
    return list(itertools.islice(itertools.cycle(plan.clip.indices), 1 + _STEADY))


def _start(plan: Plan, fleet: Fleet, spec: ContenderSpec) -> Result:
    member = fleet.fresh(spec)
    try:
        answer = member.ask(NAME, clip=plan.clip.path, indices=_indices(plan))
    finally:
        fleet.end(member)
    opened = member.opened
    return {"import": opened["process"] + opened["import"], "load": opened["load"], **answer}


def assemble(plan: Plan, results: Mapping[str, dict[str, Any]]) -> dict[str, Any]:
    """Return each contender's times and memory over all starts that there were."""
    section: dict[str, Any] = {}
    series: dict[str, dict[str, Series]] = {}
    reasons: dict[str, str | None] = {}
    for number, unit in of_section(results, NAME):
        keep_reasons(section, unit)
        for identity, result in unit.items():
            if "first_frame" not in result:
                continue
            mine = series.setdefault(identity, {name: Series() for name in (*_ONCE, "steady")})
            for name in _ONCE:
                if result[name] is not None:
                    mine[name].add([result[name]], number)
            mine["steady"].add(result["steady"], number, _indices(plan)[1:])
            reasons[identity] = result["gpu_reason"]
    for identity, mine in series.items():
        entry: dict[str, Any] = {name: one.summary() for name, one in mine.items()}
        known = entry["gpu_peak_bytes"] is not None
        entry |= {"gpu_reason": None if known else reasons[identity], "what": WHAT.format(frames=1 + _STEADY)}
        section.setdefault(identity, {}).update(entry)
    return section
