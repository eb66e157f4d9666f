from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gcpose_trt.benchmark.significance import adjusted, t_p_value, t_quantile


# Printed tables of Student's t.
@pytest.mark.parametrize(
    ("degrees", "level", "expected"),
    [(1, 0.95, 12.706), (2, 0.95, 4.303), (4, 0.95, 2.776), (4, 0.99, 4.604), (30, 0.90, 1.697), (1e6, 0.95, 1.960)],
)
def test_quantiles_are_those_of_printed_tables(degrees: float, level: float, expected: float) -> None:
    assert t_quantile(degrees, level) == pytest.approx(expected, abs=6e-4)


def test_one_degree_of_freedom_is_cauchy() -> None:
    for t in (0.1, 1.0, 20.0, 1e4):
        assert t_p_value(-t, 1) == pytest.approx(1 - 2 * np.arctan(t) / np.pi, rel=1e-6)


def test_ends() -> None:
    assert t_p_value(0.0, 3.7) == 1.0
    assert t_p_value(float("inf"), 3.7) == 0.0


def test_adjusted_values_follow_the_definition() -> None:
    # Ranks 1..4: 4 * 0.01 / 1, 4 * 0.02 / 2, 4 * 0.03 / 3, 4 * 0.5 / 4, each no more than those above it.
    assert adjusted([0.5, 0.01, 0.03, 0.02]) == pytest.approx([0.5, 0.04, 0.04, 0.04])
    assert adjusted([]) == []


@settings(deadline=None, max_examples=25, derandomize=True)
@given(st.lists(st.floats(0, 1), min_size=1, max_size=30))
def test_adjusted_values_accept_what_the_step_up_procedure_accepts(p_values: list[float]) -> None:
    result = adjusted(p_values)

    for q in (0.01, 0.05, 0.2):
        ranked = sorted(p_values)
        passing = [rank for rank, p in enumerate(ranked, 1) if p <= q * rank / len(ranked) * (1 + 1e-12)]
        accepted = set(ranked[: passing[-1]]) if passing else set()
        assert {p for p, value in zip(p_values, result, strict=True) if value <= q * (1 + 1e-12)} == accepted
