"""Parity of contenders, and frames to look at."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import cv2
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gcpose_trt.assets import SAMPLE
from gcpose_trt.benchmark.contender import ContenderSpec
from gcpose_trt.benchmark.opening import Ours
from gcpose_trt.benchmark.operations import frames
from gcpose_trt.benchmark.plan import Case, Plan
from gcpose_trt.benchmark.sections import poses
from gcpose_trt.pose.types import PoseFrame
from tests.benchmark.stand_ins import Hangar, Plain, plan_of, run_all

BOTH = ("parity", "samples")


class Moved(Plain):
    """Its joints are two pixels off."""

    def __init__(self, **changes: Any) -> None:
        super().__init__(**changes)
        self.moved = 2.0


def test_each_is_compared_with_the_first_of_its_weights_and_size(pictures: Path) -> None:
    """In the order of the plan; others are compared with nobody."""
    plan = plan_of(["first", "other", "small", "second", "third"], pictures, sections=BOTH)
    makers: dict[str, Any] = {
        "first": Plain,
        "other": lambda: Plain(weights_sha256="1" * 64),
        "small": lambda: Plain(size="long side 32"),
        "second": lambda: Moved(precision="int8"),
        "third": lambda: Plain(size="64x64"),  # the same pixels as a long side of 64
    }
    made = poses.assemble(plan, run_all(poses, plan, Hangar(makers)))
    first, _, _, second, third = (spec.id for spec in plan.contenders)
    assert list(made["parity"]) == [second, third]
    assert made["parity"][second]["reference"] == made["parity"][third]["reference"] == first
    assert made["parity"][second]["joint_pixels"]["median"] == pytest.approx(2.0)
    assert made["parity"][third]["joint_pixels"]["max"] == 0.0
    assert made["parity"][second]["people"] == 6


def test_samples_hold_everybodys_poses(pictures: Path) -> None:
    """As pose records, by the number of the frame in the clip."""
    plan = plan_of(["a", "bad", "b"], pictures, sections=("samples",))
    made = poses.assemble(plan, run_all(poses, plan, Hangar({"a": Plain, "bad": lambda: Plain(fails=3), "b": Moved})))
    a, _, b = (spec.id for spec in plan.contenders)
    assert made["parity"] == {}
    assert [sample["frame"] for sample in made["samples"]] == [0, 1, 2]
    for sample in made["samples"]:
        assert list(sample["poses"]) == [a, b]
        assert len(PoseFrame.from_dict(sample["poses"][a])) == 1


def test_who_fails_is_recorded(pictures: Path) -> None:
    """Instead of numbers."""
    plan = plan_of(["a", "bad"], pictures, sections=("parity",))
    made = poses.assemble(plan, run_all(poses, plan, Hangar({"a": Plain, "bad": lambda: Plain(fails=3)})))
    assert made == {"parity": {plan.contenders[1].id: {"failed": "ValueError: enough is enough"}}, "samples": []}


@settings(deadline=None, max_examples=50, derandomize=True)
@given(counts=st.lists(st.integers(0, 5), min_size=1, max_size=50))
def test_the_fullest_frames(counts: list[int]) -> None:
    """The best is among them, and they are no neighbours where there is room."""
    places = poses.fullest(counts)
    assert places == sorted(set(places))
    assert counts.index(max(counts)) in places
    assert len(places) == min(poses.SAMPLES, len(counts)) or len(counts) > poses.SAMPLES
    assert all(later - earlier >= max(1, len(counts) // 6) for earlier, later in itertools.pairwise(places))
    if len(counts) >= 6 * poses.SAMPLES:
        assert len(places) == poses.SAMPLES


def test_the_shipped_model_and_its_int8_form_agree(tmp_path: Path) -> None:
    """Real poses, two frames of the sample clip."""
    for number, frame in enumerate(frames.read(str(SAMPLE), [0, 5])):
        cv2.imwrite(str(tmp_path / f"{number}.png"), frame)
    plan = plan_of([], tmp_path, sections=BOTH)
    specs = [ContenderSpec("mobile", precision=precision, size="320", threads=1) for precision in ("fp32", "int8")]
    plan = Plan(plan.settings, plan.clip, tuple(Case(spec) for spec in specs))

    class Two(Hangar):
        def member(self, spec: ContenderSpec) -> Any:
            self._makers[spec.model] = lambda: Ours(spec)
            self.members.pop(spec.model, None)
            return super().member(spec)

    made = poses.assemble(plan, run_all(poses, plan, Two({})))
    record = made["parity"][specs[1].id]
    assert record["reference"] == specs[0].id
    assert record["people"] - record["missing"] >= 2
    assert 0 < record["joint_pixels"]["median"] < 20
    assert 0 < record["score_difference"] < 0.5
    assert len(made["samples"]) == 2


def test_nothing_to_do(pictures: Path) -> None:
    """Neither part is asked for."""
    assert poses.units(plan_of(["a"], pictures, sections=("latency",))) == []
