"""Operating system and processor."""

from __future__ import annotations

import re
from collections.abc import Iterator

from gcpose_trt.doctor.check import Check, green
from gcpose_trt.doctor.machine import Situation
from gcpose_trt.doctor.probe import Probe

# Number of the part in /proc/cpuinfo, with the implementer; ARM processors give no name there.
_ARM_PARTS = {
    ("0x41", "0xd03"): "Cortex-A53",
    ("0x41", "0xd07"): "Cortex-A57",
    ("0x41", "0xd08"): "Cortex-A72",
    ("0x41", "0xd0b"): "Cortex-A76",
    ("0x41", "0xd0c"): "Neoverse N1",
    ("0x41", "0xd40"): "Neoverse V1",
    ("0x41", "0xd42"): "Cortex-A78AE",
    ("0x41", "0xd4f"): "Neoverse V2",
    ("0x41", "0xd83"): "Neoverse V3AE",
    ("0x4e", "0x004"): "NVIDIA Carmel",
}
# What the kernel calls it, what people call it; in the order of the report.
_FEATURES = {
    "avx2": "AVX2",
    "avx512f": "AVX-512",
    "avx_vnni": "VNNI",
    "avx512_vnni": "VNNI",
    "avx512_bf16": "BF16",
    "amx_int8": "AMX",
    "fphp": "FP16",
    "asimddp": "dot product",
    "i8mm": "I8MM",
    "sve": "SVE",
}
_INT8 = {"VNNI", "AMX", "dot product", "I8MM"}


def check_system(situation: Situation) -> Iterator[Check]:
    """Name the distribution, the kernel and the kind of machine."""
    machine, python = situation.machine, situation.probe.interpreter()
    where = ", in a container" if machine.container else ""
    yield green(
        "System",
        f"{machine.system}, Linux {python.kernel}, {python.architecture}{where}",
        kernel=python.kernel,
        architecture=python.architecture,
    )


def check_processor(situation: Situation) -> Iterator[Check]:
    """Name the processor, the cores that this process may use, and its instructions for networks."""
    text = situation.probe.read("/proc/cpuinfo") or ""
    flags = set(" ".join(re.findall(r"^(?:flags|Features)\s*:\s*(.*)$", text, re.MULTILINE)[:1]).split())
    features = list(dict.fromkeys(word for flag, word in _FEATURES.items() if flag in flags))
    cores = _cores(situation.probe)
    count = f"{cores:g} core" + ("" if cores == 1 else "s")
    speed = "; fast INT8" if _INT8.intersection(features) else ""
    yield green(
        "Processor",
        f"{_name(text)}, {count}" + (f"; {', '.join(features)}" if features else "") + speed,
        model=_name(text),
        cores=cores,
        features=features,
    )


def _name(cpuinfo: str) -> str:
    match = re.search(r"^model name\s*:\s*(.+)$", cpuinfo, re.MULTILINE)
    if match:
        return re.sub(r"\((?:R|TM)\)|\s+(?:CPU|Processor)\b|\s+@.*", "", match[1]).strip()
    implementer = re.search(r"^CPU implementer\s*:\s*(\w+)$", cpuinfo, re.MULTILINE)
    parts = dict.fromkeys(re.findall(r"^CPU part\s*:\s*(\w+)$", cpuinfo, re.MULTILINE))
    if implementer is None or not parts:
        return "unknown processor"
    return " and ".join(_ARM_PARTS.get((implementer[1], part), f"ARM part {part}") for part in parts)


def _cores(probe: Probe) -> float:
    """Return the cores that this process may use; a container's share may be less than it sees."""
    cores: float = probe.interpreter().cpus
    quota = (probe.read("/sys/fs/cgroup/cpu.max") or "").split()
    if len(quota) == 2 and quota[0].isdigit() and quota[1].isdigit() and int(quota[1]) > 0:
        cores = min(cores, round(int(quota[0]) / int(quota[1]), 1))
    return cores
