"""Assignment against trying everything."""

from __future__ import annotations

import itertools

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from gcpose_trt.pose.tracking.assignment import assign


def best_by_trying(similarity: NDArray[np.float64], minimum: float) -> float:
    gain = np.where(similarity >= minimum, similarity, 0)
    gain = gain if gain.shape[0] <= gain.shape[1] else gain.T
    return max(
        sum(gain[row, column] for row, column in enumerate(columns))
        for columns in itertools.permutations(range(gain.shape[1]), gain.shape[0])
    )


@settings(deadline=None, max_examples=300, derandomize=True)
@given(
    rows=st.integers(1, 5),
    columns=st.integers(1, 6),
    empty=st.floats(0, 0.9),
    ties=st.booleans(),
    seed=st.integers(0, 2**32 - 1),
)
def test_sum_is_the_greatest(rows: int, columns: int, empty: float, ties: bool, seed: int) -> None:
    rng = np.random.default_rng(seed)
    similarity = rng.uniform(0, 1, (rows, columns)) * (rng.uniform(0, 1, (rows, columns)) >= empty)
    if ties:
        similarity = np.round(similarity * 4) / 4
    pairs = assign(similarity, 0.2)
    assert len({row for row, _ in pairs}) == len({column for _, column in pairs}) == len(pairs)
    assert all(similarity[pair] >= 0.2 for pair in pairs)
    assert pairs == sorted(pairs)
    assert abs(sum(similarity[pair] for pair in pairs) - best_by_trying(similarity, 0.2)) < 1e-9


def test_better_than_taking_the_best_pair_first() -> None:
    assert assign(np.array([[0.9, 0.8], [0.8, 0.1]]), 0.0) == [(0, 1), (1, 0)]


def test_nothing_to_assign() -> None:
    assert assign(np.zeros((0, 3)), 0.1) == []
    assert assign(np.zeros((3, 0)), 0.1) == []
    assert assign(np.full((2, 2), 0.05), 0.1) == []
    assert assign(np.zeros((2, 2)), 0.0) == []


def test_a_crowd_keeps_its_own() -> None:
    rng = np.random.default_rng(0)
    order = rng.permutation(50)
    similarity = rng.uniform(0, 0.49, (50, 50))
    similarity[np.arange(50), order] = 1
    assert assign(similarity, 0.0) == list(enumerate(order.tolist()))
