"""A run that was interrupted anywhere gives a report that can be read."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gcpose_trt.benchmark.plan import Plan
from gcpose_trt.benchmark.reading import read_report
from gcpose_trt.benchmark.schema import KIND, SCHEMA, SECTIONS
from gcpose_trt.benchmark.sections import load_all
from tests.benchmark.stand_ins import Able, Hangar, Plain, plan_of, run_all
from tests.evaluation.small_coco import HEIGHT, WIDTH, make_document


@dataclass(frozen=True)
class Run:
    """A plan, the results of all units of all sections, and a file to write."""

    plan: Plan
    results: dict[str, Any] = field(repr=False)
    path: Path


@pytest.fixture(scope="module")
def everything(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """All sections.

    One contender is able, one plain, one fails. The same pictures are the clip and the images with annotations.
    """
    folder = tmp_path_factory.mktemp("everything")
    (folder / "clip").mkdir()
    for number in (1, 2, 3):
        cv2.imwrite(str(folder / "clip" / f"{number:04d}.png"), np.full((HEIGHT, WIDTH, 3), number, np.uint8))
    (folder / "people.json").write_text(json.dumps(make_document()))
    numbers = {"rounds": 2, "turn": 2, "people": (0, 1, 9), "batches": (1, 2), "streams": (1, 2), "starts": 2}
    data = {"images": str(folder / "clip"), "annotations": str(folder / "people.json")}
    plan = plan_of(["able", "plain", "bad"], folder / "clip", sections=SECTIONS, **numbers, **data)
    fleet = Hangar({"able": Able, "plain": Plain, "bad": lambda: Plain(fails=7)})
    results: dict[str, Any] = {}
    for module in load_all():
        results |= run_all(module, plan, fleet)
    return Run(plan, results, folder / "report.json")


@settings(deadline=None, max_examples=25, derandomize=True)
@given(data=st.data())
def test_any_units_make_sections_that_can_be_read(everything: Run, data: Any) -> None:
    """In particular none at all, and all of them."""
    plan, results, path = everything.plan, everything.results, everything.path
    chosen = data.draw(st.one_of(st.just(set(results)), st.sets(st.sampled_from(sorted(results)))))
    kept = {key: results[key] for key in sorted(chosen)}
    before = json.dumps(kept)
    contenders = [
        {"id": spec.id, "label": spec.label, "spec": spec.to_dict(), "status": "measured"} for spec in plan.contenders
    ]
    report = {"kind": KIND, "schema": SCHEMA, "complete": False, "environment": {}, "contenders": contenders}
    for module in load_all():
        made = module.assemble(plan, kept)
        report |= {module.NAME: made} if module.NAME in SECTIONS else made
    assert json.dumps(kept) == before, "putting together must not change the results"
    assert set(SECTIONS) <= set(report)
    path.write_text(json.dumps({**report, "units": kept}, allow_nan=False))
    assert read_report(path)["people"] == report["people"]
    for name in SECTIONS[:-1]:
        for entry in report[name].values():  # type: ignore[attr-defined]
            assert entry, f"{name} has an entry that says nothing"
