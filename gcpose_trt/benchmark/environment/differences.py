"""What happened to the machine between two snapshots, in sentences for a report."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

# Half a core of other work is felt in timings.
_BUSY = 0.5
_FALL = 0.9
_RISE = 10.0


def changes(before: Mapping[str, Any], after: Mapping[str, Any] | None) -> list[str]:
    """Return what may have bent the measurements between two snapshots.

    Args:
        before, after: as `snapshot` returns them, also read back from a report; `after` is None for a run that was
            interrupted.

    Returns:
        Sentences; empty if nothing is to be said.
    """
    return [*_at_start(before), *(_between(before, after) if after is not None else ())]


def _at_start(before: Mapping[str, Any]) -> Iterator[str]:
    load = before.get("load")
    if load is not None and load > _BUSY:
        yield f"The machine was not idle before the run: load {load:.1f}."
    for what, how in (before.get("throttled") or {}).items():
        yield f"{what} was slowed already before the run: {how}."


def _between(before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterator[str]:
    already = before.get("throttled") or {}
    for what, how in (after.get("throttled") or {}).items():
        if what not in already:
            yield f"{what} was slowed at the end of the run: {how}."
    earlier = before.get("throttle_counts") or {}
    for what, count in (after.get("throttle_counts") or {}).items():
        if what in earlier and (times := count - earlier[what]) > 0:
            yield f"{what}: {times} {'event' if times == 1 else 'events'} during the run."
    yield from _clocks(before, after)
    temperatures = after.get("temperatures") or {}
    for name, start in (before.get("temperatures") or {}).items():
        if name in temperatures and temperatures[name] - start >= _RISE:
            yield f"{name} rose from {start:.0f} to {temperatures[name]:.0f} °C."


def _clocks(before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterator[str]:
    pairs = [("The fastest core", _maximum(before), _maximum(after))]
    for index, (old, new) in enumerate(zip(before.get("gpus") or [], after.get("gpus") or [], strict=False)):
        pairs.append((f"GPU {index}", old.get("clock_mhz"), new.get("clock_mhz")))
        hot = old.get("temperature"), new.get("temperature")
        if None not in hot and hot[1] - hot[0] >= _RISE:
            yield f"GPU {index} rose from {hot[0]:.0f} to {hot[1]:.0f} °C."
    for what, old, new in pairs:
        if old and new is not None and new < _FALL * old:
            yield f"{what} ran at {old:.0f} MHz before the run and at {new:.0f} MHz after it."


def _maximum(snapshot: Mapping[str, Any]) -> float | None:
    return (snapshot.get("cpu_mhz") or {}).get("max")
