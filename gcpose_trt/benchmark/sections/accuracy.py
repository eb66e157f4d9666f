"""COCO keypoint and box AP of every contender, each in a process of its own."""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from gcpose_trt.benchmark.contender import ContenderSpec
from gcpose_trt.benchmark.plan import Plan
from gcpose_trt.benchmark.section import Fleet, Unit
from gcpose_trt.benchmark.sections.turns import Result, attempt, keep_reasons

NAME = "accuracy"
# AP counts the doubtful people too. Ours as in `gcpose-trt eval`: below, hardly anybody is right. Scores of peers have
# scales of their own, on which as much might be lost.
MIN_SCORE, PEERS_MIN_SCORE = 0.05, 0.01


def units(plan: Plan) -> list[Unit]:
    """Return one unit a contender, once it is sure that they can be measured.

    Raises:
        GcposeError: the annotations or images cannot be used; now, and not after all other sections.
        MissingDependencyError: pycocotools is not installed.
    """
    if not plan.wants(NAME):
        return []
    check(plan)
    return [
        Unit(f"{NAME}/{spec.id}", f"accuracy of {spec.label}", functools.partial(_evaluation, plan, spec))
        for spec in plan.contenders
    ]


def check(plan: Plan) -> None:
    """Raise `GcposeError` if the annotations or images cannot be used; see `units`."""
    from gcpose_trt.evaluation import load_annotations
    from gcpose_trt.evaluation.coco import require_pycocotools

    require_pycocotools()
    images, file = _paths(plan)
    annotations = load_annotations(file)
    annotations.subset(annotations.image_ids[: plan.settings.max_images]).image_paths(images)


def _paths(plan: Plan) -> tuple[str, str]:
    assert plan.settings.images is not None and plan.settings.annotations is not None  # `plan.wants` says so
    return plan.settings.images, plan.settings.annotations


def _evaluation(plan: Plan, spec: ContenderSpec, fleet: Fleet) -> dict[str, Any]:
    results: dict[str, Result] = {}
    attempt(results, spec, functools.partial(_evaluate, plan, spec, fleet))
    return results


def _evaluate(plan: Plan, spec: ContenderSpec, fleet: Fleet) -> Result:
    images, annotations = _paths(plan)
    min_score = PEERS_MIN_SCORE if spec.peer else MIN_SCORE
    member = fleet.fresh(replace(spec, min_score=min_score))
    try:
        answer = member.ask(NAME, images=images, annotations=annotations, max_images=plan.settings.max_images)
    finally:
        fleet.end(member)
    file = Path(annotations)
    dataset = {"name": file.stem, "sha256": hashlib.sha256(file.read_bytes()).hexdigest()}
    return {**answer, "min_score": min_score, "dataset": dataset}


def assemble(plan: Plan, results: Mapping[str, dict[str, Any]]) -> dict[str, Any]:
    """Return each contender's metrics."""
    section: dict[str, Any] = {}
    for spec in plan.contenders:
        unit = results.get(f"{NAME}/{spec.id}", {})
        keep_reasons(section, unit)
        if "keypoints" in unit.get(spec.id, {}):
            section[spec.id] = unit[spec.id]
    return section
