"""What the contenders find: a few frames to look at, and whether backends and precisions of a model agree.

All of them run the clip's frames once more, untimed.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from typing import Any

from gcpose_trt.benchmark.contender import ContenderSpec
from gcpose_trt.benchmark.plan import Plan
from gcpose_trt.benchmark.section import Fleet, Unit
from gcpose_trt.benchmark.sections.agreement import agreement, same_input
from gcpose_trt.benchmark.sections.turns import Result, attempt, keep_reasons
from gcpose_trt.pose.types import PoseFrame

NAME = "poses"
PARTS = ("parity", "samples")
SAMPLES = 3
_APART = 6  # two frames to look at are at least this part of the clip's frames from each other
_FACTS = ("weights_sha256", "size", "keypoint_threshold")


def units(plan: Plan) -> list[Unit]:
    """Return one unit a contender."""
    if not any(plan.wants(part) for part in PARTS):
        return []
    return [
        Unit(f"{NAME}/{spec.id}", f"poses of {spec.label}", functools.partial(_poses, plan, spec))
        for spec in plan.contenders
    ]


def _poses(plan: Plan, spec: ContenderSpec, fleet: Fleet) -> dict[str, Any]:
    results: dict[str, Result] = {}
    attempt(results, spec, functools.partial(_look, plan, spec, fleet))
    return results


def _look(plan: Plan, spec: ContenderSpec, fleet: Fleet) -> Result:
    member = fleet.member(spec)
    answer = member.ask(NAME, clip=plan.clip.path, indices=list(plan.clip.indices))
    return {**answer, "info": {name: member.info[name] for name in _FACTS}}


def assemble(plan: Plan, results: Mapping[str, dict[str, Any]]) -> dict[str, Any]:
    """Return the parts of the report that come from poses: "parity" by contender, and the list "samples"."""
    failed: dict[str, Any] = {}
    found: dict[str, list[PoseFrame]] = {}
    facts: dict[str, dict[str, Any]] = {}
    for spec in plan.contenders:
        unit = results.get(f"{NAME}/{spec.id}", {})
        keep_reasons(failed, unit)
        if "frames" in unit.get(spec.id, {}):
            found[spec.id] = [PoseFrame(**record) for record in unit[spec.id]["frames"]]
            facts[spec.id] = unit[spec.id]["info"]
    return {
        "parity": {**_parity(plan, found, facts), **failed} if plan.wants("parity") else {},
        "samples": _samples(plan, found) if plan.wants("samples") else [],
    }


def _parity(
    plan: Plan, found: Mapping[str, list[PoseFrame]], facts: Mapping[str, Mapping[str, Any]]
) -> dict[str, dict[str, Any]]:
    """Compare each contender with the first one of the same weights that sees frames in the same size.

    A model's INT8 form names the weights that it was made from, so it has them too.
    """
    records: dict[str, dict[str, Any]] = {}
    frame = (plan.clip.height, plan.clip.width)
    for identity in found:
        mine = facts[identity]
        for first in found:
            theirs = facts[first]
            if mine["weights_sha256"] != theirs["weights_sha256"] or not same_input(
                mine["size"], theirs["size"], frame
            ):
                continue
            if first != identity:
                compared = agreement(found[first], found[identity], theirs["keypoint_threshold"])
                records[identity] = {"reference": first, **compared}
            break
    return records


def _samples(plan: Plan, found: Mapping[str, list[PoseFrame]]) -> list[dict[str, Any]]:
    """Return the frames with most people, by everybody's count, in the clip's order."""
    if not found:
        return []
    counts = [sum(len(poses[place]) for poses in found.values()) for place in range(len(plan.clip.indices))]
    return [
        {
            "frame": plan.clip.indices[place],
            "poses": {identity: poses[place].to_dict() for identity, poses in found.items()},
        }
        for place in fullest(counts)
    ]


def fullest(counts: Sequence[int]) -> list[int]:
    """Return the places of up to `SAMPLES` frames with most people, ascending.

    Neighbours look alike, so the next best is taken that is not close to those chosen; of equal ones the earlier.
    """
    chosen: list[int] = []
    apart = len(counts) // _APART
    for place in sorted(range(len(counts)), key=lambda place: -counts[place]):
        if len(chosen) < SAMPLES and all(abs(place - other) >= max(1, apart) for other in chosen):
            chosen.append(place)
    return sorted(chosen)
