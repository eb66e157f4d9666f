"""What a run asks of the machine and the working tree; tests put their own in its place."""

from __future__ import annotations

import re
import shlex
import subprocess
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_REPOSITORY = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Surroundings:
    """Where a run takes place.

    Attributes:
        facts: returns what the machine is, see `environment.facts`.
        snapshot: returns how it is at this moment, see `environment.snapshot`.
        energy: returns joules counted so far by sensor.
        covers: what each sensor measures, in words.
        commit: of the working tree, with "-dirty" where files differ from it; None: unknown.
        absent: returns which sensors gave nothing, or fell silent since, and why.
    """

    facts: Callable[[], dict[str, Any]]
    snapshot: Callable[[], dict[str, Any]]
    energy: Callable[[], dict[str, float]]
    covers: dict[str, str]
    commit: str | None
    absent: Callable[[], dict[str, str]] = dict


@contextmanager
def this_machine() -> Iterator[Surroundings]:
    """Open this machine's sensors; they are closed at the end of the block."""
    from gcpose_trt.benchmark import environment

    with environment.open_sensors() as sensors:
        covers = dict(sensors.covers)
        yield Surroundings(
            environment.facts, environment.snapshot, sensors.read, covers, commit(), lambda: sensors.absent
        )


def commit(repository: Path = _REPOSITORY) -> str | None:
    """Return the commit of a clone, with "-dirty" where tracked files differ from it; None without one."""
    if not (repository / ".git").exists():
        return None
    command = ["git", "describe", "--always", "--dirty", "--abbrev=12", "--exclude=*"]
    try:
        done = subprocess.run(command, cwd=repository, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return None
    return done.stdout.strip() or None


def command_line(arguments: Sequence[str]) -> str:
    """Return a command as it could be given again, without the folders of this machine.

    Args:
        arguments: of gcpose-trt, "benchmark" and what follows.
    """
    bare = [re.sub(r"(^|[=,])(?:~|\.{0,2})/[^,=]*?([^/,=]+)(?=$|[,=])", r"\1\2", word) for word in arguments]
    return shlex.join(["gcpose-trt", *bare])
