"""A benchmark from its settings to the report, unit by unit."""

from __future__ import annotations

import contextlib
import datetime
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from gcpose_trt.benchmark import records, sections
from gcpose_trt.benchmark.fleet import ContenderFailed, Fleet
from gcpose_trt.benchmark.plan import Plan, Settings, make_plan
from gcpose_trt.benchmark.schema import KIND, SCHEMA, SECTIONS
from gcpose_trt.benchmark.section import Section, Unit
from gcpose_trt.benchmark.state import State
from gcpose_trt.benchmark.surroundings import Surroundings, command_line, this_machine
from gcpose_trt.errors import GcposeError

_Work = list[tuple[Section, list[Unit]]]


def run_benchmark(
    settings: Settings,
    output: Path,
    fresh: bool = False,
    arguments: Sequence[str] = ("benchmark",),
    say: Callable[[str], None] = lambda line: None,
    progress: bool = False,
    surroundings: Surroundings | None = None,
) -> dict[str, Any]:
    """Measure, or go on with a run that was interrupted; `output`/report.json is up to date after every unit.

    Args:
        settings: what is measured, see `suites`.
        output: folder of the report.
        fresh: start over whatever is in the folder.
        arguments: of the command line, for the report; folders are left out of it.
        say: takes lines for people: contenders that are left out, that a run is resumed or was complete already.
        progress: show a bar on stderr.
        surroundings: the machine; None: this one.

    Returns:
        The report, see `schema`.

    Raises:
        GcposeError: the settings, the clip or the folder are at fault, what the folder has is of another run, or not
            one contender could be measured (the report is written all the same).
        KeyboardInterrupt: the run was interrupted; the partial report is written.
    """
    plan = make_plan(settings)
    with contextlib.ExitStack() as stack:
        around = surroundings if surroundings is not None else stack.enter_context(this_machine())
        state = State.open(output, _head(plan, around, arguments), fresh)
        if state.complete:
            say(f"{state.path} is complete already; --fresh measures again")
            return state.report
        if state.units:
            say(f"going on with {state.path}: {len(state.units)} parts are there")
        for case in plan.cases:
            if case.skipped is not None:
                say(f"skipped {case.spec.label}: {case.skipped}")
        if not plan.contenders:
            raise GcposeError(_nothing([(case.spec.label, case.skipped or "") for case in plan.cases]))
        _measure(plan, state, around, say, progress)
    records.require_any(state.report)
    return state.report


def _measure(plan: Plan, state: State, around: Surroundings, say: Callable[[str], None], progress: bool) -> None:
    """Do what is left, and put the report together whatever ends it."""
    modules = sections.load_all()
    work = [(module, [unit for unit in module.units(plan) if unit.key not in state.units]) for module in modules]
    session = {"started": _now(), "ended": None, "before": around.snapshot(), "after": None}
    state.report["sessions"].append(session)
    with Fleet(around.energy) as fleet:
        try:
            state.write()
            if any(units for _, units in work):
                _open_all(plan, fleet, say)
                if not any(units for module, units in work if module.NAME == "latency"):
                    fleet.end_all()  # only in turns do they all have to be in memory at a time
                _do(work, fleet, state, progress)
            state.report["complete"] = True
        finally:
            # Before the children end: the machine is as hot as it was.
            session["after"], session["ended"] = around.snapshot(), _now()
            environment = state.report["environment"]
            environment["absent"] = {**environment.get("absent", {}), **around.absent()}
            _assemble(plan, modules, fleet, state)
            state.write()


def _open_all(plan: Plan, fleet: Fleet, say: Callable[[str], None]) -> None:
    """Open every contender; a run in which none can be opened ends here.

    Raises:
        GcposeError: none can.
    """
    for spec in plan.contenders:
        try:
            fleet.member(spec)
        except ContenderFailed as error:
            say(f"failed {spec.label}: {error}")
    if len(fleet.failures) == len(plan.contenders):
        raise GcposeError(_nothing([(spec.label, fleet.failures[spec.id]) for spec in plan.contenders]))


def _do(work: _Work, fleet: Fleet, state: State, progress: bool) -> None:
    from tqdm import tqdm

    total = sum(len(units) for _, units in work)
    with tqdm(total=total, unit="part", desc="benchmark", disable=None if progress else True) as bar:
        for _, units in work:
            for unit in units:
                bar.set_description(unit.title)
                state.keep(unit.key, records.without_folders(unit.run(fleet)))
                bar.update()
            fleet.end_all()  # the next section has the machine, and its memory, to itself


def _assemble(plan: Plan, modules: Sequence[Section], fleet: Fleet, state: State) -> None:
    """Make every section of the report from the units that are there."""
    report = state.report
    for module in modules:
        made = module.assemble(plan, state.units)
        # A module that is no section by its name makes several of them.
        report |= {module.NAME: made} if module.NAME in SECTIONS else made
    report["contenders"] = records.contenders(plan, fleet, report)
    report["notes"] = [*plan.notes, *(["the run was interrupted"] if not report["complete"] else [])]
    report["units"] = report.pop("units")  # last in the file


def _head(plan: Plan, around: Surroundings, arguments: Sequence[str]) -> dict[str, Any]:
    facts = around.facts()
    settings = plan.settings.to_dict()
    return {
        "schema": SCHEMA,
        "kind": KIND,
        "complete": False,
        "suite": {
            "name": plan.settings.name,
            "settings": settings,
            "contenders": [spec.id for spec in plan.contenders],
        },
        "command": command_line(arguments),
        "commit": around.commit,
        "sessions": [],
        "environment": {**facts, "energy_covers": around.covers},
        "clip": plan.clip.to_dict(),
        "contenders": [],
        "notes": list(plan.notes),
        **{name: [] if name == "samples" else {} for name in SECTIONS},
    }


def _nothing(reasons: list[tuple[str, str]]) -> str:
    return "nothing can be measured: " + " | ".join(f"{label}: {reason}" for label, reason in reasons)


def _now() -> str:
    return datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds")
