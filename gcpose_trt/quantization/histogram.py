"""Histograms that grow with what they see, and come out the same in whatever order and portions they see it."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

BINS = 2048
FEWEST_BINS = 256  # 128 levels need some bins each, and the top half of the range may be empty
_CHUNK = 1 << 18  # values looked at together: indices of 8 bytes each stay in the cache
_SMALLEST = -100  # exponent below which the reciprocal of a bin's width would overflow float32

Counts = NDArray[np.int64]


class NotFiniteError(ValueError):
    """A tensor has NaN or infinite values."""


class Histogram:
    """How often which values of one tensor were seen.

    The range is a power of two on both sides of zero, and a bin a power of two wide. When a value falls outside, the
    range doubles and neighbouring bins become one. Scaling by powers of two is exact, so the counts are those that the
    final range would have given from the start.

    Args:
        bins: number on each side of zero, a power of two.

    Attributes:
        counts: (2 bins,) int64; bin `bins + i` counts the x of i * width <= x < (i + 1) * width, zeros left out.
        exponent: values lie within plus and minus 2 ** exponent; None while all that was seen was zero.
        zeros: how many values were exactly zero: they are quantized without error.
        min, max: extremes; 0 while nothing was seen.
        total: how many values were seen.
    """

    def __init__(self, bins: int = BINS) -> None:
        if bins < FEWEST_BINS or bins & (bins - 1):
            raise ValueError(f"{bins} bins is not a power of two of at least {FEWEST_BINS}")
        self.bins = bins
        self.counts: Counts = np.zeros(2 * bins, np.int64)
        self.exponent: int | None = None
        self.zeros = 0
        self.total = 0
        self.min = 0.0
        self.max = 0.0

    @property
    def width(self) -> float:
        """Width of a bin."""
        return math.ldexp(1.0, (self.exponent or 0) - (self.bins.bit_length() - 1))

    @property
    def amax(self) -> float:
        """Largest magnitude seen."""
        return max(abs(self.min), abs(self.max))

    def add(self, values: NDArray[np.float32]) -> None:
        """Count the values of an array of any shape.

        Raises:
            NotFiniteError: NaN or infinity among them; nothing is counted then.
        """
        flat = np.ascontiguousarray(values, np.float32).ravel()
        if not flat.size:
            return
        low, high = float(flat.min()), float(flat.max())
        if not (math.isfinite(low) and math.isfinite(high)):
            raise NotFiniteError("NaN" if math.isnan(low) else "infinite values")
        self._extend(low, high)
        self.total += flat.size
        if self.exponent is None:
            self.zeros += flat.size
            return
        scale = np.float32(1 / self.width)
        for start in range(0, flat.size, _CHUNK):
            chunk = flat[start : start + _CHUNK]
            places = np.floor(chunk * scale).astype(np.intp) + self.bins
            self.counts += np.bincount(places, minlength=2 * self.bins)
            zeros = chunk.size - np.count_nonzero(chunk)
            self.zeros += zeros
            self.counts[self.bins] -= zeros

    def merge(self, other: Histogram) -> None:
        """Count what another histogram of as many bins has counted; the other stays as it is."""
        if other.bins != self.bins:
            raise ValueError(f"cannot merge histograms of {self.bins} and {other.bins} bins")
        if not other.total:
            return
        self._extend(other.min, other.max)
        self.total += other.total
        self.zeros += other.zeros
        if other.exponent is not None and self.exponent is not None:
            self.counts += _coarser(other.counts, self.exponent - other.exponent)

    def magnitudes(self) -> Counts:
        """Return (bins,) int64, counts of |x| by bin, zeros left out."""
        return self.counts[self.bins :] + self.counts[: self.bins][::-1]

    def _extend(self, low: float, high: float) -> None:
        """Take in new extremes and make room for them."""
        self.min = min(self.min, low) if self.total else low
        self.max = max(self.max, high) if self.total else high
        most = max(abs(low), abs(high))
        if not most:
            return
        needed = max(math.frexp(most)[1], _SMALLEST)  # most < 2 ** needed
        if self.exponent is None:
            self.exponent = needed
        elif needed > self.exponent:
            self.counts = _coarser(self.counts, needed - self.exponent)
            self.exponent = needed


def _coarser(counts: Counts, doublings: int) -> Counts:
    """Return the counts over a range `2 ** doublings` times as wide."""
    if not doublings:
        return counts
    bins = len(counts) // 2
    places = (np.arange(-bins, bins) >> min(doublings, 62)) + bins
    wide = np.zeros_like(counts)
    np.add.at(wide, places, counts)
    return wide
