"""Frames a second."""

from __future__ import annotations

from pathlib import Path

from gcpose_trt.benchmark.sections import throughput
from tests.benchmark.stand_ins import Able, Hangar, Plain, plan_of, run_all


def test_every_case_has_a_value_a_window_and_round(pictures: Path) -> None:
    """Six frames in turns of four are two windows."""
    plan = plan_of(["a"], pictures, sections=("throughput",), batches=(4, 1), streams=(2,), rounds=3, turn=4)
    section = throughput.assemble(plan, run_all(throughput, plan, Hangar({"a": Able})))
    entry = section[plan.contenders[0].id]
    assert [record["batch"] for record in entry["batches"]] == [1, 4]
    assert [record["streams"] for record in entry["streams"]] == [2]
    for record in (*entry["batches"], *entry["streams"]):
        assert record["fps"]["count"] == 6
        assert record["fps"]["blocks"] == 3
        assert record["fps"]["min"] > 0
    assert "left_out_cases" not in entry
    assert "decoding" in entry["what"]


def test_who_takes_one_frame_at_a_time_is_measured_with_that(pictures: Path) -> None:
    """The other cases have the reason."""
    plan = plan_of(["plain"], pictures, sections=("throughput",), batches=(1, 2), streams=(1, 2), rounds=1)
    section = throughput.assemble(plan, run_all(throughput, plan, Hangar({"plain": Plain})))
    entry = section[plan.contenders[0].id]
    assert [record["batch"] for record in entry["batches"]] == [1]
    assert [record["streams"] for record in entry["streams"]] == [1]
    assert sorted(entry["left_out_cases"]) == ["batch 2", "streams 2"]


def test_who_fails_does_not_stop_the_others(pictures: Path) -> None:
    """What it had before is kept beside the reason."""
    plan = plan_of(["bad", "good"], pictures, sections=("throughput",), batches=(1,), streams=(), rounds=2, turn=3)
    fleet = Hangar({"bad": lambda: Plain(fails=6), "good": Plain})
    section = throughput.assemble(plan, run_all(throughput, plan, fleet))
    bad, good = (section[spec.id] for spec in plan.contenders)
    assert bad["failed"] == "ValueError: enough is enough"
    assert bad["batches"][0]["fps"]["count"] < good["batches"][0]["fps"]["count"] == 4
    assert "failed" not in good


def test_nothing_to_do(pictures: Path) -> None:
    """Not asked for, or no case is."""
    assert throughput.units(plan_of(["a"], pictures, sections=("latency",))) == []
    assert throughput.units(plan_of(["a"], pictures, sections=("throughput",), batches=(), streams=())) == []
