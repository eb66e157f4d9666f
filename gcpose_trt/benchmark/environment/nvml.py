"""NVIDIA's management library by nvidia-ml-py: what GPUs are, do and use. Tested with a stand-in for the library."""

from __future__ import annotations

import importlib
from typing import Any

from gcpose_trt.doctor.probe import Probe

INSTALL = "pip install 'gcpose-trt[benchmark]'"
# Bits of nvmlClocksEventReasons that mean slower than the GPU could; idle and clocks set on purpose are not among them.
_REASONS = {
    0x4: "power limit",
    0x8: "hardware slowdown",
    0x10: "clocks tied to another GPU",
    0x20: "temperature, by the driver",
    0x40: "temperature, by the hardware",
    0x80: "power supply, by the hardware",
    0x200: "limit of the board",
    0x400: "voltage, for reliability",
}


def slowed_by(bits: int | None) -> list[str]:
    """Return in words why a GPU's clocks are below what they could be."""
    return [words for bit, words in _REASONS.items() if bits is not None and bits & bit]


class Nvml:
    """An open library. Questions that a GPU does not answer give None.

    Args:
        library: the module `pynvml`, initialised.
    """

    def __init__(self, library: Any) -> None:
        self._library = library
        self._handles = [library.nvmlDeviceGetHandleByIndex(index) for index in range(library.nvmlDeviceGetCount())]

    def __len__(self) -> int:
        return len(self._handles)

    def ask(self, question: str, index: int | None = None, *arguments: Any) -> Any:
        """Call `nvml<question>`.

        Args:
            question: "DeviceGetName", "SystemGetDriverVersion".
            index: of the GPU; None for a question to the system.
            arguments: further ones.

        Returns:
            The answer, text as str; None if it is not supported or fails.
        """
        head = () if index is None else (self._handles[index],)
        try:
            answer = getattr(self._library, f"nvml{question}")(*head, *arguments)
        except Exception:  # NVMLError of many kinds, or a function that this version has not
            return None
        return answer.decode() if isinstance(answer, bytes) else answer

    def describe(self, index: int) -> dict[str, Any]:
        """Return what does not change: name, compute capability, memory in bytes, limits in watts and MHz."""
        capability = self.ask("DeviceGetCudaComputeCapability", index)
        limit = self.ask("DeviceGetEnforcedPowerLimit", index)
        return {
            "name": self.ask("DeviceGetName", index),
            "compute_capability": ".".join(map(str, capability)) if capability else None,
            "memory_bytes": getattr(self.ask("DeviceGetMemoryInfo", index), "total", None),
            "power_limit_watts": limit / 1000 if limit is not None else None,
            "clock_max_mhz": self.ask("DeviceGetMaxClockInfo", index, self._library.NVML_CLOCK_SM),
            "memory_clock_max_mhz": self.ask("DeviceGetMaxClockInfo", index, self._library.NVML_CLOCK_MEM),
        }

    def now(self, index: int) -> dict[str, Any]:
        """Return what changes: clocks in MHz, Celsius, watts, load (0..1), memory in bytes, why it is slowed."""
        power = self.ask("DeviceGetPowerUsage", index)
        load = getattr(self.ask("DeviceGetUtilizationRates", index), "gpu", None)
        reasons = self.ask("DeviceGetCurrentClocksEventReasons", index)
        if reasons is None:  # the name before driver 535
            reasons = self.ask("DeviceGetCurrentClocksThrottleReasons", index)
        return {
            "name": self.ask("DeviceGetName", index),
            "clock_mhz": self.ask("DeviceGetClockInfo", index, self._library.NVML_CLOCK_SM),
            "memory_clock_mhz": self.ask("DeviceGetClockInfo", index, self._library.NVML_CLOCK_MEM),
            "temperature": self.ask("DeviceGetTemperature", index, self._library.NVML_TEMPERATURE_GPU),
            "power_watts": power / 1000 if power is not None else None,
            "utilisation": load / 100 if load is not None else None,
            "memory_used_bytes": getattr(self.ask("DeviceGetMemoryInfo", index), "used", None),
            "throttled": slowed_by(reasons) if reasons is not None else None,
        }

    def watts(self, index: int) -> float | None:
        """Return the power that the whole card takes now."""
        power = self.ask("DeviceGetPowerUsage", index)
        return None if power is None else power / 1000

    def joules(self, index: int) -> float | None:
        """Return the energy since the driver was loaded; None on GPUs before Volta, which do not count it."""
        energy = self.ask("DeviceGetTotalEnergyConsumption", index)
        return None if energy is None else energy / 1000

    @property
    def driver(self) -> str | None:
        """Version of the driver, "580.82.07"."""
        return self.ask("SystemGetDriverVersion")

    def close(self) -> None:
        """Let go of the library; whoever else opened it keeps it."""
        self.ask("Shutdown")


def connect(probe: Probe) -> tuple[Nvml | None, str]:
    """Open the library.

    Args:
        probe: says whether nvidia-ml-py is installed.

    Returns:
        The library and "", or None and why not.
    """
    if probe.module("pynvml") is None:
        return None, f"the package nvidia-ml-py is not installed: {INSTALL}"
    try:
        library = importlib.import_module("pynvml")
        library.nvmlInit()
    except Exception as error:  # ImportError, or NVMLError without a driver
        return None, f"no NVIDIA driver that answers ({error})"
    try:
        return Nvml(library), ""
    except Exception as error:
        library.nvmlShutdown()
        return None, f"no NVIDIA driver that answers ({error})"
