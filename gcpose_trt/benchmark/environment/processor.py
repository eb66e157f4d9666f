"""The processor: its name, its cores, and what sets its clocks."""

from __future__ import annotations

import re
import statistics
from typing import Any

from gcpose_trt.benchmark.environment import arm
from gcpose_trt.benchmark.environment.limits import cpu_quota
from gcpose_trt.benchmark.environment.reading import integer, known, text
from gcpose_trt.doctor.probe import Probe

CPUS = "/sys/devices/system/cpu"


def model(probe: Probe) -> str | None:
    """Return the processor's name, "AMD Ryzen 9 7950X", "4 x Cortex-A76"; None if nothing tells it."""
    cpuinfo = probe.read("/proc/cpuinfo") or ""
    names = re.findall(r"^model name\s*:\s*(\S.*)$", cpuinfo, re.MULTILINE)
    # Jetson's kernel says "ARMv8 Processor rev 1 (v8l)", which every Arm processor is.
    if names and not names[0].startswith("ARMv"):
        return re.sub(r"\s+", " ", names[0]).strip()
    cores = arm.cores(cpuinfo)
    if cores and not any("core 0x" in name for name, _ in cores):
        return " + ".join(f"{count} x {name}" for name, count in cores)
    told = re.search(r"^Model name:\s*(\S.*)$", probe.run("lscpu").text, re.MULTILINE)
    if told and told[1] != "-":
        return told[1].strip()
    return " + ".join(f"{count} x {name}" for name, count in cores) or (names[0] if names else None)


def generation(probe: Probe) -> str | None:
    """Return family and model in numbers: virtual machines give several processors one name. None on Arm."""
    cpuinfo = probe.read("/proc/cpuinfo") or ""
    numbers = [re.search(rf"^{name}\s*:\s*(\d+)$", cpuinfo, re.MULTILINE) for name in ("cpu family", "model")]
    return f"family {numbers[0][1]}, model {numbers[1][1]}" if numbers[0] and numbers[1] else None


def cores(probe: Probe) -> dict[str, Any]:
    """Count the cores.

    Returns:
        {"physical", "logical": of the machine that are switched on; "affinity": logical ones that this process may
        use; "quota": time that its control group may use, in processors; "usable": the lesser of both; "smt": whether
        physical cores run two threads}. None where the machine does not tell.
    """
    siblings = known(text(probe, path) for path in probe.paths(f"{CPUS}/cpu[0-9]*/topology/thread_siblings_list"))
    online = _count(text(probe, f"{CPUS}/online")) or len(siblings) or None
    affinity, quota = probe.interpreter().cpus, cpu_quota(probe)
    usable = affinity if quota is None else min(affinity, round(quota, 2))
    active = text(probe, f"{CPUS}/smt/active")
    return {
        "physical": len(set(siblings)) or None,
        "logical": online,
        "affinity": affinity,
        "quota": quota,
        "usable": int(usable) if usable == int(usable) else usable,
        "smt": {"1": True, "0": False}.get(active or ""),
    }


def _count(ranges: str | None) -> int:
    """Return how many numbers "0-3,8" stands for."""
    found = re.findall(r"(\d+)(?:-(\d+))?", ranges or "")
    return sum(int(last or first) - int(first) + 1 for first, last in found)


def policy(probe: Probe) -> dict[str, Any]:
    """Tell what sets the clocks.

    Returns:
        {"governor", "driver", "preference" (of energy over speed); "min_mhz", "max_mhz": what the processor can;
        "limit_min_mhz", "limit_max_mhz": what it is allowed; "boost": whether above its nominal clock}, over all
        groups of cores. None where the machine does not tell.
    """
    groups = probe.paths(f"{CPUS}/cpufreq/policy[0-9]*")

    def words(name: str) -> str | None:
        found = known(text(probe, f"{group}/{name}") for group in groups)
        return ", ".join(dict.fromkeys(found)) or None

    def megahertz(name: str) -> list[float]:
        return [value / 1000 for value in known(integer(probe, f"{group}/{name}") for group in groups)]

    return {
        "governor": words("scaling_governor"),
        "driver": words("scaling_driver"),
        "preference": words("energy_performance_preference"),
        "min_mhz": min(megahertz("cpuinfo_min_freq"), default=None),
        "max_mhz": max(megahertz("cpuinfo_max_freq"), default=None),
        "limit_min_mhz": min(megahertz("scaling_min_freq"), default=None),
        "limit_max_mhz": max(megahertz("scaling_max_freq"), default=None),
        "boost": _boost(probe),
    }


def _boost(probe: Probe) -> bool | None:
    refused = integer(probe, f"{CPUS}/intel_pstate/no_turbo")
    if refused is not None:
        return refused == 0
    # acpi-cpufreq and amd-pstate; newer kernels have one for each group of cores.
    paths = [f"{CPUS}/cpufreq/boost", *probe.paths(f"{CPUS}/cpufreq/policy[0-9]*/boost")]
    allowed = known(integer(probe, path) for path in paths)
    return any(allowed) if allowed else None


def fixed(probe: Probe) -> bool | None:
    """Tell whether every core is held at one clock; None if the machine does not tell."""
    groups = probe.paths(f"{CPUS}/cpufreq/policy[0-9]*") or probe.paths(f"{CPUS}/cpu[0-9]*/cpufreq")
    limits = [tuple(integer(probe, f"{group}/scaling_{end}_freq") for end in ("min", "max")) for group in groups]
    limits = [pair for pair in limits if None not in pair]
    return all(low == high for low, high in limits) if limits else None


def clocks_now(probe: Probe) -> dict[str, float] | None:
    """Return the cores' clocks at this moment in MHz, {"min", "median", "max"}; None if the machine does not tell."""
    # One read for all cores first: some kernels take 10 ms to answer for one core through cpufreq.
    found = re.findall(r"^cpu MHz\s*:\s*([\d.]+)", probe.read("/proc/cpuinfo") or "", re.MULTILINE)
    values = [float(value) for value in found]
    if not values:
        paths = probe.paths(f"{CPUS}/cpu[0-9]*/cpufreq/scaling_cur_freq")
        values = [value / 1000 for value in known(integer(probe, path) for path in paths)]
    if not values:
        return None
    return {
        "min": round(min(values), 1),
        "median": round(statistics.median(values), 1),
        "max": round(max(values), 1),
    }
