"""What only a Jetson has: its board, JetPack, power modes and clocks."""

from __future__ import annotations

import re
from collections.abc import Iterator

from gcpose_trt.doctor.check import Check, green, red, yellow
from gcpose_trt.doctor.machine import JETSON, Situation
from gcpose_trt.doctor.probe import Probe

# The oldest that brings a TensorRT that we build engines with (8.5).
_OLDEST_JETPACK = 5


def check_board(situation: Situation) -> Iterator[Check]:
    """Name the board, Jetson Linux and JetPack."""
    machine = situation.machine
    if machine.kind != JETSON:
        return
    parts = [machine.jetson or "unknown board"]
    parts += [f"JetPack {machine.jetpack}"] if machine.jetpack else []
    parts += [f"Jetson Linux {machine.l4t}"] if machine.l4t else []
    facts = {"board": machine.jetson, "jetpack": machine.jetpack, "l4t": machine.l4t}
    if machine.jetpack and int(machine.jetpack.split(".")[0]) < _OLDEST_JETPACK:
        yield yellow(
            "Jetson",
            f"{', '.join(parts)}: its TensorRT is older than 8.5, so engines cannot be built",
            "flash JetPack 5 or later with SDK Manager, if the board is a Xavier or an Orin",
            **facts,
        )
    elif machine.l4t is None and not machine.container:
        yield yellow(
            "Jetson",
            f"{', '.join(parts)}, but no /etc/nv_tegra_release: not NVIDIA's system",
            "flash JetPack with SDK Manager, or build your image with NVIDIA's Jetson Linux",
            **facts,
        )
    else:
        yield green("Jetson", ", ".join(parts), **facts)


def check_power(situation: Situation) -> Iterator[Check]:
    """Compare the power mode with the strongest that the board offers."""
    if situation.machine.kind != JETSON:
        return
    probe = situation.probe
    modes = _modes(probe)
    answer = probe.run("nvpmodel", "-q")
    if answer.problem == "timeout":
        yield red("Power mode", "nvpmodel does not answer within 2 s", "sudo systemctl restart nvpmodel")
        return
    match = re.search(r"NV Power Mode:\s*(\S+)\s+(\d+)", answer.text)
    if match:
        name, number = match[1], int(match[2])
    elif (status := re.search(r"pmode:(\d+)", probe.read("/var/lib/nvpmodel/status") or "")) is not None:
        number = int(status[1])
        name = modes.get(number, f"mode {number}")
    else:
        why = "nvpmodel is not here" if answer.problem == "missing" else answer.last_words or "nvpmodel fails"
        remedy = "run the doctor on the host" if situation.machine.container else "sudo nvpmodel -q"
        yield yellow("Power mode", f"unknown: {why}", remedy)
        return
    best = max(modes, key=lambda mode: _strength(modes[mode]), default=number)
    facts = {"mode": name, "number": number, "modes": {str(key): value for key, value in modes.items()}}
    if best != number and _strength(modes[best]) > _strength(name):
        yield yellow(
            "Power mode",
            f"{name}; {modes[best]} is faster, if power supply and cooling allow",
            f"sudo nvpmodel -m {best}",
            **facts,
        )
    else:
        yield green("Power mode", f"{name}, the strongest of this board" if modes else name, **facts)


def _modes(probe: Probe) -> dict[int, str]:
    found = re.findall(r"<\s*POWER_MODEL\s+ID=(\d+)\s+NAME=(\S+)\s*>", probe.read("/etc/nvpmodel.conf") or "")
    return {int(number): name for number, name in found}


def _strength(name: str) -> tuple[int, int]:
    """Order the modes: MAXN_SUPER, MAXN, then by watts."""
    watts = re.search(r"(\d+)W", name)
    return ({"MAXN_SUPER": 2, "MAXN": 1}.get(name, 0), int(watts[1]) if watts else 0)


def check_clocks(situation: Situation) -> Iterator[Check]:
    """Tell the clocks of processor and GPU, and whether they are fixed."""
    if situation.machine.kind != JETSON:
        return
    probe = situation.probe
    # JetPack 5 calls the GPU 17000000.ga10b, JetPack 6 17000000.gpu, Thor gpu-gpc-0.
    folders = [
        folder
        for folder in probe.paths("/sys/class/devfreq/*")
        if re.search(r"gpu|ga10b|gv11b|gpc", folder.rsplit("/", 1)[-1])
    ]
    units = [(folder, "", 1_000_000) for folder in folders[:1]]
    units.append(("/sys/devices/system/cpu/cpu0/cpufreq", "scaling_", 1_000))
    words, fixed = [], []
    for (folder, prefix, scale), label in zip(units, ["GPU"] * len(folders[:1]) + ["CPU"], strict=True):
        now, low, high = (_number(probe, f"{folder}/{prefix}{name}_freq") for name in ("cur", "min", "max"))
        if now is None or high is None:
            continue
        words.append(f"{label} {now / scale:.0f} of {high / scale:.0f} MHz")
        fixed.append(low == high)
    if not words:
        return
    note = "fixed" if all(fixed) else "they follow the load; before measuring: sudo jetson_clocks"
    yield green("Clocks", f"{', '.join(words)}; {note}", fixed=all(fixed))


def _number(probe: Probe, path: str) -> int | None:
    text = (probe.read(path) or "").strip()
    return int(text) if text.isdigit() else None
