"""Frames in turns: the order, the failures, and what is made of the times."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gcpose_trt.benchmark.contender import ContenderSpec
from gcpose_trt.benchmark.fleet import ContenderFailed
from gcpose_trt.benchmark.plan import Plan, Settings, make_plan
from gcpose_trt.benchmark.sections import latency


class Member:
    """Answers with times that are easy to add up; each frame takes as long as its number says."""

    def __init__(self, fleet: FakeFleet, spec: ContenderSpec) -> None:
        self.spec, self._fleet = spec, fleet
        self.info: dict[str, Any] = {}

    def ask(self, operation: str, **request: Any) -> dict[str, Any]:
        """A turn; the sensor counts one joule a frame, and two more than that for the second contender."""
        name, indices = self.spec.options["name"], request["indices"]
        self._fleet.turns.append((name, indices))
        if name in self._fleet.failing and self._fleet.turns.count((name, indices)) == 2:
            raise ContenderFailed("it fell asleep")
        self._fleet.joules += len(indices) * (3 if name == "b" else 1)
        network = {"network": [10.0 + index for index in indices]}
        return {
            "decode": [1.0] * len(indices),
            "run": [12.0 + index for index in indices],
            "draw": [0.5] * len(indices),
            "stages": network if 0 in indices else {**network, "postprocess": [1.0] * len(indices)},
            "people": indices,
            "wall": 0.5,
        }


class FakeFleet:
    """Keeps who ran what in which order."""

    def __init__(self, failing: str = "", sensors: bool = True) -> None:
        self.turns: list[tuple[str, list[int]]] = []
        self.failing, self.joules, self._sensors = failing, 0.0, sensors

    def member(self, spec: ContenderSpec) -> Member:
        """A new one each time: they know nothing."""
        return Member(self, spec)

    def read_energy(self) -> dict[str, float]:
        """One sensor, or none."""
        return {"package": self.joules} if self._sensors else {}


@pytest.fixture
def plan(pictures: Path, fake: str) -> Plan:
    """Two contenders, six frames in turns of four, three rounds."""
    peers = tuple(f"{fake},name={name}" for name in "ab")
    return make_plan(Settings(models=(), peers=peers, clip=str(pictures), rounds=3, turn=4, sections=("latency",)))


def _run(plan: Plan, fleet: Any) -> dict[str, Any]:
    return {unit.key: unit.run(fleet) for unit in latency.units(plan)}


def test_turns_alternate_and_rounds_are_reversed(plan: Plan) -> None:
    """A B A B, then B A B A, each of them the same frames."""
    fleet = FakeFleet()
    assert list(_run(plan, fleet)) == ["latency/0", "latency/1", "latency/2"]
    names = "".join(name for name, _ in fleet.turns)
    assert names == "abab" + "baba" + "abab"
    assert [indices for name, indices in fleet.turns if name == "b"] == [[0, 1, 2, 3], [4, 5]] * 3


def test_what_is_made_of_the_times(plan: Plan) -> None:
    """End to end is decode, run and draw; the network's share stands beside it, every stage of its own."""
    section = latency.assemble(plan, _run(plan, FakeFleet()))
    first, second = (section[spec.id] for spec in plan.contenders)
    assert first["end_to_end"]["median"] == pytest.approx(13.5 + 2.5)
    assert first["network"]["median"] == pytest.approx(12.5)
    assert first["end_to_end"]["count"] == 18 and first["end_to_end"]["spread"] == 0 and not first["unsteady"]
    assert list(first["stages"]) == ["decode", "network", "postprocess", "draw"]
    assert first["stages"]["postprocess"]["mean"] == pytest.approx(2 / 6)  # two of the six frames have it
    assert first["fps"] == pytest.approx(1e3 / 14.5) and first["fps_end_to_end"] == pytest.approx(1e3 / 16)
    assert first["people"] == pytest.approx(2.5)
    assert first["samples"]["frame"] == [0, 1, 2, 3, 4, 5] * 3
    assert first["samples"]["round"] == [0] * 6 + [1] * 6 + [2] * 6
    np.testing.assert_allclose(first["samples"]["end_to_end"], [13.5, 14.5, 15.5, 16.5, 17.5, 18.5] * 3)
    # 18 joules over 6 turns of half a second are 6 watts; a frame takes 16 ms.
    assert first["energy"]["package"]["watts"] == pytest.approx(6)
    assert first["energy"]["package"]["joules_per_frame"] == pytest.approx(6 * 0.016)
    assert second["energy"]["package"]["watts"] == pytest.approx(18)


def test_without_sensors_there_is_no_energy(plan: Plan) -> None:
    """Nothing is filled in."""
    section = latency.assemble(plan, _run(plan, FakeFleet(sensors=False)))
    assert all(entry["energy"] == {} for entry in section.values())


def test_who_fails_has_no_numbers(plan: Plan) -> None:
    """A contender that fails in its second round has no further turn in it; the other goes on."""
    fleet = FakeFleet(failing="b")
    section = latency.assemble(plan, _run(plan, fleet))
    first, second = plan.contenders
    assert section[second.id] == {"failed": "it fell asleep"}
    assert section[first.id]["end_to_end"]["count"] == 18


def test_a_partial_run_has_the_rounds_that_are_there(plan: Plan) -> None:
    """Nothing at all without any."""
    results = _run(plan, FakeFleet())
    del results["latency/1"]
    section = latency.assemble(plan, results)
    assert all(entry["samples"]["round"] == [0] * 6 + [2] * 6 for entry in section.values())
    assert latency.assemble(plan, {}) == {}


def test_not_asked_for(pictures: Path, fake: str) -> None:
    """No units then."""
    settings = Settings(models=(), peers=(f"{fake},name=a",), clip=str(pictures), sections=("start",))
    assert latency.units(make_plan(settings)) == []
