"""Contenders that need no model, and a fleet that keeps them in this process."""

from __future__ import annotations

import importlib
import json
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from gcpose_trt.benchmark.contender import Contender, ContenderInfo, ContenderSpec, Image
from gcpose_trt.benchmark.fleet import ContenderFailed
from gcpose_trt.benchmark.plan import Case, Plan, Settings, make_plan
from gcpose_trt.benchmark.worker import explain
from gcpose_trt.errors import GcposeError
from gcpose_trt.pose.types import PoseFrame


def info(**changes: Any) -> ContenderInfo:
    """Return what a stand-in says of itself."""
    facts: dict[str, Any] = {
        "backend": "stand-in",
        "precision": "fp32",
        "device": "cpu",
        "version": "stand-in 1",
        "size": "long side 64",
        "weights_sha256": "0" * 64,
        "files": [__file__],
    }
    return ContenderInfo(**{**facts, **changes})


class Plain:
    """Finds one person, as large as the frame.

    Args:
        fails: number of the call of `run` (from 1) that raises.
        changes: of what it says of itself.
    """

    def __init__(self, fails: int | None = None, **changes: Any) -> None:
        self.info = info(**changes)
        self.calls: list[Any] = []
        self._fails = fails
        self.moved = 0.0  # how far its joints are from where they should be

    def run(self, frame: Image) -> tuple[PoseFrame, dict[str, float]]:
        """Find somebody."""
        self.calls.append(int(frame[0, 0, 0]))
        if len(self.calls) == self._fails:
            raise ValueError("enough is enough")
        height, width = frame.shape[:2]
        joints = np.full((1, 17, 3), [width / 2 + self.moved, height / 2, 0.9], np.float32)
        return PoseFrame(np.array([[0, 0, width, height]], np.float32), np.ones(1, np.float32), joints), {}

    def close(self) -> None:
        """Nothing to free."""


class Able(Plain):
    """Does everything that a contender may do, with up to four people."""

    thread_safe = True

    def run_batch(self, frames: Sequence[Image]) -> list[PoseFrame]:
        """Find somebody in each."""
        found = [Plain.run(self, frame)[0] for frame in frames]
        self.calls[-len(frames) :] = [tuple(self.calls[-len(frames) :])]
        return found

    def run_people(self, frame: Image, people: int) -> dict[str, float]:
        """Say that a person takes a tenth of a millisecond."""
        self.calls.append(people)
        if people > 4:
            raise GcposeError("four is a crowd; ask for fewer")
        return {"detector": 1.0, **({"pose": 0.1 * people} if people else {})}


class Member:
    """A contender that is not in a process of its own; what goes in and out passes through JSON all the same."""

    def __init__(self, spec: ContenderSpec, contender: Contender) -> None:
        self.spec, self.contender = spec, contender
        self.info = contender.info.to_dict()
        self.opened = {"process": 30.0, "import": 200.0, "load": 50.0}

    def ask(self, operation: str, **request: Any) -> dict[str, Any]:
        """Run an operation here."""
        module = importlib.import_module(f"gcpose_trt.benchmark.operations.{operation}")
        try:
            answer = module.run(self.contender, json.loads(json.dumps(request)))
        except Exception as error:
            raise ContenderFailed(explain(error)) from error
        result: dict[str, Any] = json.loads(json.dumps(answer, allow_nan=False))
        return result


class Hangar:
    """A fleet of stand-ins.

    Args:
        makers: what makes each contender, by the name of its model.
    """

    def __init__(self, makers: dict[str, Callable[[], Contender]]) -> None:
        self._makers = makers
        self.members: dict[str, Member] = {}
        self.started: list[Member] = []
        self.ended: list[Member] = []

    def member(self, spec: ContenderSpec) -> Member:
        """Return the contender's one and only."""
        if spec.model not in self.members:
            self.members[spec.model] = Member(spec, self._makers[spec.model]())
        return self.members[spec.model]

    def fresh(self, spec: ContenderSpec) -> Member:
        """Return a new one."""
        member = Member(spec, self._makers[spec.model]())
        self.started.append(member)
        return member

    def end(self, member: Any) -> None:
        """Remember that it was ended."""
        self.ended.append(member)

    def read_energy(self) -> dict[str, float]:
        """There are no sensors."""
        return {}


def plan_of(names: Sequence[str], clip: Any, **settings: Any) -> Plan:
    """Return a plan with contenders of these names, which nobody looks for on this machine."""
    plan = make_plan(Settings(clip=str(clip), **settings), gpu=lambda: False)
    return Plan(plan.settings, plan.clip, tuple(Case(ContenderSpec(name)) for name in names))


def run_all(section: Any, plan: Plan, fleet: Any) -> dict[str, Any]:
    """Return the results of all units of a section, as they come back from a file."""
    results = {unit.key: unit.run(fleet) for unit in section.units(plan)}
    stored: dict[str, Any] = json.loads(json.dumps(results, allow_nan=False))
    return stored
