"""The machine at one moment: before and after a measurement."""

from __future__ import annotations

import datetime
import re
from typing import Any

from gcpose_trt.benchmark.environment import gpus, limits, processor, thermal
from gcpose_trt.benchmark.environment.reading import attempt
from gcpose_trt.doctor.probe import Probe


def load(probe: Probe) -> float | None:
    """Return the mean number of runnable tasks over the last minute, of the whole machine; None if it is not told."""
    match = re.match(r"(\d+(?:\.\d+)?)\s", probe.read("/proc/loadavg") or "")
    return float(match[1]) if match else None


def memory(probe: Probe, name: str) -> int | None:
    """Return a line of /proc/meminfo ("MemTotal") in bytes."""
    match = re.search(rf"^{name}:\s*(\d+) kB", probe.read("/proc/meminfo") or "", re.MULTILINE)
    return int(match[1]) << 10 if match else None


def snapshot(probe: Probe | None = None) -> dict[str, Any]:
    """Return clocks, temperatures, load and throttling at this moment. Raises nothing; some 10 ms.

    Args:
        probe: the machine; None: this one.

    Returns:
        {"time": ISO 8601 in UTC; "load": of the last minute; "cpu_mhz": {"min", "median", "max"} over the cores;
        "temperatures": {sensor: Celsius}; "throttled": {what: how it is slowed now}; "throttle_counts": {what: how
        often since the machine started}; "gpus": [{"name", "clock_mhz", "clock_max_mhz" on Jetson,
        "memory_clock_mhz", "temperature", "power_watts", "utilisation", "memory_used_bytes", "throttled": [why]}];
        "memory_available_bytes"; "absent": {what: why}}; None for what the machine does not tell.
    """
    probe = probe or Probe()
    absent: dict[str, str] = {}
    states, why = attempt(lambda: gpus.now(probe), absent, "gpus", ([], ""))
    if why:
        absent["gpus"] = why
    throttled = attempt(lambda: thermal.throttled(probe), absent, "throttled", {})
    for index, gpu in enumerate(states):
        if gpu.get("throttled"):
            throttled[f"GPU {index}"] = ", ".join(gpu["throttled"])
    found = {
        "time": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
        "load": attempt(lambda: load(probe), absent, "load", None),
        "cpu_mhz": attempt(lambda: _clocks(probe, absent), absent, "cpu_mhz", None),
        "temperatures": attempt(lambda: thermal.temperatures(probe), absent, "temperatures", {}),
        "throttled": throttled,
        "throttle_counts": attempt(lambda: thermal.throttle_counts(probe), absent, "throttle_counts", {}),
        "gpus": states,
        "memory_available_bytes": attempt(lambda: memory(probe, "MemAvailable"), absent, "memory", None),
    }
    if not found["temperatures"]:
        absent.setdefault("temperatures", "no sensor in /sys/class/thermal or /sys/class/hwmon")
    if not throttled and not found["throttle_counts"] and not any(gpu.get("throttled") == [] for gpu in states):
        absent.setdefault("throttled", "nothing here tells whether it was slowed down")
    return found | {"absent": absent}


def _clocks(probe: Probe, absent: dict[str, str]) -> dict[str, float] | None:
    if limits.hypervisor(probe) is not None:
        absent["cpu_mhz"] = "a virtual machine shows its nominal clock only"
        return None
    clocks = processor.clocks_now(probe)
    if clocks is None:
        absent["cpu_mhz"] = "the kernel does not tell the cores' clocks here"
    return clocks
