"""What a reader must know before the numbers: an interrupted run, a busy machine, times that do not hold still."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from gcpose_trt.benchmark.environment.differences import changes
from gcpose_trt.benchmark.reporting.view import View
from gcpose_trt.benchmark.reporting.words import clean, listed, look, number, plain, plural, share
from gcpose_trt.benchmark.schema import TIMED_FRAMES, UNSTEADY_SPREAD

# What plans and runs note themselves, and stands here already.
_KNOWN = ("the run was interrupted", "timed frames a contender")


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
        _machine(view),
        _short(view),
        _left_out(view),
        _dirty(view),
        _resumed(view),
    ]
    noted = view.get("notes")
    for note in noted if isinstance(noted, list) else []:
        if not any(words in str(note) for words in _KNOWN):
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


def _machine(view: View) -> Notice | None:
    """What happened to the machine, by the snapshots of each session."""
    found: list[str] = []
    for session in view.sessions:
        before, after = _sound(session.get("before")), _sound(session.get("after"))
        found += [clean(sentence) for sentence in changes(before or {}, after)]
    return Notice("Machine", " ".join(dict.fromkeys(found))) if found else None


def _sound(snapshot: Any) -> dict[str, Any] | None:
    """Return what a snapshot has of the right types: a report may come from anywhere."""
    if not isinstance(snapshot, Mapping):
        return None
    named = {key: snapshot.get(key) for key in ("temperatures", "throttle_counts", "cpu_mhz")}
    gpus = snapshot.get("gpus")
    return {
        "load": number(snapshot.get("load")),
        "throttled": {str(what): plain(how) for what, how in _items(snapshot.get("throttled"))},
        "gpus": [_numbers(gpu) for gpu in gpus] if isinstance(gpus, list) else [],
        **{key: _numbers(value) for key, value in named.items()},
    }


def _numbers(record: Any) -> dict[str, float]:
    return {str(key): known for key, value in _items(record) if (known := number(value)) is not None}


def _items(record: Any) -> list[tuple[Any, Any]]:
    return list(record.items()) if isinstance(record, Mapping) else []


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
