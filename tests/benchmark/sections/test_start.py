"""Starting from nothing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from gcpose_trt.assets import FOLDER
from gcpose_trt.benchmark.contender import ContenderSpec
from gcpose_trt.benchmark.fleet import Fleet
from gcpose_trt.benchmark.plan import Case, Plan
from gcpose_trt.benchmark.sections import start
from tests.benchmark.stand_ins import Hangar, Plain, plan_of, run_all


def test_every_start_is_a_process_that_is_ended(pictures: Path) -> None:
    """In turns, also of who fails."""
    plan = plan_of(["bad", "good"], pictures, sections=("start",), starts=3)
    fleet = Hangar({"bad": lambda: Plain(fails=2), "good": Plain})
    section = start.assemble(plan, run_all(start, plan, fleet))
    assert [member.spec.model for member in fleet.started] == ["bad", "good", "good", "bad", "bad", "good"]
    assert fleet.ended == fleet.started
    bad, good = (section[spec.id] for spec in plan.contenders)
    assert bad == {"failed": "ValueError: enough is enough"}
    assert (good["import"]["median"], good["load"]["median"]) == (230.0, 50.0)
    assert good["first_frame"]["count"] == 3
    assert good["steady"]["count"] == 30
    assert good["gpu_peak_bytes"] is None
    assert good["gpu_reason"] == "it runs on the CPU"


def test_memory_that_only_some_starts_tell_of(pictures: Path) -> None:
    """What is known is used; a reason stands where nothing is."""
    result: dict[str, Any] = {"import": 1.0, "load": 1.0, "first_frame": 1.0, "steady": [1.0] * 10}
    known = result | {"host_peak_bytes": 5000, "gpu_peak_bytes": 700, "gpu_reason": None}
    unknown = result | {"host_peak_bytes": None, "gpu_peak_bytes": None, "gpu_reason": "no driver"}
    plan = plan_of(["a"], pictures, sections=("start",))
    entry = start.assemble(plan, {"start/0": {"x": known}, "start/1": {"x": unknown}})["x"]
    assert (entry["host_peak_bytes"]["count"], entry["gpu_peak_bytes"]["median"]) == (1, 700.0)
    assert entry["gpu_reason"] is None
    entry = start.assemble(plan, {"start/1": {"x": unknown}})["x"]
    assert (entry["host_peak_bytes"], entry["gpu_reason"]) == (None, "no driver")


def test_the_shipped_model_takes_more_memory_than_its_files(pictures: Path) -> None:
    """A real process: Python and the weights are in its memory, and it took time to get there."""
    plan = plan_of([], pictures, sections=("start",), starts=1)
    plan = Plan(plan.settings, plan.clip, (Case(ContenderSpec("mobile", precision="int8", size="64", threads=1)),))
    with Fleet() as fleet:
        (entry,) = start.assemble(plan, run_all(start, plan, fleet)).values()
    files = sum(file.stat().st_size for file in (FOLDER / "mobile-int8").glob("*.onnx"))
    assert files < entry["host_peak_bytes"]["median"] < 4 << 30
    assert all(entry[name]["min"] > 0 for name in ("import", "load", "first_frame", "steady"))
    assert entry["gpu_peak_bytes"] is None


def test_nothing_to_do(pictures: Path) -> None:
    """Not asked for."""
    assert start.units(plan_of(["a"], pictures, sections=("latency",))) == []
