from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gcpose_trt.benchmark.statistics import RESAMPLES, median_error, spread, summary
from gcpose_trt.errors import GcposeError
from tests.benchmark.samples import timings

quick = settings(deadline=None, max_examples=25, derandomize=True)


@st.composite
def tables(draw: st.DrawFn) -> np.ndarray:
    rounds, frames = draw(st.integers(1, 5)), draw(st.integers(1, 7))
    flat = draw(st.lists(st.floats(0.01, 1e4), min_size=rounds * frames, max_size=rounds * frames))
    return np.array(flat).reshape(rounds, frames)


def test_percentiles_are_interpolated_between_the_nearest_two() -> None:
    record = summary([4.0, 1.0, 3.0, 2.0, 5.0])

    assert record["median"] == 3.0
    assert record["p90"] == pytest.approx(4.6)  # at 0.9 * (5 - 1) = 3.6 of the sorted values
    assert record["p99"] == pytest.approx(4.96)
    assert (record["min"], record["max"], record["mean"], record["count"], record["blocks"]) == (1.0, 5.0, 3.0, 5, 5)


def test_one_value_has_no_interval_and_no_spread() -> None:
    record = summary([7.5])

    assert all(record[name] == 7.5 for name in ("median", "p90", "p99", "mean", "min", "max"))
    assert record["ci95"] is None
    assert record["spread"] is None


def test_one_round_has_no_interval_and_no_spread_because_nothing_was_repeated() -> None:
    record = summary([[1.0, 2.0, 3.0]])

    assert record["ci95"] is None
    assert record["spread"] is None


@pytest.mark.parametrize("bad", [[], [1.0, float("nan")], [float("inf")], [-1.0], ["fast"], [[[1.0]]], [[1.0], [1, 2]]])
def test_what_is_no_measurement_is_refused_in_one_line(bad: object) -> None:
    with pytest.raises(GcposeError, match="; ") as caught:
        summary(bad)  # type: ignore[arg-type]
    assert "\n" not in str(caught.value)


def test_labels_of_another_length_are_refused() -> None:
    with pytest.raises(GcposeError, match="3 measurements"):
        summary([1.0, 2.0, 3.0], rounds=[0, 1])


@quick
@given(tables())
def test_a_table_and_its_labelled_values_in_any_order_are_the_same(table: np.ndarray) -> None:
    rounds, frames = (index.ravel() for index in np.indices(table.shape))
    order = np.random.default_rng(0).permutation(table.size)

    labelled = summary(table.ravel()[order], 10 + rounds[order], 5 * frames[order])

    expected = summary(table)
    # The order of adding up may differ in the last digit.
    assert labelled.pop("mean") == pytest.approx(expected.pop("mean"), rel=1e-12)
    assert labelled == expected


@quick
@given(tables())
def test_a_summary_is_ordered_and_what_json_can_hold(table: np.ndarray) -> None:
    record = summary(table)

    assert record["min"] <= record["median"] <= record["p90"] <= record["p99"] <= record["max"]
    assert record["ci95"] is None or 0 <= record["ci95"][0] <= record["median"] <= record["ci95"][1]
    assert json.loads(json.dumps(record, allow_nan=False)) == record
    assert summary(table) == record  # the same numbers give the same interval


@quick
@given(tables())
def test_the_spread_is_that_of_each_frame_against_itself(table: np.ndarray) -> None:
    ratios = table / np.median(table, axis=0)
    q1, middle, q3 = np.percentile(ratios, [25, 50, 75])

    if len(table) == 1:
        assert summary(table)["spread"] is None
    else:
        assert summary(table)["spread"] == pytest.approx((q3 - q1) / middle, abs=1e-9)


def test_frames_of_different_content_are_not_spread() -> None:
    content = np.linspace(10, 100, 40)

    assert summary(np.tile(content, (5, 1)))["spread"] == pytest.approx(0.0, abs=1e-12)


def test_frames_measured_once_do_not_dilute_the_spread() -> None:
    values, frames = np.array([10.0, 12.0, 50.0, 60.0, 70.0]), np.array([0, 0, 1, 2, 3])

    assert spread(values, frames) == pytest.approx(spread(values[:2], frames[:2]))


def test_the_error_of_the_median_is_that_of_a_bootstrap_of_rounds() -> None:
    rng = np.random.default_rng(3)
    table = rng.gamma(4.0, 2.0, (6, 21)) + np.arange(6)[:, None]
    picks = rng.integers(0, 6, (20_000, 6))
    expected = np.median(table[picks].reshape(len(picks), -1), axis=1).std() * np.sqrt(6 / 5)

    error = median_error(table.ravel(), np.indices(table.shape)[0].ravel())

    # Both are estimates; that of `RESAMPLES` resamples is off by about 1 / sqrt(2 * RESAMPLES).
    assert error == pytest.approx(expected, rel=5 / np.sqrt(2 * RESAMPLES))


def test_rounds_of_different_length_count_by_their_values() -> None:
    # Resamples of two rounds: both the first, both the second, or one of each (half of all).
    values, rounds = np.array([1.0, 3.0, 9.0]), np.array([0, 0, 1])
    medians = [2.0, 9.0, 3.0, 3.0]

    assert median_error(values, rounds) == pytest.approx(np.std(medians) * np.sqrt(2), rel=0.1)


def test_other_frames_make_the_median_less_certain() -> None:
    table = np.tile(np.linspace(10, 100, 40), (5, 1)) + np.arange(5)[:, None]
    rounds, frames = (index.ravel() for index in np.indices(table.shape))

    fixed, drawn = median_error(table.ravel(), rounds), median_error(table.ravel(), rounds, frames)

    assert fixed is not None
    assert drawn is not None
    assert drawn > 3 * fixed


def test_intervals_hold_the_true_median_as_often_as_they_say_about() -> None:
    rng = np.random.default_rng(11)
    true = float(np.median(timings(rng, 50.0, rounds=4000)))

    held = [summary(timings(rng, 50.0))["ci95"] for _ in range(150)]

    share = np.mean([low <= true <= high for low, high in held])
    assert (
        share > 0.86
    )  # 0.92 in 600 runs; single frames as blocks give 0.41 in 300, plain percentiles of resampled rounds 0.80


def test_summaries_of_long_runs_hold_no_more_memory_than_short_ones() -> None:
    record = summary(np.random.default_rng(0).gamma(4.0, 2.0, (50, 400)))

    assert record["count"] == 20_000
    assert record["ci95"][1] - record["ci95"][0] < 0.2
