"""What only a Jetson has: power modes, its GPU's clocks in sysfs, alarms of its power supply.

Written after NVIDIA's documentation of JetPack 5 to 7 and recorded output of such boards; not run on one.
"""

from __future__ import annotations

import re
from typing import Any

from gcpose_trt.benchmark.environment import processor
from gcpose_trt.benchmark.environment.reading import integer, text
from gcpose_trt.doctor.probe import Probe

# Orin's and Thor's soctherm_oc counts these; Xavier has the alarms of its INA3221 instead.
_EVENTS = {"oc1": "under-voltage", "oc2": "average over-current", "oc3": "peak over-current"}


def is_jetson(probe: Probe) -> bool:
    """Tell whether this is a Jetson, without asking any program."""
    return probe.exists("/etc/nv_tegra_release") or "nvidia,tegra" in (probe.read("/proc/device-tree/compatible") or "")


def power_mode(probe: Probe) -> tuple[str | None, str]:
    """Return the name of the power mode ("MAXN_SUPER") and "", or None and why it is not known."""
    answer = probe.run("nvpmodel", "-q")
    # Without root it may fail after it has said the mode.
    match = re.search(r"NV Power Mode:\s*(\S+)", answer.text)
    if match:
        return match[1], ""
    status = re.search(r"pmode:(\d+)", probe.read("/var/lib/nvpmodel/status") or "")
    if status:
        modes = re.findall(r"<\s*POWER_MODEL\s+ID=(\d+)\s+NAME=(\S+)\s*>", probe.read("/etc/nvpmodel.conf") or "")
        number = int(status[1])
        return {int(key): name for key, name in modes}.get(number, f"mode {number}"), ""
    if answer.problem == "missing":
        return None, "nvpmodel is not here; run on the host, not in a container"
    return None, f"nvpmodel fails: {answer.last_words or answer.problem}"


def gpu_folder(probe: Probe) -> str | None:
    """Return the devfreq folder of the GPU: 17000000.gpu, 17000000.ga10b, 17000000.gv11b, gpu-gpc-0."""
    folders = probe.paths("/sys/class/devfreq/*")
    return next((path for path in folders if re.search(r"gpu|ga10b|gv11b|gpc", path.rsplit("/", 1)[-1])), None)


def gpu_now(probe: Probe) -> dict[str, Any]:
    """Return the GPU's clock in MHz and its load (0..1), as far as sysfs tells them."""
    folder = gpu_folder(probe)
    current, highest = (integer(probe, f"{folder}/{name}_freq") for name in ("cur", "max"))
    paths = [*probe.paths("/sys/devices/*gpu*/load"), *probe.paths("/sys/devices/platform/*gpu*/load")]
    load = next((value for value in (integer(probe, path) for path in paths) if value is not None), None)
    return {
        "clock_mhz": current / 1e6 if current is not None else None,
        "clock_max_mhz": highest / 1e6 if highest is not None else None,
        "utilisation": load / 1000 if load is not None else None,
    }


def clocks_fixed(probe: Probe) -> bool | None:
    """Tell whether jetson_clocks holds processor and GPU at one clock; None if sysfs does not tell."""
    folder = gpu_folder(probe)
    low, high = (integer(probe, f"{folder}/{name}_freq") for name in ("min", "max"))
    cpu = processor.fixed(probe)
    if cpu is None or low is None or high is None:
        return cpu
    return cpu and low == high


def supply_events(probe: Probe) -> dict[str, int]:
    """Return how often the power supply was short since the start, by what happened."""
    found = {}
    for name in probe.paths("/sys/class/hwmon/hwmon*/name"):
        if text(probe, name) != "soctherm_oc":
            continue
        for event, words in _EVENTS.items():
            count = integer(probe, f"{name.rsplit('/', 1)[0]}/{event}_event_cnt")
            if count is not None:
                found[f"Jetson {words}"] = count
    return found


def supply_alarms(probe: Probe) -> dict[str, str]:
    """Return the rails whose current is over its limit now, as their INA3221 says."""
    found = {}
    for name in probe.paths("/sys/class/hwmon/hwmon*/name"):
        folder = name.rsplit("/", 1)[0]
        if text(probe, name) != "ina3221":
            continue
        for channel in (1, 2, 3):
            alarms = [integer(probe, f"{folder}/curr{channel}_{kind}_alarm") for kind in ("crit", "max")]
            if any(alarms):
                rail = text(probe, f"{folder}/in{channel}_label") or f"channel {channel}"
                found[f"Jetson {rail}"] = "over its current limit"
    return found
