"""Small questions to a machine that may not have the answer."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, TypeVar

from gcpose_trt.doctor.probe import Probe

T = TypeVar("T")


def text(probe: Probe, path: str) -> str | None:
    """Return what a file says without the spaces and NULs around it; None if it says nothing or cannot be read."""
    return (probe.read(path) or "").strip(" \t\r\n\0") or None


def integer(probe: Probe, path: str) -> int | None:
    """Return the one whole number in a file; None if there is none."""
    try:
        return int(text(probe, path) or "")
    except ValueError:
        return None


def known(values: Iterable[T | None]) -> list[T]:
    """Return the values that are there."""
    return [value for value in values if value is not None]


def attempt(question: Callable[[], T], absent: dict[str, str], name: str, otherwise: Any) -> T:
    """Ask, and note in `absent` if that fails: one odd driver must not cost a report all its other facts.

    Args:
        question: what is asked.
        absent: gets {name: why} if it raises.
        name: what is asked for, in words.
        otherwise: returned if it raises.
    """
    try:
        return question()
    except Exception as error:  # whatever a driver or its library thinks of
        lines = str(error).strip().splitlines()
        absent[name] = f"{type(error).__name__}: {lines[0]}" if lines else type(error).__name__
        return otherwise
