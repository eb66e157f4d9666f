"""Fixtures of the machine's tests."""

from tests.benchmark.environment.stand_in import no_driver, nvml

__all__ = ["no_driver", "nvml"]
