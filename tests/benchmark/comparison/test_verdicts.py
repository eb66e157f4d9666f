from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gcpose_trt.benchmark.comparison.values import Value
from gcpose_trt.benchmark.comparison.verdicts import Change, Rules, judge
from gcpose_trt.benchmark.significance import t_quantile
from gcpose_trt.benchmark.statistics import summary
from tests.benchmark.samples import timings


def value(number: float, error: float | None = 0.005, **more: Any) -> Value:
    return Value("latency", "end to end", "ms", number, error, 5, **more)


def judged(a: Value, b: Value, **rules: Any) -> Change:
    return judge([("one", a, b)], Rules(**rules))[0]


def verdict(a: Value, b: Value, **rules: Any) -> str:
    return judged(a, b, **rules).verdict


def test_worse_and_better_beyond_the_threshold() -> None:
    assert verdict(value(100), value(106)) == "regression"
    assert verdict(value(100), value(94)) == "improvement"
    assert verdict(value(100), value(104.9)) == "same"
    assert verdict(value(100), value(95.1)) == "same"
    assert verdict(value(100), value(104.9), threshold=0.02) == "regression"


def test_more_frames_a_second_are_better() -> None:
    assert verdict(value(100, higher_is_better=True), value(110, higher_is_better=True)) == "improvement"
    assert verdict(value(100, higher_is_better=True), value(90, higher_is_better=True)) == "regression"


def test_what_may_be_chance_is_unsure() -> None:
    change = judged(value(100, 0.05), value(108, 0.05))

    assert (change.verdict, change.why) == ("unsure", "may be chance")
    assert change.interval is not None
    assert change.interval[0] < 1 < change.interval[1]


def test_without_an_error_nothing_beyond_the_threshold_is_certain() -> None:
    assert judged(value(100, None), value(200)).why == "nothing tells how certain it is"
    assert verdict(value(100, None), value(101)) == "same"


def test_unsteady_and_partial_numbers_are_unsure() -> None:
    assert judged(value(100, spread=0.11), value(200)).why == "spread 11%"
    assert verdict(value(100, spread=0.10), value(200)) == "regression"
    assert judged(value(100), value(200), partial=True).why == "a report is partial"


def test_what_is_exact_needs_no_test() -> None:
    assert verdict(value(100, None, exact=True), value(106, None, exact=True), partial=True) == "regression"


def test_peaks_that_are_the_same_in_every_round_still_differ_from_run_to_run() -> None:
    assert verdict(value(100, 0.0), value(100, 0.0)) == "same"
    assert verdict(value(100, 0.0), value(103, 0.0), threshold=0.02) == "regression"
    assert verdict(value(100, 0.0), value(102.1, 0.0), threshold=0.02) == "unsure"  # 1.5 of its standard errors


@pytest.mark.parametrize(
    ("a", "b", "expected"), [(0, 0, "same"), (0, 1, "unsure"), (1, 0, "unsure"), (-1, 2, "unsure")]
)
def test_without_a_ratio_nobody_can_tell(a: float, b: float, expected: str) -> None:
    change = judged(value(a), value(b))

    assert change.verdict == expected
    assert change.ratio is None


def test_the_interval_of_many_rounds_is_the_normal_one() -> None:
    a, b = (Value("latency", "x", "ms", number, 0.02, 10_000) for number in (100, 110))

    change = judged(a, b)

    reach = t_quantile(1000.0) * np.sqrt(0.02**2 * 2 + 0.01**2 * 2)
    assert change.interval == pytest.approx((1.1 * np.exp(-reach), 1.1 * np.exp(reach)))


def test_few_rounds_give_wide_intervals() -> None:
    few, many = (
        judged(Value("latency", "x", "ms", 100, 0.05, blocks), Value("latency", "x", "ms", 100, 0.05, blocks)).interval
        for blocks in (2, 20)
    )

    assert few is not None
    assert many is not None
    assert few[1] - few[0] > 1.5 * (many[1] - many[0])


def test_each_comparison_more_asks_for_clearer_evidence() -> None:
    border = value(100, 0.015), value(107, 0.015)
    noise = [("one", value(100, 0.03), value(100.1, 0.03))] * 40

    assert judge([("one", *border)], Rules())[0].verdict == "regression"
    assert judge([("one", *border), *noise], Rules())[0].verdict == "unsure"


@settings(deadline=None, max_examples=30, derandomize=True)
@given(st.floats(0.1, 1e4), st.floats(0.1, 1e4), st.floats(1e-5, 0.2), st.floats(1e-5, 0.2), st.integers(2, 30))
def test_swapping_the_reports_turns_everything_round(a: float, b: float, ea: float, eb: float, blocks: int) -> None:
    first, second = Value("m", "n", "ms", a, ea, blocks), Value("m", "n", "ms", b, eb, blocks)
    there, back = judged(first, second), judged(second, first)

    assert there.interval is not None
    assert back.interval is not None
    assert there.interval[0] <= b / a <= there.interval[1]
    assert there.interval == pytest.approx((1 / back.interval[1], 1 / back.interval[0]))
    assert there.chance == pytest.approx(back.chance)
    if {there.verdict, back.verdict} <= {"regression", "improvement"}:
        assert there.verdict != back.verdict


def run_of(rng: np.random.Generator, slower: float, between: float) -> list[Value]:
    """Return what a report says of eight numbers of one contender, whose times are heavy-tailed and autocorrelated."""
    shift = slower * float(np.exp(rng.normal(0, between)))  # the same for all of a run: a warmer room
    numbers = []
    for index in range(8):
        record = summary(shift * timings(rng, 10.0 + index, noise=0.03))
        error = (record["ci95"][1] - record["median"]) / record["median"] / t_quantile(record["blocks"] - 1)
        what = ("stages", str(index), "ms", record["median"])
        numbers.append(Value(*what, error, record["blocks"], record["spread"]))
    return numbers


def test_repetitions_on_one_machine_are_no_regressions_and_real_ones_are_found() -> None:
    rng = np.random.default_rng(8)
    runs = [run_of(rng, 1.0, 0.01) for _ in range(14)]
    slow = [run_of(rng, 1.15, 0.01) for _ in range(4)]

    def regressed(a: list[Value], b: list[Value]) -> bool:
        numbers = [("one", first, second) for first, second in zip(a, b, strict=True)]
        return any(change.verdict == "regression" for change in judge(numbers, Rules()))

    # 182 ordered pairs; those that share a run are alike, yet they average out to the true share.
    false = np.mean([regressed(a, b) for a, b in itertools.permutations(runs, 2)])
    found = np.mean([regressed(a, b) for a, b in itertools.product(runs, slow)])

    assert false < 0.03
    assert found > 0.97
