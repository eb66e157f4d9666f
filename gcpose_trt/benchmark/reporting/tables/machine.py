"""On what: contenders, the machine, its state before and after, and what was left out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gcpose_trt.benchmark.reporting.table import Column, Row, Table
from gcpose_trt.benchmark.reporting.view import WHY_NOT, View
from gcpose_trt.benchmark.reporting.words import (
    DASH,
    clean,
    figure,
    look,
    mebibytes,
    number,
    plain,
    text,
    whole,
)

_SECTIONS = ("latency", "people", "throughput", "start", "accuracy", "parity")
# Keys of the facts that other tables show, or nobody.
_ELSEWHERE = ("machine_id", "absent", "load", "energy_covers")
_FACTS = {
    "cpu": "CPU",
    "cores": "cores",
    "memory_bytes": "memory",
    "memory_limit_bytes": "memory limit",
    "gpus": "GPU",
    "jetson": "Jetson",
    "power_mode": "power mode",
    "governor": "governor",
    "container": "container",
    "os": "system",
    "driver": "driver",
    "versions": "versions",
    "energy_sensors": "energy sensors",
}
_GPU = {
    "clock_mhz": ("clock, MHz", 1.0),
    "memory_clock_mhz": ("memory clock, MHz", 1.0),
    "temperature": ("°C", 1.0),
    "power_watts": ("watts", 1.0),
    "utilisation": ("busy, %", 100.0),
    "memory_used_bytes": ("memory used, MiB", 1 / 2**20),
}


def contenders(view: View) -> Table | None:
    """What was measured."""
    found = [entry for entry in view.entries if entry.record.get("status", "measured") == "measured"]
    if not found:
        return None
    words = ("backend", "precision", "device", "input size", "library", "licence")
    columns = [
        *(Column(name, words=True) for name in words),
        Column("threads"),
        Column("MiB"),
        Column("weights, sha256", words=True),
    ]
    rows = [
        Row(
            entry.name,
            [
                *(
                    text(entry.record.get(key))
                    for key in ("backend", "precision", "device", "size", "version", "licence")
                ),
                whole(entry.record.get("threads") or look(entry.record, "spec", "threads")),
                mebibytes(entry.record.get("bytes")),
                text(str(entry.record.get("weights_sha256") or "")[:12]),
            ],
            entry,
        )
        for entry in found
    ]
    return Table("Contenders", "contender", columns, rows).without_empty()


def facts(view: View) -> Table | None:
    """The machine, with what it does not have and why."""
    known = view.get("environment")
    if not isinstance(known, Mapping):
        return None
    absent = known.get("absent")
    absent = absent if isinstance(absent, Mapping) else {}
    rows = []
    names = [*_FACTS, *(key for key in known if key not in _FACTS and key not in _ELSEWHERE)]
    for key in names:
        value = known.get(key)
        reason = f"absent: {clean(absent[key])}" if key in absent else DASH
        if value in (None, "", [], {}) and key not in absent:
            continue
        said = _fact(key, value)
        rows.append(Row(_FACTS.get(key, clean(key).replace("_", " ")), [reason if said == DASH else said]))
    rows += [
        Row(clean(key).replace("_", " "), [f"absent: {clean(why)}"]) for key, why in absent.items() if key not in names
    ]
    return Table("The machine", "what", [Column("value", words=True)], rows) if rows else None


def _fact(key: str, value: Any) -> str:
    if key.startswith("memory_"):
        size = number(value)
        return DASH if size is None else f"{figure(size / 2**30)} GiB"
    if isinstance(value, list) and value and all(isinstance(item, Mapping) for item in value):
        return "; ".join(plain(item) for item in value)
    return plain(value)


def snapshots(view: View) -> Table | None:
    """Load, clocks, temperatures and throttling before and after."""
    columns, states = [], []
    sessions = view.sessions
    for place, session in enumerate(sessions, 1):
        group = f"session {place}" if len(sessions) > 1 else ""
        for when in ("before", "after"):
            columns.append(Column(when, group, words=True))
            states.append(_state(session.get(when)))
    names = list(dict.fromkeys(name for state in states for name in state))
    if not names:
        return None
    rows = [Row(name, [state.get(name, DASH) for state in states]) for name in names]
    notes = [] if all(session.get("after") for session in sessions) else ["A session that was cut off has no end."]
    said = (look(session, when, "absent") for session in sessions for when in ("before", "after"))
    reasons = {f"{clean(what)}: {clean(why)}." for absent in said for what, why in _items(absent)}
    notes += [f"Not told: {reason.replace('_', ' ')}" for reason in sorted(reasons)]
    return Table("The machine before and after", "what", columns, rows, notes)


def _state(snapshot: Any) -> dict[str, str]:
    """Return one snapshot's values by what they are."""
    if not isinstance(snapshot, Mapping):
        return {}
    load = load_of(snapshot)
    state = {
        "time": text(snapshot.get("time")).replace("T", " ", 1).replace("+00:00", " UTC"),
        "load, one minute": DASH if load is None else f"{load:.2f}",
        "CPU clock, MHz": _clocks(snapshot.get("cpu_mhz")),
    }
    for name, celsius in _items(snapshot.get("temperatures")):
        state[f"{clean(name)}, °C"] = figure(celsius)
    memory = number(snapshot.get("memory_available_bytes"))
    state["memory left"] = DASH if memory is None else f"{figure(memory / 2**30)} GiB"
    gpus = snapshot.get("gpus")
    for place, gpu in enumerate(gpus if isinstance(gpus, list) else []):
        for key, (title, scale) in _GPU.items():
            value = number(look(gpu, key))
            if value is not None:
                state[f"GPU {place}: {title}"] = figure(value * scale)
    throttled = _items(snapshot.get("throttled"))
    untold = look(snapshot, "absent", "throttled")
    state["slowed down"] = "; ".join(f"{clean(name)}: {plain(what)}" for name, what in throttled) or (
        DASH if untold else "no"
    )
    return state


def load_of(snapshot: Any) -> float | None:
    """Return the load of the last minute of a snapshot."""
    return number(look(snapshot, "load"))


def _clocks(clocks: Any) -> str:
    low, high = (number(look(clocks, name)) for name in ("min", "max"))
    if low is None or high is None:
        return DASH
    return f"{low:,.0f}" if round(low) == round(high) else f"{low:,.0f} to {high:,.0f}"


def _items(value: Any) -> list[tuple[str, Any]]:
    return list(value.items()) if isinstance(value, Mapping) else []


def left_out(view: View) -> Table | None:
    """Contenders, and sections of contenders, that were skipped or failed."""
    rows = []
    for entry in view.entries:
        status = entry.record.get("status")
        if status in ("skipped", "failed"):
            rows.append(Row(entry.name, [str(status), text(entry.record.get("reason"))], entry))
            continue
        for section in _SECTIONS:
            for key, words in WHY_NOT.items():
                reason = look(view.get(section), entry.id, key)
                if reason:
                    rows.append(Row(entry.name, [f"{section}: {words}", plain(reason)], entry))
        cases = look(view.get("throughput"), entry.id, "left_out_cases")
        rows += [
            Row(entry.name, [f"throughput, {clean(case)}: left out", text(why)], entry) for case, why in _items(cases)
        ]
    columns = [Column("what", words=True), Column("why", words=True)]
    return Table("Skipped and failed", "contender", columns, rows) if rows else None
