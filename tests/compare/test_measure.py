"""Gathering differences."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gcpose_trt.compare.measure import Gauge


@settings(max_examples=30, deadline=None, derandomize=True)
@given(st.lists(st.integers(0, 40), min_size=1, max_size=4), st.integers(0, 2**32 - 1))
def test_the_same_as_of_all_values_at_once(sizes: list[int], seed: int) -> None:
    rng = np.random.default_rng(seed)
    pairs = [(rng.normal(size=size).astype(np.float32), rng.normal(size=size).astype(np.float32)) for size in sizes]
    gauge = Gauge()
    for a, b in pairs:
        gauge.add(a, b)
    found = gauge.read()
    a, b = (np.concatenate(side).astype(np.float64) for side in zip(*pairs, strict=True))
    assert found.count == len(a)
    if not len(a):
        assert found.largest == found.relative_median == 0
        return
    difference = np.abs(a - b)
    assert found.largest == difference.max()
    assert found.median == pytest.approx(np.median(difference))
    assert found.p95 == pytest.approx(np.percentile(difference, 95))
    assert found.relative_largest == pytest.approx(difference.max() / np.abs(a).max())
    assert found.relative_median == pytest.approx(np.median(difference) / np.sqrt(np.square(a).mean()))


def test_the_largest_of_a_large_map_is_not_missed() -> None:
    a = np.zeros(1_000_000, np.float32)
    a[1] = 2.0
    b = a.copy()
    b[777_777] = 1.0
    gauge = Gauge()
    gauge.add(a, b)
    found = gauge.read()
    assert (found.largest, found.median, found.relative_largest) == (1.0, 0.0, 0.5)


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_nan_stays(order: tuple[int, int]) -> None:
    good, bad = np.ones(3), np.array([1.0, np.nan, 1.0])
    gauge = Gauge()
    for index in order:
        gauge.add(good, (good, bad)[index])
    found = gauge.read()
    assert math.isnan(found.largest)
    assert math.isnan(found.p95)


def test_a_reference_of_zeros() -> None:
    gauge = Gauge()
    gauge.add(np.zeros(2), np.zeros(2))
    assert gauge.read().relative_largest == 0
    gauge.add(np.zeros(2), np.ones(2))
    assert gauge.read().relative_largest == math.inf
