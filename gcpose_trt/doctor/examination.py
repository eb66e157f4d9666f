"""Runs every check, side by side, and survives whatever one of them does."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timezone

from gcpose_trt.doctor.abilities import abilities
from gcpose_trt.doctor.check import Check, red
from gcpose_trt.doctor.checks import MODEL, TOPICS
from gcpose_trt.doctor.machine import CPU, Driver, Machine, Situation, look_at
from gcpose_trt.doctor.probe import Probe
from gcpose_trt.doctor.report import Report, Section

# The checks wait for processes most of the time; more at once would only fight for a small machine's memory.
_WORKERS = 4


def examine(probe: Probe | None = None, model: str | None = None) -> Report:
    """Check the machine.

    Args:
        probe: the door to the machine; a recorded one in tests.
        model: an engine folder or model to check against the machine.
    """
    probe = probe or Probe()
    machine, doubts = _look(probe)
    situation = Situation(probe, machine, model)
    topics = TOPICS if model is None else (*TOPICS, MODEL)
    with ThreadPoolExecutor(_WORKERS) as pool:
        pending = [
            (topic, [pool.submit(_survive, name, function, situation) for name, function in topic.checks])
            for topic in topics
        ]
        sections = doubts + tuple(
            Section(topic.key, topic.title, tuple(check for future in futures for check in future.result()))
            for topic, futures in pending
        )
    now = datetime.now(timezone.utc).astimezone().isoformat(timespec="seconds")
    return Report(situation.machine, sections, abilities(situation.machine, sections), now)


def _look(probe: Probe) -> tuple[Machine, tuple[Section, ...]]:
    try:
        return look_at(probe), ()
    except Exception as error:
        unknown = Machine(CPU, False, "Linux", Driver(found=False))
        return unknown, (Section("doctor", "The doctor", (_failed("Machine", error),)),)


def _failed(name: str, error: Exception) -> Check:
    lines = str(error).splitlines()
    text = f"{type(error).__name__}: {lines[0]}" if lines else type(error).__name__
    return red(name, f"this check itself failed ({text})", "gcpose-trt doctor --json, and report what it prints")


def _survive(name: str, function: Callable[[Situation], Iterable[Check]], situation: Situation) -> list[Check]:
    found: list[Check] = []
    try:
        found.extend(function(situation))
    except Exception as error:
        found.append(_failed(name, error))
    return found
