"""Time against the number of people."""

from __future__ import annotations

from pathlib import Path

import pytest

from gcpose_trt.benchmark.schema import TIMED_FRAMES
from gcpose_trt.benchmark.sections import people
from tests.benchmark.stand_ins import Able, Hangar, Plain, plan_of, run_all


def test_every_number_is_timed_often_enough_and_in_turns(pictures: Path) -> None:
    """Contenders and numbers change their order from turn to turn."""
    plan = plan_of(["a", "b"], pictures, sections=("people",), people=(2, 0, 1), rounds=2)
    fleet = Hangar({"a": Able, "b": Able})
    results = run_all(people, plan, fleet)
    section = people.assemble(plan, results)
    for spec in plan.contenders:
        entry = section[spec.id]
        assert entry["counts"] == [0, 1, 2]
        assert all(record["count"] >= TIMED_FRAMES for record in entry["total"])
        assert all(record["blocks"] == 2 for record in entry["total"])
        assert [record["median"] for record in entry["detector"]] == [1.0, 1.0, 1.0]
        assert entry["pose"][0] is None
        assert [record["median"] for record in entry["pose"][1:]] == pytest.approx([0.1, 0.2])
    a_turn = [number for number in (0, 1, 2) for _ in range(1 + people.REPEATS)]
    assert fleet.members["a"].contender.calls[: 2 * len(a_turn)] == [*a_turn, *a_turn[::-1]]


def test_what_cannot_be_made_is_left_out_with_the_reason(pictures: Path) -> None:
    """A contender that cannot be steered, and a number that one cannot reach."""
    plan = plan_of(["able", "plain"], pictures, sections=("people",), people=(1, 9), rounds=1)
    section = people.assemble(plan, run_all(people, plan, Hangar({"able": Able, "plain": Plain})))
    able, plain = (section[spec.id] for spec in plan.contenders)
    assert able["counts"] == [1]
    assert able["unreached"] == {"9": "four is a crowd; ask for fewer"}
    assert able["slope"] is None
    assert list(plain) == ["left_out"]


def test_slope() -> None:
    """From one person on: frames without people skip a network."""
    assert people.slope([0, 1, 2, 4], [3.0, 10.0, 12.0, 16.0]) == pytest.approx(2.0)
    assert people.slope([0, 1], [3.0, 10.0]) is None
    assert people.slope([0, 1, 2, 3], [3.0, None, 10.0, 13.0]) == pytest.approx(3.0)
    assert people.slope([], []) is None


def test_nothing_to_do(pictures: Path) -> None:
    """The section is not asked for, or no number is."""
    assert people.units(plan_of(["a"], pictures, sections=("latency",))) == []
    assert people.units(plan_of(["a"], pictures, sections=("people",), people=())) == []
