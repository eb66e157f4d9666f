"""Is a difference more than chance? Student's t, and many comparisons at once."""

from __future__ import annotations

import functools
from collections.abc import Sequence

import numpy as np

_STEPS = 4001


def t_p_value(t: float, degrees: float) -> float:
    """Return how likely a value at least as far from 0 as `t` is (two-sided) under Student's t.

    With t = sqrt(degrees) tan(a), the density becomes one of cos(a) ** (degrees - 1), which is smooth on a finite range
    and summed up by Simpson's rule; the values agree with printed tables to all their digits.

    Args:
        t: the statistic; may be infinite.
        degrees: degrees of freedom, 1 or more, need not be whole.

    Returns:
        0 to 1.
    """
    angle = np.arctan2(abs(t), np.sqrt(degrees))
    tail = _area(float(angle), degrees)
    return float(min(1.0, tail / _area(0.0, degrees)))


@functools.lru_cache(maxsize=1024)
def _area(start: float, degrees: float) -> float:
    """Return the integral of cos(a) ** (degrees - 1) from `start` to where nothing is left."""
    angles = np.linspace(min(start, _end(degrees)), _end(degrees), _STEPS)
    heights = np.clip(np.cos(angles), 0.0, None) ** (degrees - 1)
    weights = np.full(_STEPS, 2.0)
    weights[1::2] = 4.0
    weights[[0, -1]] = 1.0
    return float((weights * heights).sum() * (angles[1] - angles[0]) / 3)


def _end(degrees: float) -> float:
    """Return the angle of infinity, or for many degrees of freedom of t = 40, which is as good and spares steps."""
    return np.pi / 2 if degrees < 100 else float(np.arctan(40 / np.sqrt(degrees)))


@functools.lru_cache(maxsize=1024)
def t_quantile(degrees: float, level: float = 0.95) -> float:
    """Return how far from 0 Student's t stays with the chance `level`: 1.96 for many degrees of freedom, 12.7 for one.

    Args:
        degrees: degrees of freedom, 1 or more.
        level: 0..1.
    """
    angles = np.linspace(0.0, _end(degrees), 5 * _STEPS)
    heights = np.clip(np.cos(angles), 0.0, None) ** (degrees - 1)
    areas = np.concatenate([[0.0], np.cumsum(heights[1:] + heights[:-1])])
    return float(np.sqrt(degrees) * np.tan(np.interp(level, areas / areas[-1], angles)))


def adjusted(p_values: Sequence[float]) -> list[float]:
    """Return each p-value as it counts among all of them (Benjamini & Hochberg 1995).

    Of the comparisons whose result is at most q, no more than the share q is expected to be chance; if nothing at all
    has changed, then the chance that any of them is that low is q. It holds for measurements that go up and down
    together, as a stage and the whole do (Benjamini & Yekutieli 2001).

    Args:
        p_values: (N,) 0 to 1.

    Returns:
        (N,) in the same order.
    """
    array = np.asarray(p_values, np.float64)
    order = np.argsort(array)[::-1]
    ranks = np.arange(len(array), 0, -1)
    result = np.empty_like(array)
    result[order] = np.minimum.accumulate(array[order] * len(array) / ranks) if len(array) else array
    return [float(value) for value in np.minimum(result, 1.0)]
