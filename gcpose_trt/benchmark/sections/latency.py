"""How long a frame takes, from its bytes to the picture with the skeletons, and in which part of it.

Contenders take turns of a few frames (A B A B), the other way round every second round, so that whatever else the
machine does falls on all alike. A unit is a round: every contender has run every frame once.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gcpose_trt.benchmark.contender import NETWORK_STAGES, STAGES, ContenderSpec
from gcpose_trt.benchmark.plan import Plan
from gcpose_trt.benchmark.schema import UNSTEADY_SPREAD
from gcpose_trt.benchmark.section import Fleet, Unit
from gcpose_trt.benchmark.sections.turns import Result, attempt, in_order, keep_reasons, of_section
from gcpose_trt.benchmark.statistics import summary

NAME = "latency"
_WALL = ("decode", "run", "draw")
_DECIMALS = 4  # of a millisecond, in the samples


def units(plan: Plan) -> list[Unit]:
    """Return one unit a round."""
    if not plan.wants(NAME):
        return []
    return [
        Unit(
            f"{NAME}/{number}", f"latency, round {number + 1} of {plan.rounds}", functools.partial(_round, plan, number)
        )
        for number in range(plan.rounds)
    ]


def _round(plan: Plan, number: int, fleet: Fleet) -> dict[str, Any]:
    results: dict[str, Result] = {}
    indices, turn = plan.clip.indices, plan.settings.turn
    for first in range(0, len(indices), turn):
        for spec in in_order(plan.contenders, number):
            work = functools.partial(_turn, plan, fleet, spec, indices[first : first + turn])
            attempt(results, spec, work, _joined)
    return results


def _turn(plan: Plan, fleet: Fleet, spec: ContenderSpec, indices: tuple[int, ...]) -> Result:
    """Let one contender run some frames."""
    member = fleet.member(spec)
    before = fleet.read_energy()
    answer = member.ask("frames", clip=plan.clip.path, indices=list(indices))
    after = fleet.read_energy()
    answer["energy"] = {sensor: after[sensor] - before[sensor] for sensor in sorted(before.keys() & after.keys())}
    return {"turns": [answer]}


def _joined(known: Result, new: Result) -> Result:
    return {"turns": [*known.get("turns", []), *new["turns"]]}


def assemble(plan: Plan, results: Mapping[str, dict[str, Any]]) -> dict[str, Any]:
    """Return each contender's times; one that failed in any round has the reason, because fewer frames than others."""
    rounds: dict[str, list[tuple[int, Result]]] = {}
    section: dict[str, Any] = {}
    for number, unit in of_section(results, NAME):
        keep_reasons(section, unit)
        for identity, result in unit.items():
            rounds.setdefault(identity, []).append((number, result))
    measured = {identity: _entry(plan, kept) for identity, kept in rounds.items() if identity not in section}
    return {**measured, **section}


def _entry(plan: Plan, rounds: list[tuple[int, Result]]) -> dict[str, Any]:
    turns = [result["turns"] for _, result in rounds]
    tables = {name: _table([[turn[name] for turn in of_round] for of_round in turns]) for name in _WALL}
    shape = tables["run"].shape
    parts = {name for of_round in turns for turn in of_round for name in turn["stages"]}
    stages = {name: _table([[_stage(turn, name) for turn in of_round] for of_round in turns]) for name in parts}
    end_to_end = tables["decode"] + tables["run"] + tables["draw"]
    network = sum((stages[name] for name in NETWORK_STAGES if name in stages), np.zeros(shape))
    stages |= {"decode": tables["decode"], "draw": tables["draw"]}
    whole = summary(end_to_end)
    entry: dict[str, Any] = {
        "end_to_end": whole,
        "network": summary(network) if parts & set(NETWORK_STAGES) else None,
        "stages": {name: summary(stages[name]) for name in STAGES if name in stages},
        "fps": 1e3 / float(np.median(tables["run"])),
        "fps_end_to_end": 1e3 / whole["median"],
        "people": float(_table([[turn["people"] for turn in of_round] for of_round in turns]).mean()),
        "energy": _energy(turns, end_to_end.mean(axis=1)),
        "unsteady": whole["spread"] is not None and whole["spread"] > UNSTEADY_SPREAD,
        "samples": {
            "end_to_end": _flat(end_to_end),
            "network": _flat(network) if parts & set(NETWORK_STAGES) else None,
            "frame": list(plan.clip.indices) * len(rounds),
            "round": [number for number, _ in rounds for _ in range(shape[1])],
        },
    }
    return entry


def _table(rounds: list[list[list[float]]]) -> NDArray[np.float64]:
    """Return (rounds, frames) of the values of each turn of each round."""
    return np.array([[value for turn in of_round for value in turn] for of_round in rounds], np.float64)


def _stage(turn: Result, name: str) -> list[float]:
    """Return a stage's times; one that did not occur in a turn took no time."""
    values: list[float] = turn["stages"].get(name, [0.0] * len(turn["run"]))
    return values


def _energy(turns: list[list[Result]], frame_ms: NDArray[np.float64]) -> dict[str, dict[str, Any]]:
    """Return watts over all turns of a contender, and joules a frame: those watts for as long as a frame takes.

    Not the joules divided by the frames: a turn also decodes the frames in between and runs its first one twice.

    Args:
        turns: of each round.
        frame_ms: mean milliseconds of a frame in each round.
    """
    found: dict[str, dict[str, Any]] = {}
    for sensor in sorted(set.intersection(*(set(turn["energy"]) for of_round in turns for turn in of_round))):
        joules = np.array([sum(turn["energy"][sensor] for turn in of_round) for of_round in turns])
        seconds = np.array([sum(turn["wall"] for turn in of_round) for of_round in turns])
        watts = float(joules.sum() / seconds.sum())
        found[sensor] = {
            "joules_per_frame": watts * float(frame_ms.mean()) / 1e3,
            "watts": watts,
            "joules": summary((joules / seconds * frame_ms / 1e3)[:, None]),
        }
    return found


def _flat(table: NDArray[np.float64]) -> list[float]:
    values: list[float] = table.round(_DECIMALS).reshape(-1).tolist()
    return values
