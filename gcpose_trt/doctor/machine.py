"""What kind of machine this is: it decides what is missing here, and which command puts a thing right."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from gcpose_trt.doctor.probe import Probe

JETSON, GPU, CPU = "jetson", "gpu", "cpu"
_JETPACK_OF_L4T = {32: "4", 34: "5", 35: "5", 36: "6", 38: "7", 39: "7"}
# Modules of PCI class 03xx are display controllers, which compute cards are too.
_NVIDIA_VENDOR, _DISPLAY_CLASS = "0x10de", "0x03"


@dataclass(frozen=True)
class Driver:
    """What the CUDA driver said of itself.

    Attributes:
        found: whether there is a libcuda.so.1.
        code: result of cuInit, 0 if it started; None if it was not reached.
        error: why the question itself failed ("no answer within 3 s"), else "".
        cuda: newest CUDA that it serves, "12.6".
        library: file of libcuda.
        devices: per GPU {"name", "compute_capability", "memory" in bytes, "integrated"}.
        kernel_module: version of the driver in the kernel; None if none is loaded, or on Jetson before JetPack 7.
    """

    found: bool
    code: int | None = None
    error: str = ""
    cuda: str | None = None
    library: str | None = None
    devices: tuple[Mapping[str, Any], ...] = ()
    kernel_module: str | None = None

    @property
    def usable(self) -> bool:
        """Whether programs can use a GPU."""
        return bool(self.devices)

    @property
    def cuda_major(self) -> int | None:
        """12 of "12.6"."""
        return int(self.cuda.split(".")[0]) if self.cuda else None


@dataclass(frozen=True)
class Machine:
    """Where the doctor runs.

    Attributes:
        kind: "jetson", "gpu" (an NVIDIA GPU, working or not) or "cpu".
        container: whether this is a container, where the host brings the driver.
        system: name of the distribution.
        driver: the CUDA driver.
        jetson: name of the board.
        l4t: version of Jetson Linux, "36.4.3".
        jetpack: version of JetPack, exact if its package is installed, else the major version that goes with `l4t`.
    """

    kind: str
    container: bool
    system: str
    driver: Driver
    jetson: str | None = None
    l4t: str | None = None
    jetpack: str | None = None

    @property
    def words(self) -> str:
        """The kind, as the headline says it."""
        if self.kind == JETSON:
            jetpack = f", JetPack {self.jetpack}" if self.jetpack else ""
            return f"{self.jetson or 'NVIDIA Jetson'}{jetpack}"
        if self.kind == GPU:
            names = sorted({str(device["name"]) for device in self.driver.devices})
            return ", ".join(names) if names else "an NVIDIA GPU that programs cannot use"
        return "no NVIDIA GPU"


@dataclass(frozen=True)
class Situation:
    """What a check gets.

    Attributes:
        probe: the door to the machine.
        machine: what it is.
        model: the folder or file of --model; None without.
    """

    probe: Probe
    machine: Machine
    model: str | None = None


def look_at(probe: Probe) -> Machine:
    """Find out what kind of machine this is."""
    l4t = _l4t(probe)
    compatible = probe.read("/proc/device-tree/compatible") or ""
    driver = _driver(probe)
    jetson = l4t is not None or "nvidia,tegra" in compatible
    hardware = driver.usable or driver.kernel_module is not None or _has_card(probe)
    release = dict(re.findall(r'^(\w+)="?([^"\n]*)"?$', probe.read("/etc/os-release") or "", re.MULTILINE))
    model = (probe.read("/proc/device-tree/model") or "").strip("\0 \n")
    return Machine(
        kind=JETSON if jetson else GPU if hardware else CPU,
        container=probe.exists("/.dockerenv") or probe.exists("/run/.containerenv"),
        system=release.get("PRETTY_NAME", "Linux"),
        driver=driver,
        jetson=model or None if jetson else None,
        l4t=l4t,
        jetpack=_jetpack(probe, l4t) if jetson else None,
    )


def _l4t(probe: Probe) -> str | None:
    text = probe.read("/etc/nv_tegra_release") or ""
    match = re.search(r"# R(\d+) \(release\), REVISION: ([\d.]+)", text)
    return f"{match[1]}.{match[2]}" if match else None


def _jetpack(probe: Probe, l4t: str | None) -> str | None:
    package = probe.run("dpkg-query", "--show", "--showformat=${Version}", "nvidia-jetpack")
    match = re.match(r"\d+(\.\d+)*", package.text) if package.ok else None
    if match:
        return match[0]
    return _JETPACK_OF_L4T.get(int(l4t.split(".")[0])) if l4t else None


def _driver(probe: Probe) -> Driver:
    # The open kernel module says "NVIDIA UNIX Open Kernel Module for x86_64  580.82.07  Release Build".
    match = re.search(r"\s(\d+\.\d+(?:\.\d+)?)\s", probe.read("/proc/driver/nvidia/version") or "")
    module = match[1] if match else None
    inspection = probe.inspect("cuda_driver", timeout=4.0)
    facts = inspection.facts
    return Driver(
        found=bool(facts.get("found", bool(inspection.error))),
        code=facts.get("code"),
        error=inspection.error,
        cuda=facts.get("cuda"),
        library=facts.get("library"),
        devices=tuple(facts.get("devices", ())),
        kernel_module=module,
    )


def _has_card(probe: Probe) -> bool:
    return any(
        (probe.read(path) or "").strip() == _NVIDIA_VENDOR
        and (probe.read(path.replace("/vendor", "/class")) or "").startswith(_DISPLAY_CLASS)
        for path in probe.paths("/sys/bus/pci/devices/*/vendor")
    )
