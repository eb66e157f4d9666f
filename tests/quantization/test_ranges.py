from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gcpose_trt.quantization.histogram import Histogram, NotFiniteError
from gcpose_trt.quantization.thresholds import _divergence, entropy, mse, mse_range, percentile, summarise

SEEDS = st.integers(0, 2**32 - 1)


def values_of(seed: int) -> np.ndarray:
    """Return float32 values of one of several shapes: bell, heavy tail, rectified, shifted, few levels."""
    rng = np.random.default_rng(seed)
    size = int(rng.integers(2000, 20000))
    scale = 10.0 ** rng.uniform(-6, 4)
    kind = seed % 5
    values = [
        rng.normal(size=size),
        rng.laplace(size=size) ** 3,
        np.maximum(0, rng.normal(size=size)),
        rng.normal(3, 1, size=size),
        rng.integers(-3, 9, size=size).astype(float),
    ][kind]
    return (values * scale).astype(np.float32)


def histogram_of(values: np.ndarray, bins: int = 2048) -> Histogram:
    histogram = Histogram(bins)
    histogram.add(values)
    return histogram


def same(a: Histogram, b: Histogram) -> bool:
    return (a.exponent, a.zeros, a.total, a.min, a.max) == (b.exponent, b.zeros, b.total, b.min, b.max) and (
        np.array_equal(a.counts, b.counts)
    )


@settings(max_examples=25, deadline=None, derandomize=True)
@given(SEEDS, st.lists(st.floats(0, 1), max_size=6))
def test_portions_order_and_merging_make_no_difference(seed: int, cuts: list[float]) -> None:
    values = values_of(seed)
    whole = histogram_of(values)
    portions = np.split(values, sorted(int(cut * len(values)) for cut in cuts))
    backwards, merged = Histogram(), Histogram()
    for portion in reversed(portions):
        backwards.add(portion)
        merged.merge(histogram_of(portion))
    assert same(whole, backwards) and same(whole, merged)


@settings(max_examples=25, deadline=None, derandomize=True)
@given(SEEDS)
def test_counts_are_numpys(seed: int) -> None:
    values = values_of(seed)
    histogram = histogram_of(values)
    edges = (np.arange(2 * histogram.bins + 1) - histogram.bins) * histogram.width
    expected, _ = np.histogram(values[values != 0].astype(np.float64), edges)
    np.testing.assert_array_equal(histogram.counts, expected)
    assert histogram.zeros == np.count_nonzero(values == 0)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_values_that_are_not_finite_are_refused_and_not_counted(bad: float) -> None:
    histogram = histogram_of(np.ones(5, np.float32))
    with pytest.raises(NotFiniteError):
        histogram.add(np.array([1, bad], np.float32))
    assert same(histogram, histogram_of(np.ones(5, np.float32)))


@pytest.mark.parametrize("value", [0.0, 1.0, -3.5, 1e-38, 3e38])
def test_constants_are_ranges_too(value: float) -> None:
    found = summarise(histogram_of(np.full(1000, value, np.float32)), "pose")
    assert found.constant and found.min == found.max == np.float32(value)
    assert np.isfinite([found.entropy, found.mse, found.mse_min, found.mse_max]).all()
    for magnitude in (found.entropy, found.mse, *found.percentile.values()):
        assert 0 <= magnitude <= abs(found.max) * 1.0001


def test_nothing_seen_is_zero() -> None:
    found = summarise(Histogram(), "pose")
    assert (found.min, found.max, found.entropy, found.mse, found.mse_max) == (0, 0, 0, 0, 0)


@settings(max_examples=25, deadline=None, derandomize=True)
@given(SEEDS, st.sampled_from([50.0, 99.0, 99.9, 99.99]))
def test_percentile_is_numpys_to_a_bin(seed: int, percentage: float) -> None:
    values = values_of(seed)
    histogram = histogram_of(values)
    expected = np.percentile(np.abs(values), percentage, method="inverted_cdf")
    assert abs(percentile(histogram, percentage) - expected) <= histogram.width * 1.001


def quantized_error(values: np.ndarray, low: float, high: float, step: float) -> float:
    values = values.astype(np.float64)
    return float(np.square(values - np.clip(np.rint(values / step) * step, low, high)).sum())


@settings(max_examples=12, deadline=None, derandomize=True)
@given(SEEDS.filter(lambda seed: seed % 5 != 4))
def test_least_squares_is_as_good_as_trying_every_cut(seed: int) -> None:
    values = values_of(seed)
    histogram = histogram_of(values)
    found = mse(histogram)
    cuts = np.linspace(histogram.amax / 200, histogram.amax, 200)
    best = min(quantized_error(values, -cut, cut, cut / 127) for cut in cuts)
    assert quantized_error(values, -found, found, found / 127) <= 1.05 * best
    low, high = mse_range(histogram)
    step = (high - low) / 255
    assert low <= 0 <= high and abs(low / step - round(low / step)) < 1e-6
    tried = [
        (-round(-a / s) * s, (255 - round(-a / s)) * s, s)
        for a in min(0.0, histogram.min) * np.linspace(0.1, 1, 16)
        for b in max(0.0, histogram.max) * np.linspace(0.1, 1, 16)
        if (s := (b - a) / 255) > 0
    ]
    assert quantized_error(values, low, high, step) <= 1.1 * min(quantized_error(values, *ends) for ends in tried)


def slow_divergence(counts: np.ndarray, cut: int) -> float:
    """The same in loops: 128 levels, each spread over its bins that are not empty, the rest in the last bin."""
    reference = [float(count) for count in counts[:cut]]
    reference[-1] += float(counts[cut:].sum())
    quantized = [0.0] * cut
    for level in range(128):
        bins = [place for place in range(cut) if place * 128 // cut == level]
        filled = [place for place in bins if counts[place]]
        for place in filled:
            quantized[place] = sum(counts[b] for b in bins) / len(filled)
    p = [value / sum(reference) for value in reference]
    q = [value / sum(quantized) for value in quantized]
    return sum(a * np.log(a / max(b, 1e-9)) for a, b in zip(p, q, strict=True) if a)


@settings(max_examples=6, deadline=None, derandomize=True)
@given(SEEDS, st.integers(128, 256))
def test_divergence_is_that_of_loops(seed: int, cut: int) -> None:
    counts = histogram_of(values_of(seed), 256).magnitudes().astype(np.float64)
    if counts[:cut].sum():
        assert _divergence(counts, cut) == pytest.approx(slow_divergence(counts, cut), rel=1e-9, abs=1e-12)


def test_entropy_cuts_outliers_and_keeps_flat_ranges() -> None:
    rng = np.random.default_rng(0)
    bell = rng.normal(size=200_000).astype(np.float32)
    assert entropy(histogram_of(np.append(bell, np.float32(60)))) < 10
    flat = rng.uniform(-1, 1, 200_000).astype(np.float32)
    assert entropy(histogram_of(flat)) > 0.95


def test_percentiles_agree_with_onnx_runtimes_calibrator() -> None:
    calibrate = pytest.importorskip("onnxruntime.quantization.calibrate")
    values = np.random.default_rng(1).normal(size=200_000).astype(np.float32)
    collector = calibrate.HistogramCollector(
        method="percentile", symmetric=True, num_bins=2048, num_quantized_bins=128, percentile=99.99, scenario="same"
    )
    collector.collect({"x": [values]})
    theirs = collector.compute_collection_result()["x"][1]
    assert percentile(histogram_of(values), 99.99) == pytest.approx(float(theirs), rel=0.01)
