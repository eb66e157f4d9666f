"""Average precision in a report."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from gcpose_trt.benchmark.plan import Plan
from gcpose_trt.benchmark.sections import accuracy
from gcpose_trt.errors import GcposeError
from tests.benchmark.stand_ins import Hangar, Plain, plan_of, run_all
from tests.evaluation.small_coco import HEIGHT, WIDTH, Oracle, make_document


class Knowing(Plain):
    """Knows the people of the small data set."""

    def run(self, frame: Any) -> Any:
        """Recognise the image."""
        return Oracle(make_document())(frame), {}


@pytest.fixture
def data(tmp_path: Path) -> dict[str, str]:
    """The small data set on disk, as the settings name it."""
    (tmp_path / "images").mkdir()
    for number in (1, 2, 3):
        path = tmp_path / "images" / f"{number:04d}.png"
        cv2.imwrite(str(path), np.full((HEIGHT, WIDTH, 3), number, np.uint8))
    (tmp_path / "people.json").write_text(json.dumps(make_document()))
    return {"images": str(tmp_path / "images"), "annotations": str(tmp_path / "people.json")}


def plan_with(data: dict[str, str], clip: Path, names: tuple[str, ...] = ("a",), **changes: Any) -> Plan:
    """Return a plan with the data set."""
    return plan_of(names, clip, sections=("accuracy",), **{**data, **changes})


def test_who_knows_everybody_has_all_of_it(data: dict[str, str], pictures: Path) -> None:
    """With doubtful people let through, in a process that is ended, under the id of the contender as it was given."""
    plan = plan_with(data, pictures, ("knowing", "plain", "bad"))
    fleet = Hangar({"knowing": Knowing, "plain": Plain, "bad": lambda: Plain(fails=1)})
    section = accuracy.assemble(plan, run_all(accuracy, plan, fleet))
    knowing, plain, bad = (section[spec.id] for spec in plan.contenders)
    assert knowing["keypoints"]["AP"] == pytest.approx(1.0)
    assert knowing["boxes"]["AP"] == pytest.approx(1.0)
    assert (knowing["images"], knowing["people"], knowing["found"], knowing["rank"]) == (3, 3, 3, "box")
    digest = hashlib.sha256(Path(data["annotations"]).read_bytes()).hexdigest()
    assert knowing["dataset"] == {"name": "people", "sha256": digest}
    assert knowing["min_score"] == 0.05
    assert plain["keypoints"]["AP"] < 0.1
    assert bad == {"failed": "ValueError: enough is enough"}
    assert [member.spec for member in fleet.started] == [replace(spec, min_score=0.05) for spec in plan.contenders]
    assert fleet.ended == fleet.started


def test_doubtful_people_of_peers_count_on_their_own_scale(data: dict[str, str], pictures: Path) -> None:
    """What is unlikely by our scores may be worth keeping by theirs."""
    plan = plan_with(data, pictures)
    spec = replace(plan.contenders[0], peer="somebody")
    plan = replace(plan, cases=(replace(plan.cases[0], spec=spec),))
    fleet = Hangar({"a": Knowing})
    assert accuracy.assemble(plan, run_all(accuracy, plan, fleet))[spec.id]["min_score"] == 0.01
    assert [member.spec.min_score for member in fleet.started] == [0.01]


def test_the_first_images_only(data: dict[str, str], pictures: Path) -> None:
    """As `gcpose-trt eval --max-images`."""
    plan = plan_with(data, pictures, max_images=1)
    (entry,) = accuracy.assemble(plan, run_all(accuracy, plan, Hangar({"a": Knowing}))).values()
    assert (entry["images"], entry["people"], entry["found"]) == (1, 2, 2)


@pytest.mark.parametrize("fault", ["no images", "an image missing", "half annotations"])
def test_a_data_set_at_fault_is_found_before_anything_runs(data: dict[str, str], pictures: Path, fault: str) -> None:
    """A line, not hours later a contender that failed."""
    if fault == "no images":
        data["images"] += "-elsewhere"
    elif fault == "an image missing":
        (Path(data["images"]) / "0002.png").unlink()
    else:
        path = Path(data["annotations"])
        path.write_text(path.read_text()[:100])
    with pytest.raises(GcposeError) as error:
        accuracy.units(plan_with(data, pictures))
    assert "\n" not in str(error.value)
    assert ";" in str(error.value)


def test_images_that_are_not_asked_for_may_be_missing(data: dict[str, str], pictures: Path) -> None:
    """Of a large data set somebody may have the first ones."""
    (Path(data["images"]) / "0003.png").unlink()
    assert len(accuracy.units(plan_with(data, pictures, max_images=2))) == 1


def test_without_a_data_set(pictures: Path) -> None:
    """There is nothing to do."""
    assert accuracy.units(plan_of(["a"], pictures, sections=("accuracy",))) == []
