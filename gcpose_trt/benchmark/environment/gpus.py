"""The GPUs: by NVML, else by nvidia-smi, else as the CUDA driver tells them; on a Jetson by sysfs."""

from __future__ import annotations

import re
from typing import Any

from gcpose_trt.benchmark.environment import jetson, nvml
from gcpose_trt.doctor.machine import Machine
from gcpose_trt.doctor.probe import Probe

# How nvidia-smi calls a fact, ours, and what one of its units is in ours.
_FACTS = {
    "name": ("name", None),
    "memory.total": ("memory_bytes", 1 << 20),
    "power.limit": ("power_limit_watts", 1.0),
    "clocks.max.sm": ("clock_max_mhz", 1),
    "clocks.max.mem": ("memory_clock_max_mhz", 1),
    "driver_version": ("driver", None),
}
# Newer ones call it clocks_event_reasons.active and still know this name.
_THROTTLE = "clocks_throttle_reasons.active"
_STATE = {
    "name": ("name", None),
    "clocks.sm": ("clock_mhz", 1),
    "clocks.mem": ("memory_clock_mhz", 1),
    "temperature.gpu": ("temperature", 1),
    "power.draw": ("power_watts", 1.0),
    "utilization.gpu": ("utilisation", 0.01),
    "memory.used": ("memory_used_bytes", 1 << 20),
    _THROTTLE: ("throttled", None),
}


def describe(probe: Probe, machine: Machine) -> tuple[list[dict[str, Any]], str | None, str]:
    """Describe the GPUs.

    Args:
        probe: the machine.
        machine: as the doctor sees it, with what the CUDA driver said.

    Returns:
        Each GPU's {"name", "compute_capability", "memory_bytes", "integrated", "power_limit_watts", "clock_max_mhz",
        "memory_clock_max_mhz"} with None for what is not told; the driver's version; why there is none, or why
        less is known.
    """
    devices = [_of_driver(device) for device in machine.driver.devices]
    if jetson.is_jetson(probe):
        for device in devices:
            device["clock_max_mhz"] = jetson.gpu_now(probe)["clock_max_mhz"]
        return devices, machine.driver.kernel_module, "" if devices else "the CUDA driver shows no GPU"
    library, why = nvml.connect(probe)
    if library is not None:
        found = [library.describe(index) for index in range(len(library))]
        driver = library.driver
        library.close()
    else:
        found = _ask_smi(probe, _FACTS)
        driver = next((gpu.pop("driver") for gpu in found), None) or machine.driver.kernel_module
    for gpu in found:
        _complete(gpu, devices)
    if found or devices:
        return found or devices, driver, ""
    return [], driver, f"no NVIDIA GPU that programs can use: {why or 'NVML sees none'}"


def _of_driver(device: Any) -> dict[str, Any]:
    return {
        "name": device["name"],
        "compute_capability": device.get("compute_capability"),
        "memory_bytes": device.get("memory"),
        "integrated": bool(device.get("integrated")),
        "power_limit_watts": None,
        "clock_max_mhz": None,
        "memory_clock_max_mhz": None,
    }


def _complete(gpu: dict[str, Any], devices: list[dict[str, Any]]) -> None:
    """Add what only CUDA tells; by name, for the two count the GPUs in different orders."""
    twin = next((device for device in devices if device["name"] == gpu["name"]), {})
    for name in ("compute_capability", "integrated"):
        if gpu.get(name) is None:
            gpu[name] = twin.get(name)


def _ask_smi(probe: Probe, fields: dict[str, tuple[str, float | None]]) -> list[dict[str, Any]]:
    if probe.which("nvidia-smi") is None:
        return []
    answer = probe.run("nvidia-smi", f"--query-gpu={','.join(fields)}", "--format=csv,noheader,nounits")
    found = []
    for line in answer.text.splitlines() if answer.ok else []:
        values = [value.strip() for value in line.split(",")]
        if len(values) == len(fields):
            pairs = zip(values, fields.values(), strict=True)
            found.append({ours: _value(value, unit) for value, (ours, unit) in pairs})
    return found


def _value(word: str, unit: float | None) -> Any:
    """Return a field as a number in our unit, or as text; None for "[N/A]" and its kind."""
    if word.startswith("[") or word in ("", "N/A"):
        return None
    if unit is None:
        return word
    if not re.fullmatch(r"-?\d+(\.\d+)?", word):
        return None
    return int(float(word) * unit) if isinstance(unit, int) else round(float(word) * unit, 4)


def now(probe: Probe) -> tuple[list[dict[str, Any]], str]:
    """Return the state of each GPU at this moment, as `Nvml.now` gives it, and "" or why nothing is known.

    nvidia-smi is asked only where nvidia-ml-py is missing: starting it takes longer than everything else together.
    """
    if jetson.is_jetson(probe):
        state = jetson.gpu_now(probe)
        empty = all(value is None for value in state.values())
        return ([] if empty else [{"name": "Jetson GPU", **state}]), "no GPU in /sys/class/devfreq" if empty else ""
    library, why = nvml.connect(probe)
    if library is None:
        found = _ask_smi(probe, _STATE)
        for gpu in found:
            mask = gpu["throttled"]
            gpu["throttled"] = nvml.slowed_by(int(mask, 16)) if mask else None
        return found, "" if found else why
    try:
        return [library.now(index) for index in range(len(library))], "" if len(library) else "NVML sees no GPU"
    finally:
        library.close()
