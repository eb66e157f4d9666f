"""Where to cut a distribution: percentile, entropy and least squared error, from a histogram.

Cutting few large values makes the steps between levels finer for all others; the methods differ in what they weigh.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from gcpose_trt.quantization.histogram import Histogram
from gcpose_trt.quantization.record import TensorRange

PERCENTILES = ("99.9", "99.99", "99.999")
LEVELS = 127  # positive levels of symmetric INT8; -128 is not used, so that negation is exact
STEPS = 255  # steps of unsigned INT8
_ENTROPY_LEVELS = 128  # magnitudes that the quantized distribution of the entropy method tells apart
_CANDIDATES = 64
_COARSE = 8  # cuts of each end that are tried with each of the other
_FINE = 24  # cuts of one end that are tried next, around the best so far

Floats = NDArray[np.float64]


def summarise(histogram: Histogram, graph: str) -> TensorRange:
    """Return the range of a tensor by every method."""
    low, high = mse_range(histogram)
    return TensorRange(
        graph=graph,
        min=histogram.min,
        max=histogram.max,
        percentile={name: percentile(histogram, float(name)) for name in PERCENTILES},
        entropy=entropy(histogram),
        mse=mse(histogram),
        mse_min=low,
        mse_max=high,
    )


def percentile(histogram: Histogram, percentage: float) -> float:
    """Return the magnitude that `percentage` of all values, zeros among them, do not exceed.

    Exact to the width of a bin; values are taken to be evenly spread within one.
    """
    counts = histogram.magnitudes()
    wanted = histogram.total * percentage / 100 - histogram.zeros
    if wanted <= 0 or not counts.any():
        return 0.0
    behind = np.cumsum(counts)
    place = int(np.searchsorted(behind, wanted))
    if place >= len(counts):
        return histogram.amax
    share = (wanted - (behind[place] - counts[place])) / counts[place]
    return min(histogram.amax, (place + float(share)) * histogram.width)


def entropy(histogram: Histogram) -> float:
    """Return the magnitude at which the quantized distribution is closest to the float one, by their divergence.

    The reference distribution is the histogram of |x| up to the cut with all that lies beyond in its last bin; the
    quantized one has 128 levels, each spread evenly over those of its bins that are not empty (Migacz, "8-bit inference
    with TensorRT", GTC 2017). Exact zeros are left out, as every cut keeps them.
    """
    counts = histogram.magnitudes().astype(np.float64)
    used = _used(counts)
    if used <= _ENTROPY_LEVELS:
        return histogram.amax
    step = max(1, histogram.bins // 128)
    cuts = [*range(_ENTROPY_LEVELS, used, step), used]
    best = min(cuts, key=lambda cut: (_divergence(counts, cut), -cut))
    return min(histogram.amax, best * histogram.width)


def _used(counts: NDArray[np.generic]) -> int:
    """Return how many bins there are up to the last that is not empty."""
    filled = np.flatnonzero(counts)
    return int(filled[-1]) + 1 if filled.size else 0


def _divergence(counts: Floats, cut: int) -> float:
    """Return the Kullback-Leibler divergence of the quantized distribution from the float one, cut after `cut` bins."""
    kept = counts[:cut]
    filled = kept > 0
    if not filled.any():
        return np.inf
    reference = kept.copy()
    reference[-1] += counts[cut:].sum()
    level = np.arange(cut) * _ENTROPY_LEVELS // cut
    spread = np.bincount(level, kept) / np.maximum(np.bincount(level, filled), 1)
    quantized = np.where(filled, spread[level], 0.0)
    present = reference > 0
    p = reference[present] / reference.sum()
    # What was cut may be put into a bin that is empty in the quantized distribution: costly, but not infinitely so.
    q = np.maximum(quantized[present] / quantized.sum(), 1e-9)
    return float(np.sum(p * np.log(p / q)))


def mse(histogram: Histogram) -> float:
    """Return the magnitude T of least squared error where values are rounded to multiples of T / 127 and cut at T."""
    counts = histogram.magnitudes().astype(np.float64)
    used = _used(counts)
    if not used:
        return 0.0
    edges = np.arange(used + 1, dtype=np.float64) * histogram.width
    cuts = np.linspace(histogram.amax / _CANDIDATES, histogram.amax, _CANDIDATES)
    errors = [squared_error(counts[:used], edges, -cut, cut, cut / LEVELS) for cut in cuts]
    return float(cuts[int(np.argmin(errors))])


def mse_range(histogram: Histogram) -> tuple[float, float]:
    """Return the ends (low, high) of least squared error with 256 levels between them, zero exactly one of them."""
    low, high = min(0.0, histogram.min), max(0.0, histogram.max)
    filled = np.flatnonzero(histogram.counts)
    if not filled.size:
        return 0.0, 0.0
    first, last = int(filled[0]), int(filled[-1]) + 1
    counts = histogram.counts[first:last].astype(np.float64)
    edges = (np.arange(first, last + 1, dtype=np.float64) - histogram.bins) * histogram.width

    def error(ends: tuple[float, float]) -> float:
        bottom, top = on_grid(*ends)
        return squared_error(counts, edges, bottom, top, (top - bottom) / STEPS)

    shares = np.arange(1, _COARSE + 1) / _COARSE
    best = min(((a, b) for a in _cuts(low, shares) for b in _cuts(high, shares)), key=error)
    for reach in (1 / _COARSE, 1 / _COARSE**2):
        around = np.linspace(-reach, reach, _FINE + 1)
        if high:
            best = min([best, *((best[0], b) for b in _cuts(high, best[1] / high + around))], key=error)
        if low:
            best = min([best, *((a, best[1]) for a in _cuts(low, best[0] / low + around))], key=error)
    return on_grid(*best)


def _cuts(end: float, shares: Floats) -> list[float]:
    """Return the given shares of an end of the range, none of them beyond it; zero alone where the end is zero."""
    return [end * float(share) for share in shares if 0 < share <= 1] if end else [0.0]


def on_grid(low: float, high: float) -> tuple[float, float]:
    """Return the ends that lie a whole number of steps from zero, of 255 steps as large as those of (low, high)."""
    step = (high - low) / STEPS
    below = round(-low / step)
    return -below * step, (STEPS - below) * step


def squared_error(counts: Floats, edges: Floats, low: float, high: float, step: float) -> float:
    """Return the sum of squared errors of rounding to multiples of `step` and cutting at the ends.

    Args:
        counts: (n,) values in each bin, taken to be evenly spread there.
        edges: (n + 1,) of the bins.
        low, high: ends, multiples of `step`.
        step: distance of two levels.
    """
    # The integral of the squared error from 0 to x: step^3 / 12 a level passed, the rest from the nearest level on.
    # Integrals instead of the bins' centres: near zero a level may be narrower than a bin.
    inside = np.clip(edges, low, high)
    level = np.rint(inside / step)
    integral = level * step**3 / 12 + (inside - level * step) ** 3 / 3
    integral += (edges - inside) ** 3 / 3
    return float(np.dot(counts, np.diff(integral)) / (edges[1] - edges[0]))
