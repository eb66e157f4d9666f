"""Repeated timings as a few numbers: percentiles, an interval of the median, the spread.

Timings of one run are not independent: clocks, temperatures and neighbours change slowly, so two frames of the same
round have more in common than two frames of different rounds. Resampling single frames would give intervals that are
several times too narrow; whole rounds are resampled instead (a bootstrap of blocks, Künsch 1989, with the rounds as the
blocks). There are few rounds, five by default, and the plain percentiles of a bootstrap of few blocks are too narrow
too (Hesterberg 2015, "What teachers should know about the bootstrap", section 4.1.3). So the bootstrap gives the
standard error, with its factor sqrt(n / (n - 1)) put right, and Student's t with n - 1 degrees of freedom gives the
width.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from gcpose_trt.benchmark.significance import t_quantile
from gcpose_trt.errors import GcposeError

RESAMPLES = 1000
_SEED = 20250  # any number; the same report must give the same interval every time
_CHUNK = 2_000_000  # weights held at once: 8 MB

Floats = NDArray[np.float64]
Indices = NDArray[np.intp]


def summary(values: ArrayLike, rounds: ArrayLike | None = None, frames: ArrayLike | None = None) -> dict[str, Any]:
    """Return what a report says about repeated measurements (SUMMARY in `schema`).

    Percentiles are interpolated linearly between the two nearest values, type 7 of Hyndman & Fan 1996, numpy's own.

    Args:
        values: (N,) or (rounds, frames) measurements, in any unit (milliseconds, frames a second, bytes), 0 or more.
            A table says by its rows and columns which round and frame each value is of.
        rounds: (N,) the round of each value, any integers; None: each value was measured independently of the
            others, as when a process is started again for each.
        frames: (N,) the frame of each value; None: all are measurements of the same thing.

    Returns:
        "count", "median", "p90", "p99", "mean", "min", "max", "blocks" (rounds, or values where there are none),
        "ci95" (95 % interval of the median, never below 0; None for a single block, which says nothing of how others
        would be) and "spread" (see `spread`).

    Raises:
        GcposeError: no values, some are not finite or below 0, or lengths differ.
    """
    flat, of_round, of_frame = _labelled(values, rounds, frames)
    median, p90, p99 = np.percentile(flat, [50, 90, 99])
    blocks = int(of_round.max()) + 1
    error = median_error(flat, of_round)
    interval = None
    if error is not None:
        reach = t_quantile(blocks - 1) * error
        interval = [max(0.0, float(median) - reach), float(median) + reach]
    return {
        "count": len(flat),
        "median": float(median),
        "p90": float(p90),
        "p99": float(p99),
        "mean": float(flat.mean()),
        "min": float(flat.min()),
        "max": float(flat.max()),
        "blocks": blocks,
        "ci95": interval,
        "spread": spread(flat, of_frame),
    }


def spread(values: Floats, frames: Indices) -> float | None:
    """Return how far apart measurements of the same frame are: 0.1 is 10 %.

    It is the distance between the quartiles of value / (median of the same frame's values), over their median. So what
    frames differ by, such as their people, does not count; what the machine does between one round and the next does.

    Args:
        values: (N,).
        frames: (N,) from 0, the frame of each.

    Returns:
        The spread; None if no frame was measured twice, or the values are 0.
    """
    order = np.lexsort((values, frames))
    ordered, of_frame = values[order], frames[order]
    counts = np.bincount(of_frame)
    starts = np.cumsum(counts) - counts
    # The middle one or two of each frame's sorted values; `clip` only matters for a number that no value has.
    low, high = np.clip(starts + (counts - 1) // 2, 0, None), starts + counts // 2
    medians = (ordered[low[of_frame]] + ordered[high[of_frame]]) / 2
    usable = (counts[of_frame] > 1) & (medians > 0)
    if not usable.any():
        return None
    q1, middle, q3 = np.percentile(ordered[usable] / medians[usable], [25, 50, 75])
    return float((q3 - q1) / middle) if middle > 0 else None


def median_error(values: Floats, rounds: Indices, frames: Indices | None = None) -> float | None:
    """Return the standard error of the median by a bootstrap of whole rounds.

    Args:
        values: (N,).
        rounds: (N,) from 0, the round of each.
        frames: (N,) from 0: the frames are resampled too, for what the median says of other frames of the clip. None:
            the frames stay as they are.

    Returns:
        The standard error, in the unit of the values; None if there is one round only.
    """
    blocks = int(rounds.max()) + 1
    if blocks < 2:
        return None
    order = np.argsort(values, kind="stable")
    ordered = values[order]
    medians = np.concatenate(
        [
            _weighted_medians(ordered, weights)
            for weights in _weights(rounds[order], None if frames is None else frames[order])
        ]
    )
    return float(medians.std(ddof=1) * np.sqrt(blocks / (blocks - 1)))


def _weights(rounds: Indices, frames: Indices | None) -> Iterator[NDArray[np.int32]]:
    """Yield (some, N) how often each value is in a resample, until there are `RESAMPLES` of them."""
    rng = np.random.default_rng(_SEED)
    step = max(1, _CHUNK // len(rounds))
    for start in range(0, RESAMPLES, step):
        size = min(step, RESAMPLES - start)
        weights = _draw(rng, rounds, size)
        if frames is not None:
            weights = weights * _draw(rng, frames, size)
        # A ragged table can give a resample without any value: rounds that lack the frames that were drawn.
        yield weights[weights.any(axis=1)]


def _draw(rng: np.random.Generator, groups: Indices, size: int) -> NDArray[np.int32]:
    count = int(groups.max()) + 1
    return rng.multinomial(count, np.full(count, 1 / count), size=size).astype(np.int32)[:, groups]


def _weighted_medians(ordered: Floats, weights: NDArray[np.int32]) -> Floats:
    """Return the median of each row of weights (some, N) for sorted values (N,)."""
    below = np.cumsum(weights, axis=1, dtype=np.int32)
    total = below[:, -1:]
    # For an even total, the two in the middle: the last of the lower half and the first of the upper half.
    low = (2 * below < total).sum(axis=1)
    high = (2 * below <= total).sum(axis=1)
    return (ordered[low] + ordered[high]) / 2


def _labelled(values: ArrayLike, rounds: ArrayLike | None, frames: ArrayLike | None) -> tuple[Floats, Indices, Indices]:
    """Return (N,) values with the round and the frame of each, both counted from 0 without gaps."""
    try:
        table = np.asarray(values, np.float64)
    except (TypeError, ValueError) as error:
        raise GcposeError(f"measurements are not a table of numbers ({error}); pass one row a round") from error
    if table.ndim == 2 and rounds is None and frames is None:
        rounds, frames = (index.ravel() for index in np.indices(table.shape))
        table = table.ravel()
    if table.ndim != 1 or not len(table):
        raise GcposeError(f"measurements of shape {table.shape} cannot be summed up; pass at least one, (N,)")
    if not np.isfinite(table).all() or table.min() < 0:
        raise GcposeError("a measurement is not a number from 0 up; leave out what was not measured")
    return table, _numbered(rounds, len(table), apart=True), _numbered(frames, len(table), apart=False)


def _numbered(labels: ArrayLike | None, length: int, *, apart: bool) -> Indices:
    if labels is None:
        return np.arange(length) if apart else np.zeros(length, np.intp)
    array = np.asarray(labels)
    if array.shape != (length,):
        raise GcposeError(f"{length} measurements, but rounds or frames of shape {array.shape}; pass one for each")
    return np.unique(array, return_inverse=True)[1].reshape(length)
