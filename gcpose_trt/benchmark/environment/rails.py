"""Power of a Jetson: the monitors on its module (INA3221, Thor's INA238 too) as sysfs shows them.

Their driver answers every user and needs no program, so this comes before tegrastats. Written after the kernel's
documentation and recorded boards; not run on one.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from gcpose_trt.benchmark.environment.power import Polled, Source
from gcpose_trt.benchmark.environment.reading import integer, text
from gcpose_trt.doctor.probe import Probe

NAME = "Jetson rails"
_TOTAL = "Jetson total"
# Rails through which everything comes.
_INPUTS = ("VIN", "VDD_IN", "POM_5V_IN")
# Rails that together are everything, where no such rail is measured: AGX Orin, AGX Xavier, Thor. AGX Orin's
# VDDQ_VDD2_1V8AO is fed from VIN_SYS_5V0 and would count twice.
_SUMS = (
    ("VDD_GPU_SOC", "VDD_CPU_CV", "VIN_SYS_5V0"),
    ("GPU", "CPU", "SOC", "CV", "VDDRQ", "SYS5V"),
    ("VDD_GPU", "VDD_CPU_SOC_MSS", "VIN_SYS_5V0"),
)
_UNCONNECTED = "NC"


def named(rails: Mapping[str, float]) -> dict[str, float]:
    """Return watts by the sensor's name from watts by rail: the whole first, added up where no rail measures it."""
    found = {}
    inputs = [rail for rail in _INPUTS if rail in rails]
    if not inputs:
        parts = next((parts for parts in _SUMS if all(part in rails for part in parts)), ())
        if parts:
            found[_TOTAL] = sum(rails[part] for part in parts)
    order = [*inputs, *(rail for rail in rails if rail not in inputs)]
    return found | {f"Jetson {rail}": rails[rail] for rail in order if rail != _UNCONNECTED}


def covers(name: str) -> str:
    """Say what a sensor of `named` measures."""
    rail = name.removeprefix("Jetson ")
    if name == _TOTAL:
        return "the rails of the module added up; the carrier board's own use is not in it"
    if rail == "VIN":
        return "the input of the board"
    return "the input of the module; the carrier board's own use is not in it" if rail in _INPUTS else f"rail {rail}"


@dataclass(frozen=True)
class Rail:
    """One channel of a monitor.

    Attributes:
        name: as the board's makers call it.
        files: whose numbers, multiplied, are microwatts: millivolts and milliamperes, or the power itself.
    """

    name: str
    files: tuple[str, ...]

    def watts(self, probe: Probe) -> float | None:
        """Return the power now; None if the monitor does not answer."""
        product = 1
        for path in self.files:
            value = integer(probe, path)
            if value is None:
                return None
            product *= value
        return product / 1e6


def find(probe: Probe) -> list[Rail]:
    """Return the rails that answer."""
    rails: dict[str, Rail] = {}
    for path in probe.paths("/sys/class/hwmon/hwmon*/name"):
        chip, folder = text(probe, path), path.rsplit("/", 1)[0]
        found = []
        if chip == "ina3221":
            for channel in (1, 2, 3):
                label = text(probe, f"{folder}/in{channel}_label")
                if label and integer(probe, f"{folder}/in{channel}_enable") != 0:
                    files = f"{folder}/in{channel}_input", f"{folder}/curr{channel}_input"
                    found.append(Rail(label, files))
        elif chip == "ina238":
            found.append(Rail(text(probe, f"{folder}/label") or "VIN", (f"{folder}/power1_input",)))
        for rail in found:
            if rail.name != _UNCONNECTED and rail.watts(probe) is not None:
                rails.setdefault(rail.name, rail)
    return list(rails.values())


def open_source(probe: Probe) -> list[Source]:
    """Return the source, already counting, if any rail answers."""
    rails = find(probe)
    if not rails:
        return []

    def meter() -> dict[str, float]:
        watts = {rail.name: rail.watts(probe) for rail in rails}
        return named({name: value for name, value in watts.items() if value is not None})

    source = Polled(meter, {name: covers(name) for name in meter()})
    source.start()
    return [source]
