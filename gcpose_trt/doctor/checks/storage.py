"""Free memory and disk."""

from __future__ import annotations

import re
from collections.abc import Iterator

from gcpose_trt.doctor.check import Check, green, red, yellow
from gcpose_trt.doctor.machine import JETSON, Situation
from gcpose_trt.doctor.probe import Probe

_GIB, _MIB = 1 << 30, 1 << 20
# The demo with files and page takes 354 MiB at its peak (benchmarks/results/soak.json); an engine is built in 2 GiB.
_DEMO, _ENGINE = 512 * _MIB, 2 * _GIB
_DISK_LOW, _DISK_FULL = 2 * _GIB, 100 * _MIB


def check_memory(situation: Situation) -> Iterator[Check]:
    """Compare the memory that is free with what the demo and an engine's build take."""
    fields: dict[str, str] = dict(
        re.findall(r"^(\w+):\s+(\d+) kB", situation.probe.read("/proc/meminfo") or "", re.MULTILINE)
    )
    if "MemTotal" not in fields:
        yield yellow("Memory", "unknown: /proc/meminfo cannot be read", "mount -t proc proc /proc")
        return
    total = int(fields["MemTotal"]) * 1024
    free = int(fields.get("MemAvailable", fields.get("MemFree", 0))) * 1024
    swap = int(fields.get("SwapTotal", 0)) * 1024
    total, free = _within_limit(situation.probe, total, free)
    text = f"{size(free)} free of {size(total)}" + (f", {size(swap)} swap" if swap else "")
    facts = {"free": free, "total": total, "swap": swap}
    jetson = situation.machine.kind == JETSON
    remedy = "sudo systemctl isolate multi-user.target (stops the desktop)" if jetson else "ps aux --sort -rss | head"
    if free < _DEMO:
        yield red("Memory", f"{text}: the demo takes up to {size(_DEMO)}", remedy, **facts)
    elif free < _ENGINE:
        what = "building an engine takes about" if situation.machine.driver.usable else "training and export take over"
        yield yellow("Memory", f"{text}: {what} {size(_ENGINE)}", remedy, **facts)
    else:
        yield green("Memory", text, **facts)


def _within_limit(probe: Probe, total: int, free: int) -> tuple[int, int]:
    """Apply the limit of a container, which /proc/meminfo does not know."""
    limit = (probe.read("/sys/fs/cgroup/memory.max") or "").strip()
    used = (probe.read("/sys/fs/cgroup/memory.current") or "").strip()
    if not limit.isdigit() or not used.isdigit() or int(limit) >= total:
        return total, free
    # Pages of files count as used, but are given back when needed.
    cache = re.search(r"^inactive_file (\d+)$", probe.read("/sys/fs/cgroup/memory.stat") or "", re.MULTILINE)
    return int(limit), min(free, max(0, int(limit) - int(used) + (int(cache[1]) if cache else 0)))


def check_disk(situation: Situation) -> Iterator[Check]:
    """Tell the space free for plugins, timing caches and results."""
    probe = situation.probe
    home = probe.env("HOME") or "/root"
    cache = f"{probe.env('XDG_CACHE_HOME') or f'{home}/.cache'}/gcpose-trt"
    places = {"cache": cache, "here": ".", "temporary files": probe.env("TMPDIR") or "/tmp"}
    free = {name: space for name, path in places.items() if (space := probe.space(path)) is not None}
    if not free:
        yield yellow("Disk", "unknown: no file system answers", "df -h . ~")
        return
    least = min(free, key=lambda name: free[name])
    text = f"{size(free[least])} free for {'results' if least == 'here' else least} ({places[least]})"
    if least == "here" or len(set(free.values())) == 1:
        text = f"{size(free[least])} free"
    facts = {"free": free, "cache": cache}
    remedy = "du -xh ~ 2>/dev/null | sort -h | tail -20, and delete what is not needed"
    if free[least] < _DISK_FULL:
        yield red("Disk", f"{text}: nothing can be written", remedy, **facts)
    elif free[least] < _DISK_LOW:
        yield yellow("Disk", f"{text}: an engine with its caches takes up to {size(_DISK_LOW)}", remedy, **facts)
    elif not _can_write(probe, cache):
        yield yellow("Disk", f"{text}, but {cache} cannot be written", f"sudo chown -R $USER {cache}", **facts)
    else:
        yield green("Disk", text, **facts)


def _can_write(probe: Probe, path: str) -> bool:
    while not probe.exists(path) and "/" in path.rstrip("/"):
        path = path.rstrip("/").rsplit("/", 1)[0] or "/"
    return probe.usable(path)


def size(count: int) -> str:
    """Return bytes as people read them, "7.4 GiB"."""
    return f"{count / _MIB:.0f} MiB" if count < _GIB else f"{count / _GIB:.1f} GiB"
