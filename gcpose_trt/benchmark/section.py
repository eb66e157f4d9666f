"""What a section of a report is: units of work, and what becomes of their results."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from gcpose_trt.benchmark.contender import ContenderSpec


class Member(Protocol):
    """A contender in its child process."""

    spec: ContenderSpec
    info: dict[str, Any]
    """`ContenderInfo.to_dict()`."""
    opened: dict[str, float]
    """Milliseconds of its start: "process" (until Python runs our code), "import" of libraries, "load" of the model."""

    def ask(self, operation: str, **request: Any) -> dict[str, Any]:
        """Have the child run an operation and return its answer.

        Args:
            operation: name of a module in `gcpose_trt.benchmark.operations`.
            request: what JSON can hold.

        Raises:
            ContenderFailed: it raised an error, ended, or was killed; with the reason in one line.
        """


class Fleet(Protocol):
    """The child processes. A contender that failed once is not started again: `member` raises its reason."""

    def member(self, spec: ContenderSpec) -> Member:
        """Return the contender's child, started if it is not running.

        Raises:
            ContenderFailed: it cannot be opened.
        """

    def fresh(self, spec: ContenderSpec) -> Member:
        """Return a new child that nobody else uses; the caller ends it with `end`."""

    def end(self, member: Member) -> None:
        """End one child."""

    def read_energy(self) -> dict[str, float]:
        """Return the joules that each sensor has counted so far; {} where there are none."""


@dataclass(frozen=True)
class Unit:
    """A piece of a run.

    Attributes:
        key: unique in a run and the same in each run of the same settings: "latency/round-3".
        title: what the progress bar says.
        run: does it; returns what JSON can hold. A contender that fails inside is recorded inside the result
            ({contender id: {"failed": reason}}), not raised.
    """

    key: str
    title: str
    run: Callable[[Fleet], dict[str, Any]]


class Section(Protocol):
    """A module in `gcpose_trt.benchmark.sections`."""

    NAME: str

    @staticmethod
    def units(plan: Any) -> list[Unit]:
        """Return the work of this section; none if the plan does not ask for it.

        Args:
            plan: a `gcpose_trt.benchmark.plan.Plan`.
        """

    @staticmethod
    def assemble(plan: Any, results: Mapping[str, dict[str, Any]]) -> dict[str, Any]:
        """Return this section of the report from the results that are there (a partial run has some of them only)."""
