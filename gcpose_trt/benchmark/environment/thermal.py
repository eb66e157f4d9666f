"""Temperatures, and what slows the processor down now or did so since the start."""

from __future__ import annotations

import re

from gcpose_trt.benchmark.environment import jetson
from gcpose_trt.benchmark.environment.processor import CPUS
from gcpose_trt.benchmark.environment.reading import integer, text
from gcpose_trt.doctor.probe import Probe

# Drivers of a processor's own sensors. Others (disks, wireless cards) say nothing of what is measured here.
_CHIPS = ("coretemp", "k10temp", "zenpower")
_FOREIGN = re.compile(r"iwlwifi|nvme|bat", re.IGNORECASE)
# A block that is switched off says -256.
_LOWEST, _HIGHEST = -40.0, 150.0
# Cooling devices that cool by doing less; the others are fans.
_SLOWING = re.compile(r"cpufreq|devfreq|throttle|^processor$", re.IGNORECASE)
# Raspberry Pi, get_throttled: what happens now. Bits 16 and up are the same since the start.
_PI_NOW = {0: "under-voltage", 1: "clock capped", 2: "slowed", 3: "slowed by temperature"}


def temperatures(probe: Probe) -> dict[str, float]:
    """Return the temperatures in Celsius by the sensor's name; equal names are counted up."""
    found: dict[str, float] = {}

    def add(name: str, millidegrees: int | None) -> None:
        if millidegrees is None or not _LOWEST <= millidegrees / 1000 <= _HIGHEST:
            return
        unique, count = name, 1
        while unique in found:
            count += 1
            unique = f"{name} {count}"
        found[unique] = round(millidegrees / 1000, 1)

    for zone in probe.paths("/sys/class/thermal/thermal_zone[0-9]*"):
        name = text(probe, f"{zone}/type") or zone.rsplit("/", 1)[-1]
        if not _FOREIGN.search(name):
            add(name, integer(probe, f"{zone}/temp"))
    for path in probe.paths("/sys/class/hwmon/hwmon*/name"):
        chip, folder = text(probe, path), path.rsplit("/", 1)[0]
        if chip not in _CHIPS:
            continue
        for sensor in probe.paths(f"{folder}/temp[0-9]*_input"):
            label = text(probe, sensor.replace("_input", "_label")) or "temperature"
            # The package tells enough; some have 128 cores.
            if not label.startswith("Core"):
                add(f"{chip} {label}", integer(probe, sensor))
    return found


def throttled(probe: Probe) -> dict[str, str]:
    """Return what is slowed down at this moment, {what: how}; empty if nothing says so."""
    found = jetson.supply_alarms(probe) if jetson.is_jetson(probe) else {}
    for device in probe.paths("/sys/class/thermal/cooling_device[0-9]*"):
        kind = text(probe, f"{device}/type") or ""
        state, most = (integer(probe, f"{device}/{name}_state") for name in ("cur", "max"))
        if state and state > 0 and _SLOWING.search(kind):
            found[f"{kind} {device.rsplit('device', 1)[-1]}"] = f"slowed by temperature, step {state} of {most}"
    flags = _pi_flags(probe)
    if flags is not None and (words := [name for bit, name in _PI_NOW.items() if flags & 1 << bit]):
        found["Raspberry Pi"] = ", ".join(words)
    return found


def throttle_counts(probe: Probe) -> dict[str, int]:
    """Return how often things were slowed down since the machine started; only differences mean something."""
    found = jetson.supply_events(probe) if jetson.is_jetson(probe) else {}
    for kind, share in (("core", "thread_siblings_list"), ("package", "core_siblings_list")):
        counts: dict[str, int] = {}
        for path in probe.paths(f"{CPUS}/cpu[0-9]*/thermal_throttle/{kind}_throttle_count"):
            count = integer(probe, path)
            if count is not None:
                # Threads of a core, and cores of a package, repeat one counter.
                folder = path.split("/thermal_throttle/")[0]
                unit = text(probe, f"{folder}/topology/{share}") or path
                counts[unit] = max(count, counts.get(unit, 0))
        if counts:
            found[f"CPU {kind} over its temperature"] = sum(counts.values())
    flags = _pi_flags(probe)
    if flags is not None:
        found |= {f"Raspberry Pi {name}": int(bool(flags & 1 << bit + 16)) for bit, name in _PI_NOW.items()}
    return found


def _pi_flags(probe: Probe) -> int | None:
    paths = probe.paths("/sys/devices/platform/soc*/soc*:firmware/get_throttled")
    try:
        return int(text(probe, paths[0]) or "", 16) if paths else None
    except ValueError:
        return None
