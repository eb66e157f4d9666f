"""Numbers and text as people read them."""

from __future__ import annotations

import math
from xml.etree import ElementTree

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gcpose_trt.benchmark.reporting.words import DASH, clean, figure, interval, listed, look, mebibytes, plain, share


@pytest.mark.parametrize(
    ("value", "said"),
    [
        *((0, "0.000"), (0.0042, "0.0042"), (0.4, "0.400"), (4.567, "4.57"), (45.67, "45.7"), (456.7, "457")),
        *((9.999, "10.0"), (99.97, "100"), (4567.8, "4,568"), (-4.567, "-4.57")),
    ],
)
def test_a_number_has_the_digits_that_count(value: float, said: str) -> None:
    assert figure(value) == said


@pytest.mark.parametrize("value", [None, math.nan, math.inf, "12", True, [1], {}, 10**400])
def test_what_is_no_number_is_a_dash(value: object) -> None:
    assert figure(value) == DASH
    assert share(value) == DASH
    assert mebibytes(value) == DASH


@pytest.mark.parametrize("value", [None, [], [1], [1, None], [1, 2, 3], "12", {"a": 1, "b": 2}])
def test_half_an_interval_is_none(value: object) -> None:
    assert interval(value) == DASH
    assert interval([4.5, 4.61]) == "4.50 to 4.61"


@settings(deadline=None, max_examples=100, derandomize=True)
@given(st.text(st.characters()))
def test_any_text_becomes_one_line_that_xml_can_hold(text: str) -> None:
    safe = clean(text, 60)
    assert len(safe) <= 60
    assert safe.splitlines() in ([], [safe])
    element = ElementTree.Element("text")
    element.text = safe
    assert (ElementTree.fromstring(ElementTree.tostring(element, encoding="utf-8")).text or "") == safe


def test_long_text_says_that_it_was_cut() -> None:
    assert clean("abcdef", 4) == "abc…"


def test_values_of_any_shape_are_words() -> None:
    assert plain({"min_mhz": 800, "boost": False, "driver": None}) == "min mhz 800, boost no"
    assert plain([1.5, "a"]) == "1.50, a"
    assert plain([]) == plain({}) == plain(None) == DASH


def test_steps_that_are_missing_give_none() -> None:
    assert look({"a": {"b": 1}}, "a", "b") == 1
    assert look({"a": [1]}, "a", "b") is None
    assert look(None, "a") is None


def test_names_are_listed() -> None:
    assert [listed([]), listed(["a"]), listed(["a", "b"]), listed(["a", "b", "c"])] == [
        "",
        "a",
        "a and b",
        "a, b and c",
    ]
