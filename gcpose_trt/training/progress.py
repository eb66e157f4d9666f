"""How long a run still goes, and how much memory it has taken."""

from __future__ import annotations

import time
from collections.abc import Callable

import torch

MIB = 2**20


class TimeLeft:
    """Estimates from this process's own pace; what an earlier one took, maybe on another machine, says little.

    Checkpoints and evaluations between the iterations count in; what comes after the last one does not.

    Args:
        total: iterations of the run; None if the clock ends it.
        start: iterations done before.
        seconds: what is left now of a run that the clock ends.
        clock: returns seconds.
    """

    def __init__(
        self,
        *,
        total: int | None,
        start: int = 0,
        seconds: float | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._total, self._start, self._seconds, self._clock = total, start, seconds, clock
        self._since = clock()

    def after(self, iteration: int) -> float | None:
        """Return the seconds that are left after so many iterations; None where nothing tells."""
        spent = self._clock() - self._since
        if self._seconds is not None:
            return max(self._seconds - spent, 0.0)
        if self._total is None or iteration <= self._start:
            return None
        return spent / (iteration - self._start) * max(self._total - iteration, 0)


def duration(seconds: float) -> str:
    """Return a time in the two units that matter: "45 s", "23 min", "3 h 05 min", "2 d 04 h"."""
    # Rounded first, so that no unit shows as many as make the next one.
    whole = round(seconds)
    if whole < 120:
        return f"{whole} s"
    minutes = round(seconds / 60)
    if minutes < 120:
        return f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    if hours < 48:
        return f"{hours} h {minutes:02d} min"
    days, hours = divmod(round(seconds / 3600), 24)
    return f"{days} d {hours:02d} h"


def peak_memory(device: torch.device) -> int | None:
    """Return the most bytes that this process has held; None where the system does not say.

    On a GPU those that PyTorch has taken from the card, else the process's RAM without that of its data workers.
    """
    if device.type == "cuda":
        return int(torch.cuda.max_memory_reserved(device))
    from gcpose_trt.benchmark.memory import host_peak

    return host_peak()
