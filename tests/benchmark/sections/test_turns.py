"""Turns, and those that fail in them."""

from __future__ import annotations

from typing import Any

from gcpose_trt.benchmark.contender import ContenderSpec
from gcpose_trt.benchmark.fleet import ContenderFailed
from gcpose_trt.benchmark.sections.turns import Series, attempt, in_order, keep_reasons, of_section

A, B = ContenderSpec("a"), ContenderSpec("b")


def test_every_other_turn_is_the_other_way_round() -> None:
    """So that nobody is always second."""
    assert [in_order([A, B], number) for number in range(3)] == [[A, B], [B, A], [A, B]]


def test_who_fails_keeps_what_was_measured_and_has_no_further_turn() -> None:
    """The others go on."""
    results: dict[str, Any] = {}
    calls = []

    def work() -> dict[str, Any]:
        calls.append(1)
        if len(calls) == 2:
            raise ContenderFailed("it crashed")
        return {"times": [len(calls)]}

    for _ in range(4):
        attempt(results, A, work)
    attempt(results, B, lambda: {"left_out": "it cannot"})
    attempt(results, B, lambda: {"times": [1]})
    assert len(calls) == 2
    assert results == {A.id: {"times": [1], "failed": "it crashed"}, B.id: {"left_out": "it cannot"}}
    section: dict[str, Any] = {A.id: {"counts": [1]}}
    keep_reasons(section, results)
    assert section == {A.id: {"counts": [1], "failed": "it crashed"}, B.id: {"left_out": "it cannot"}}


def test_units_of_a_section_come_in_their_order() -> None:
    """By number, not by text; those of other sections do not come."""
    results = {"people/10": {"x": {}}, "people/9": {}, "throughput/1": {}, "accuracy/abc": {}}
    assert list(of_section(results, "people")) == [(9, {}), (10, {"x": {}})]


def test_series() -> None:
    """The spread does not count what frames differ by."""
    series = Series()
    assert series.summary() is None
    for number in range(3):
        series.add([10.0, 20.0], number, [0, 1])
    summary = series.summary()
    assert summary is not None
    assert (summary["count"], summary["median"], summary["blocks"], summary["spread"]) == (6, 15.0, 3, 0.0)
