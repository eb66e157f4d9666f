"""How far two arrays of the same meaning are apart, gathered over frames."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
_MOST = 1 << 18  # values a frame that enter median and percentile; the largest is of all


@dataclass(frozen=True)
class Difference:
    """What `Gauge.read` returns.

    Attributes:
        count: values compared; 0 where there was nothing to compare, and all numbers are 0 then.
        largest, median, p95: absolute differences.
        relative_largest: `largest` in parts of the largest magnitude of A's values.
        relative_median: `median` in parts of the root mean square of A's values.
    """

    count: int
    largest: float
    median: float
    p95: float
    relative_largest: float
    relative_median: float


class Gauge:
    """Gathers differences; a NaN in either array makes the result NaN, which no limit accepts."""

    def __init__(self) -> None:
        self._samples: list[Array] = []
        self._largest = self._peak = self._squares = 0.0
        self._count = 0

    def add(self, a: Array, b: Array) -> None:
        """Add two arrays of the same shape."""
        self.add_distances(np.abs(a.astype(np.float64) - b), np.abs(a))

    def add_distances(self, distances: Array, magnitudes: Array) -> None:
        """Add distances (any shape) and the magnitudes (any shape) that they are relative to."""
        if not distances.size:
            return
        flat = distances.ravel()
        self._count += flat.size
        # np.maximum keeps a NaN, which Python's max may lose.
        self._largest = float(np.maximum(self._largest, flat.max()))
        self._peak = float(np.maximum(self._peak, magnitudes.max()))
        self._squares += float(np.square(magnitudes, dtype=np.float64).mean()) * flat.size
        self._samples.append(flat[:: -(-flat.size // _MOST)])

    def read(self) -> Difference:
        """Return the differences gathered so far."""
        if not self._count:
            return Difference(0, 0.0, 0.0, 0.0, 0.0, 0.0)
        values = np.concatenate(self._samples)
        median, p95 = (float(value) for value in np.percentile(values, [50, 95]))
        scale = (self._squares / self._count) ** 0.5
        return Difference(
            self._count, self._largest, median, p95, _ratio(self._largest, self._peak), _ratio(median, scale)
        )


def _ratio(value: float, scale: float) -> float:
    return value / scale if scale > 0 else (0.0 if value == 0 else float("inf"))
