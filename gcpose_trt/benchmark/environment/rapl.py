"""Energy of Intel's and AMD's processors: RAPL's counters in /sys/class/powercap.

Tested on recorded folders; the machines that this was written on show none.
"""

from __future__ import annotations

import re

from gcpose_trt.benchmark.environment import limits
from gcpose_trt.benchmark.environment.power import Source
from gcpose_trt.benchmark.environment.reading import integer, text
from gcpose_trt.doctor.probe import Probe

NAME = "RAPL"
_FOLDER = "/sys/class/powercap"
GRANT = f"sudo chmod a+r {_FOLDER}/intel-rapl:*/energy_uj (until the next start)"


class Counter:
    """A counter of microjoules that starts again at 0.

    Args:
        first: its value now.
        span: the largest value that it shows (max_energy_range_uj).
    """

    def __init__(self, first: int, span: int) -> None:
        self._last, self._span = first, span
        self._microjoules = 0

    def joules(self, value: int) -> float:
        """Return the joules since the start; it must be read before it went around once more.

        Args:
            value: what the counter shows now.
        """
        step = value - self._last
        # After its largest value comes 0.
        self._microjoules += step if step >= 0 else step + self._span + 1
        self._last = value
        return self._microjoules / 1e6


class Rapl:
    """The domains of the processor, memory and platform.

    The counters go around after some 262 kJ: within an hour at 70 W. Differences between readings that lie closer
    together than that are right.

    Args:
        probe: the machine.
        folders: of the domains, by the sensor's name.
        covers: see `Source`.
    """

    def __init__(self, probe: Probe, folders: dict[str, str], covers: dict[str, str]) -> None:
        self.covers, self.lost = covers, dict[str, str]()
        self._probe, self._folders = probe, folders
        self._counters: dict[str, Counter] = {}
        for name, folder in folders.items():
            value, span = (integer(probe, f"{folder}/{file}") for file in ("energy_uj", "max_energy_range_uj"))
            if value is None or span is None:
                raise ValueError(f"{folder} does not tell its energy")
            self._counters[name] = Counter(value, span)

    def read(self) -> dict[str, float]:
        """See `Source.read`."""
        found = {}
        for name, counter in self._counters.items():
            value = integer(self._probe, f"{self._folders[name]}/energy_uj")
            if value is None:
                self.lost[name] = "its counter cannot be read any more"
            elif name not in self.lost:
                found[name] = counter.joules(value)
        return found

    def close(self) -> None:
        """See `Source.close`."""


def open_source(probe: Probe) -> tuple[list[Source], dict[str, str]]:
    """Return the source, if this machine shows its counters, and why it does not."""
    folders, covers, closed = {}, {}, False
    for folder in probe.paths(f"{_FOLDER}/intel-rapl:*"):
        domain = text(probe, f"{folder}/name") or ""
        parent = text(probe, f"{folder.rsplit(':', 1)[0]}/name")
        if domain.startswith("package"):
            name, what = f"{NAME} {domain}", "the processor with its caches and built-in graphics"
        elif domain == "dram":
            name, what = f"{NAME} {parent} dram", "the memory of that processor"
        elif domain == "psys":
            name, what = f"{NAME} psys", "the platform: processor, memory, chipset and more, as its maker chose"
        else:  # cores and graphics are in the package
            continue
        if integer(probe, f"{folder}/energy_uj") is None:
            closed = True
        elif integer(probe, f"{folder}/max_energy_range_uj") is not None:
            folders[name], covers[name] = folder, what
    if folders:
        order = sorted(covers, key=lambda name: ("psys" not in name, "dram" in name, name))
        source = Rapl(probe, {name: folders[name] for name in order}, {name: covers[name] for name in order})
        return [source], ({NAME: f"some of its counters are readable by root only; {GRANT}"} if closed else {})
    return [], {NAME: _why_not(probe, closed)}


def _why_not(probe: Probe, closed: bool) -> str:
    if closed:
        return f"its counters are readable by root only since Linux 5.10; {GRANT}"
    if not re.match(r"x86|i.86|amd64", probe.interpreter().architecture, re.IGNORECASE):
        return "only x86 processors have it"
    if limits.hypervisor(probe) is not None:
        return "a virtual machine does not show it"
    if limits.container(probe) is not None:
        return "the container does not show /sys/class/powercap; run on the host"
    return "no counters in /sys/class/powercap; sudo modprobe intel_rapl_msr"
