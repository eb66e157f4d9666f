"""What a reader must know before the numbers: an interrupted run, a busy or throttled machine, times that do not hold."""

from __future__ import annotations

from dataclasses import dataclass

from gcpose_trt.benchmark.reporting.tables.machine import load_of
from gcpose_trt.benchmark.reporting.view import View
from gcpose_trt.benchmark.reporting.words import clean, listed, look, number, plural, share
from gcpose_trt.benchmark.schema import TIMED_FRAMES, UNSTEADY_SPREAD

_BUSY = 0.25  # share of the cores, and no more than one core, that others may use before a run


@dataclass(frozen=True)
class Notice:
    """Attributes:
    title: a word or two.
    words: the rest, whole sentences.
    grave: numbers below are not to be trusted without it.
    """

    title: str
    words: str
    grave: bool = True


def notices(view: View) -> list[Notice]:
    """Return what stands above all numbers, the gravest first."""
    found = [
        _partial(view),
        _unsteady(view),
        _throttled(view),
        _loaded(view),
        _short(view),
        _left_out(view),
        _dirty(view),
        _resumed(view),
    ]
    noted = view.get("notes")
    for note in noted if isinstance(noted, list) else []:
        found.append(Notice("Note", clean(note), grave=False))
    return sorted((notice for notice in found if notice), key=lambda notice: not notice.grave)


def _partial(view: View) -> Notice | None:
    if view.complete:
        return None
    return Notice(
        "Partial",
        "This run did not come to its end. What it had measured is here; what is missing was not measured. "
        "The same command with the same folder goes on.",
    )


def _unsteady(view: View) -> Notice | None:
    unsteady = [
        f"{entry.name} ({share(look(record, 'end_to_end', 'spread'))})"
        for entry, record in view.of("latency")
        if record.get("unsteady") is True
    ]
    if not unsteady:
        return None
    words = f"The same frames took times that differ by more than {share(UNSTEADY_SPREAD, 0)} with {listed(unsteady)}."
    return Notice("Unsteady", words)


def _throttled(view: View) -> Notice | None:
    found: dict[str, None] = {}
    for session in view.sessions:
        for when in ("before", "after"):
            throttled = look(session, when, "throttled")
            for name in throttled if isinstance(throttled, dict) else ():
                found[f"{clean(name)} ({when} the run)"] = None
    if not found:
        return None
    return Notice("Throttled", f"The machine slowed itself down: {listed(list(found))}.")


def _loaded(view: View) -> Notice | None:
    cores = number(view.get("environment", "cores"))
    most = min(1.0, _BUSY * cores) if cores else 1.0
    loads = [load_of(session.get("before")) for session in view.sessions]
    busy = [load for load in loads if load is not None and load > most]
    if not busy:
        return None
    words = (
        f"The machine was not idle before the run: a load of {max(busy):.2f}"
        f"{f' on {cores:.0f} cores' if cores else ''}. Others may have taken time from what was measured."
    )
    return Notice("Busy machine", words)


def _short(view: View) -> Notice | None:
    counts = [(entry.name, number(look(record, "end_to_end", "count"))) for entry, record in view.of("latency")]
    short = [f"{name} ({count:.0f})" for name, count in counts if count is not None and count < TIMED_FRAMES]
    if not short:
        return None
    return Notice("Few frames", f"Fewer than {TIMED_FRAMES} timed frames: {listed(short)}.")


def _left_out(view: View) -> Notice | None:
    failed = [entry.name for entry in view.entries if entry.record.get("status") == "failed"]
    if not failed:
        return None
    return Notice("Failed", f"{listed(failed)}; the reasons are below.", grave=False)


def _dirty(view: View) -> Notice | None:
    commit = view.get("commit")
    if not isinstance(commit, str) or not commit.endswith("-dirty"):
        return None
    return Notice("Changed code", "The code was changed after the commit that is named here.", grave=False)


def _resumed(view: View) -> Notice | None:
    if len(view.sessions) < 2:
        return None
    words = f"It was made in {plural(len(view.sessions), 'session')}, each with its own state of the machine below."
    return Notice("Resumed", words, grave=False)
