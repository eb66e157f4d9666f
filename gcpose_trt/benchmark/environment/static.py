"""What the machine is: everything that a reader needs to place a number."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from typing import Any

from gcpose_trt import __version__
from gcpose_trt.benchmark.environment import gpus, jetson, limits, processor, sensors
from gcpose_trt.benchmark.environment.momentary import load, memory
from gcpose_trt.benchmark.environment.reading import attempt, integer, text
from gcpose_trt.doctor.machine import CPU, Driver, Machine, look_at
from gcpose_trt.doctor.probe import Interpreter, Probe

# Whose version may change a result; those that are installed are told.
PACKAGES = (
    "numpy",
    "opencv-python",
    "opencv-python-headless",
    "onnxruntime",
    "onnxruntime-gpu",
    "av",
    "torch",
    "torchvision",
    "onnx",
    "tensorrt",
    "tensorrt-cu12",
    "tensorrt-cu13",
    "tensorrt-rtx-cu12",
    "tensorrt-rtx-cu13",
    "cuda-python",
    "cuda-bindings",
    "pycuda",
    "rtmlib",
    "ultralytics",
    "pycocotools",
)


def facts(probe: Probe | None = None) -> dict[str, Any]:
    """Return what the machine is. Raises nothing; may take a few seconds, for it asks drivers and programs.

    Args:
        probe: the machine; None: this one.

    Returns:
        {"machine_id": see `machine_id`; "cpu": name; "cpu_generation": its numbers; "architecture"; "board": of a
        single-board computer; "cores": see `processor.cores`; "governor"; "clocks": see `processor.policy`;
        "memory_bytes"; "memory_limit_bytes": of the control group; "gpus": see `gpus.describe`; "driver": NVIDIA's;
        "cuda": newest that the driver serves; "jetson": {"name", "l4t", "jetpack", "clocks_fixed"}; "power_mode":
        nvpmodel's, or the platform profile; "on_battery"; "container": its kind; "hypervisor"; "os"; "kernel";
        "versions": {package: version}; "load": of the last minute; "energy_sensors": names; "absent": {what: why}}.
        None for what is not there or not told. No host name, user, path or serial number is in it.
    """
    probe = probe or Probe()
    absent: dict[str, str] = {}
    unknown = Machine(CPU, False, "unknown", Driver(False))
    machine = attempt(lambda: look_at(probe), absent, "machine", unknown)
    devices, driver, why = attempt(lambda: gpus.describe(probe, machine), absent, "gpus", ([], None, ""))
    if why:
        absent["gpus"] = why
    interpreter = attempt(lambda: probe.interpreter(), absent, "python", Interpreter("", "", None, False, "", "", 0))
    found: dict[str, Any] = {
        "cpu": attempt(lambda: processor.model(probe), absent, "cpu", None),
        "cpu_generation": attempt(lambda: processor.generation(probe), absent, "cpu_generation", None),
        "architecture": interpreter.architecture or None,
        "board": attempt(lambda: text(probe, "/proc/device-tree/model"), absent, "board", None),
        "cores": attempt(lambda: processor.cores(probe), absent, "cores", {}),
        "memory_bytes": attempt(lambda: memory(probe, "MemTotal"), absent, "memory", None),
        "memory_limit_bytes": attempt(lambda: _memory_limit(probe), absent, "memory limit", None),
        "gpus": devices,
        "driver": driver,
        "cuda": machine.driver.cuda,
        "jetson": attempt(lambda: _jetson(probe, machine), absent, "jetson", None),
        "power_mode": attempt(lambda: _power_mode(probe, absent), absent, "power_mode", None),
        "on_battery": attempt(lambda: _on_battery(probe), absent, "on_battery", None),
        "container": attempt(lambda: limits.container(probe), absent, "container", None),
        "hypervisor": attempt(lambda: limits.hypervisor(probe), absent, "hypervisor", None),
        "os": machine.system,
        "kernel": interpreter.kernel or None,
        "versions": attempt(lambda: _versions(probe), absent, "versions", {}),
        "load": attempt(lambda: load(probe), absent, "load", None),
    }
    found |= attempt(lambda: _clocks(probe, absent), absent, "governor", {"governor": None, "clocks": {}})
    energy = attempt(lambda: sensors.look(probe), absent, "energy", ([], {}))
    return {"machine_id": machine_id(found), **found, "energy_sensors": energy[0], "absent": absent | energy[1]}


def machine_id(found: Mapping[str, Any]) -> str:
    """Return a digest of what decides speed: equal for machines whose numbers may be compared.

    It is made of the processor's name, the cores that may be used, the memory (rounded: the kernel keeps a little of
    it, a little more each version), the GPUs, and a Jetson's board and power mode; nothing of a person or a place.

    Args:
        found: as `facts` returns it.
    """
    cards = [
        # A Jetson's GPU has the machine's memory.
        [gpu["name"], None if gpu.get("integrated") else _rounded(gpu.get("memory_bytes"))]
        for gpu in found.get("gpus") or []
    ]
    board = found.get("jetson")
    words = [
        found.get("cpu"),
        found.get("cpu_generation"),
        found.get("architecture"),
        (found.get("cores") or {}).get("usable"),
        _rounded(found.get("memory_limit_bytes") or found.get("memory_bytes")),
        sorted(cards, key=str),
        [board.get("name"), found.get("power_mode")] if board else None,
    ]
    return hashlib.sha256(json.dumps(words).encode()).hexdigest()[:12]


def _rounded(count: int | None) -> float | None:
    """Return GiB rounded up in steps of about an eighth: 15.5 and 15.6 are 16."""
    if not count:
        return None
    step = 2.0 ** math.ceil(math.log2(count)) / 8
    return math.ceil(count / step) * step / (1 << 30)


def _memory_limit(probe: Probe) -> int | None:
    limit, total = limits.memory_limit(probe), memory(probe, "MemTotal")
    return None if limit is None or (total is not None and limit >= total) else limit


def _jetson(probe: Probe, machine: Machine) -> dict[str, Any] | None:
    if not jetson.is_jetson(probe):
        return None
    return {
        "name": machine.jetson,
        "l4t": machine.l4t,
        "jetpack": machine.jetpack,
        "clocks_fixed": jetson.clocks_fixed(probe),
    }


def _power_mode(probe: Probe, absent: dict[str, str]) -> str | None:
    if jetson.is_jetson(probe):
        mode, why = jetson.power_mode(probe)
    else:
        mode = text(probe, "/sys/firmware/acpi/platform_profile")
        why = "" if mode else "the firmware offers no platform profile"
    if why:
        absent["power_mode"] = why
    return mode


def _on_battery(probe: Probe) -> bool | None:
    supplies = probe.paths("/sys/class/power_supply/*")
    mains = [integer(probe, f"{path}/online") for path in supplies if text(probe, f"{path}/type") == "Mains"]
    return not any(mains) if mains else None


def _clocks(probe: Probe, absent: dict[str, str]) -> dict[str, Any]:
    policy = processor.policy(probe)
    governor = policy.pop("governor")
    if governor is None:
        hidden = limits.hypervisor(probe) is not None
        absent["governor"] = (
            "the virtual machine does not see what sets the clocks" if hidden else "the kernel has no cpufreq here"
        )
    return {"governor": governor, "clocks": policy}


def _versions(probe: Probe) -> dict[str, str]:
    installed = probe.packages()
    found = {name: installed[name] for name in PACKAGES if name in installed}
    return {"gcpose-trt": __version__, "python": probe.interpreter().version, **found}
