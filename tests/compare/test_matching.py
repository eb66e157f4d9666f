"""Matching of boxes."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from gcpose_trt.compare.matching import match, overlap

A = np.array([[0, 0, 10, 10], [20, 20, 30, 30], [5, 5, 5, 5]], np.float32)
B = np.array([[20, 20, 30, 30.01], [0, 0, 10, 9.0], [5, 5, 5, 5]], np.float32)


def test_a_pair_overlaps_more_than_asked() -> None:
    assert match(A, B, 0.99).tolist() == [[1, 0]]
    assert match(A, B, 0.5).tolist() == [[0, 1], [1, 0]]


def test_nothing_to_match() -> None:
    assert match(A, B[:0], 0.5).shape == (0, 2)
    assert match(A[:0], B, 0.5).shape == (0, 2)


def test_two_boxes_over_one_are_one_pair() -> None:
    twice = np.array([[0, 0, 10, 10], [0, 0, 10, 9]], np.float32)
    assert match(twice, twice[:1], 0.5).tolist() == [[0, 0]]
    assert match(twice[:1], twice, 0.5).tolist() == [[0, 0]]


def test_equal_boxes_are_paired_one_by_one() -> None:
    twice = np.array([[0, 0, 10, 10], [0, 0, 10, 10]], np.float32)
    assert match(twice, twice, 0.99).tolist() == [[0, 0], [1, 1]]


def test_the_best_pair_goes_first() -> None:
    a = np.array([[0, 0, 10, 10], [0, 0, 10, 9]], np.float32)
    assert match(a, a[1:], 0.5).tolist() == [[1, 0]]


@settings(max_examples=30, deadline=None, derandomize=True)
@given(st.integers(0, 12), st.integers(0, 2**32 - 1))
def test_boxes_in_another_order_are_found(count: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    # On a grid wider than the boxes, so that no two overlap.
    corner = np.stack(np.divmod(rng.permutation(100)[:count], 10), 1) * 20.0
    boxes = np.concatenate([corner, corner + rng.uniform(2, 18, (count, 2))], 1)
    order = rng.permutation(count)
    pairs = match(boxes, boxes[order], 0.99)
    assert (order[pairs[:, 1]] == pairs[:, 0]).all()
    assert len(pairs) == count
    np.testing.assert_allclose(overlap(boxes, boxes), np.eye(count), atol=1e-12)
