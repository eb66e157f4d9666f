"""A stand-in for the module pynvml: two cards, one that counts joules and one that tells watts only."""

from __future__ import annotations

import sys
import types
from dataclasses import dataclass, field
from typing import Any

import pytest


class NVMLError(Exception):
    """As the library raises it."""


@dataclass
class Card:
    """What a card answers; None: not supported."""

    name: str = "NVIDIA GeForce RTX 4090"
    energy: int | None = 5_000_000
    power: int | None = 120_500
    reasons: int = 0x1
    capability: tuple[int, int] = (8, 9)
    clock: int = 2520
    temperature: int = 44


@dataclass
class Library:
    """The module, and how often it was opened more than closed."""

    cards: list[Card] = field(default_factory=lambda: [Card()])
    old: bool = False
    opened: int = 0

    def module(self) -> types.ModuleType:
        """Return what takes pynvml's place."""
        module: Any = types.ModuleType("pynvml")
        module.NVMLError = NVMLError
        module.NVML_CLOCK_SM, module.NVML_CLOCK_MEM, module.NVML_TEMPERATURE_GPU = 1, 2, 0

        def count(step: int) -> None:
            self.opened += step

        def supported(value: Any) -> Any:
            if value is None:
                raise NVMLError("Not Supported")
            return value

        module.nvmlInit = lambda: count(1)
        module.nvmlShutdown = lambda: count(-1)
        module.nvmlDeviceGetCount = lambda: len(self.cards)
        module.nvmlDeviceGetHandleByIndex = lambda index: self.cards[index]
        # Older versions of the package give bytes.
        module.nvmlDeviceGetName = lambda card: card.name.encode() if self.old else card.name
        module.nvmlSystemGetDriverVersion = lambda: "580.82.07"
        module.nvmlDeviceGetCudaComputeCapability = lambda card: card.capability
        module.nvmlDeviceGetMemoryInfo = lambda card: types.SimpleNamespace(total=25_757_220_864, used=300_000_000)
        module.nvmlDeviceGetEnforcedPowerLimit = lambda card: 450_000
        module.nvmlDeviceGetMaxClockInfo = lambda card, kind: {1: 3105, 2: 10501}[kind]
        module.nvmlDeviceGetClockInfo = lambda card, kind: {1: card.clock, 2: 10501}[kind]
        module.nvmlDeviceGetTemperature = lambda card, sensor: card.temperature
        module.nvmlDeviceGetUtilizationRates = lambda card: types.SimpleNamespace(gpu=37, memory=5)
        module.nvmlDeviceGetPowerUsage = lambda card: supported(card.power)
        module.nvmlDeviceGetTotalEnergyConsumption = lambda card: supported(card.energy)
        kind = "Throttle" if self.old else "Event"
        setattr(module, f"nvmlDeviceGetCurrentClocks{kind}Reasons", lambda card: card.reasons)
        return module


@pytest.fixture
def nvml(monkeypatch: pytest.MonkeyPatch) -> Library:
    """NVML with one card that counts joules."""
    library = Library()
    monkeypatch.setitem(sys.modules, "pynvml", library.module())
    return library


@pytest.fixture
def no_driver(monkeypatch: pytest.MonkeyPatch) -> None:
    """nvidia-ml-py without a driver."""
    module: Any = types.ModuleType("pynvml")

    def fail() -> None:
        raise NVMLError("NVML Shared Library Not Found")

    module.nvmlInit = fail
    monkeypatch.setitem(sys.modules, "pynvml", module)
