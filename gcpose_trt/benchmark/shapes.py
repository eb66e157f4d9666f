"""Checks of what JSON holds, put together from small ones.

Each check takes a value and where it is in the whole ("latency.4af.fps"), and raises `WrongError` if the value is not
what it should be.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any, NoReturn

Check = Callable[[Any, str], None]


class WrongError(Exception):
    """A part is not what it should be; the message says which and what."""


def fail(where: str, what: str) -> NoReturn:
    """Say that what is at `where` is wrong."""
    raise WrongError(f"{where or 'the whole'} {what}")


def number(value: Any, where: str) -> None:
    """Check for a number that computations can go on with: finite, and no larger than a float holds."""
    try:
        good = not isinstance(value, bool) and isinstance(value, int | float) and math.isfinite(value)
    except OverflowError:
        good = False
    if not good:
        fail(where, "is not a number")


def text(value: Any, where: str) -> None:
    """Check for text."""
    if not isinstance(value, str):
        fail(where, "is not text")


def flag(value: Any, where: str) -> None:
    """Check for true or false."""
    if not isinstance(value, bool):
        fail(where, "is not true or false")


def record(value: Any, where: str) -> None:
    """Check for an object, whatever is in it."""
    if not isinstance(value, dict):
        fail(where, "is not an object")


def optional(check: Check) -> Check:
    """Return the check of what may be null."""

    def checked(value: Any, where: str) -> None:
        if value is not None:
            check(value, where)

    return checked


def list_of(check: Check) -> Check:
    """Return the check of a list, item by item."""

    def checked(value: Any, where: str) -> None:
        if not isinstance(value, list):
            fail(where, "is not a list")
        for index, item in enumerate(value):
            check(item, f"{where}[{index}]")

    return checked


def each(check: Check) -> Check:
    """Return the check of an object whose keys are names."""

    def checked(value: Any, where: str) -> None:
        record(value, where)
        for key, item in value.items():
            check(item, f"{where}.{key}" if where else key)

    return checked


def keys(must: Mapping[str, Check], may: Mapping[str, Check] | None = None) -> Check:
    """Return the check of an object that must have some keys and may have others, which may be null too."""

    def checked(value: Any, where: str) -> None:
        record(value, where)
        for key, check in must.items():
            place = f"{where}.{key}" if where else key
            if key not in value:
                fail(place, "is missing")
            check(value[key], place)
        for key, check in (may or {}).items():
            if value.get(key) is not None:
                check(value[key], f"{where}.{key}" if where else key)

    return checked


def interval(value: Any, where: str) -> None:
    """Check for two numbers, the lower first."""
    list_of(number)(value, where)
    if len(value) != 2 or value[0] > value[1]:
        fail(where, "is not a low and a high number")


def same_length(check: Check, *names: str) -> Check:
    """Return `check`, and that those of the lists `names` that are there have as many values as each other."""

    def checked(value: Any, where: str) -> None:
        check(value, where)
        lengths = {name: len(value[name]) for name in names if value.get(name) is not None}
        if len(set(lengths.values())) > 1:
            fail(where, "has lists of different lengths: " + ", ".join(f"{k} {n}" for k, n in lengths.items()))

    return checked
