"""What one check found."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


class Status(str, enum.Enum):
    """How well something is.

    GREEN: there and working.
    YELLOW: working with limits, or missing although this machine could use it.
    RED: there but broken, or missing although everything needs it.
    ABSENT: not there, and nothing on this machine needs it.
    """

    GREEN = "green"
    YELLOW = "yellow"
    RED = "red"
    ABSENT = "absent"


@dataclass(frozen=True)
class Check:
    """One line of the report.

    Attributes:
        name: what was looked at, unique in its topic, at most 15 characters.
        status: how well it is.
        detail: what was found, one line; for yellow and red: what is wrong.
        fix: the command, or if there is none the advice, that puts it right on this kind of machine. Yellow and red
            checks have one, the others may have none.
        facts: the same for programs; JSON values only.
    """

    name: str
    status: Status
    detail: str
    fix: str | None = None
    facts: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.status in (Status.YELLOW, Status.RED) and not self.fix:
            raise ValueError(f"the check {self.name!r} finds a fault and names no remedy")


def green(name: str, detail: str, /, **facts: Any) -> Check:
    """Return a check that is well."""
    return Check(name, Status.GREEN, detail, None, facts)


def yellow(name: str, detail: str, fix: str, /, **facts: Any) -> Check:
    """Return a check that is well with limits."""
    return Check(name, Status.YELLOW, detail, fix, facts)


def red(name: str, detail: str, fix: str, /, **facts: Any) -> Check:
    """Return a check that found something broken."""
    return Check(name, Status.RED, detail, fix, facts)


def absent(name: str, detail: str, /, **facts: Any) -> Check:
    """Return a check of something that is not there and need not be."""
    return Check(name, Status.ABSENT, detail, None, facts)
