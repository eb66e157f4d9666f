"""A run on disk: `report.json`, written anew after every unit, so that an interrupted run goes on where it was."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from gcpose_trt.benchmark.reading import REPORT, read_report
from gcpose_trt.errors import GcposeError
from gcpose_trt.files import atomic_write, check_writable

# A list of numbers, each on a line of its own. Text is never one: its line breaks are written as \\n.
_NUMBERS = re.compile(r"\[\n[-+0-9.eE,\s]+\]")
_AGAIN = "give --fresh to start over, or another folder with --output"


class State:
    """The report of a run in its folder.

    Attributes:
        path: of the file.
        report: see `schema`.
    """

    def __init__(self, path: Path, report: dict[str, Any]) -> None:
        self.path = path
        self.report = report

    @classmethod
    def open(cls, folder: Path, head: Mapping[str, Any], fresh: bool) -> State:
        """Go on with what the folder has, or begin.

        Args:
            folder: of the run; made if it is missing.
            head: what makes this run: "suite", "commit", "environment" (with "machine_id"), "clip" and the rest of a
                report without results.
            fresh: forget what the folder has.

        Raises:
            GcposeError: the folder cannot be written, what is in it cannot be read, or it is of another run.
        """
        path = folder / REPORT
        if folder.exists() and not folder.is_dir():
            raise GcposeError(f"{folder} is a file; give a folder with --output")
        check_writable(path)
        if fresh or not path.exists():
            return cls(path, {**head, "units": {}})
        try:
            earlier = read_report(path)
        except GcposeError as error:
            raise GcposeError(f"{error}; {_AGAIN}") from error
        difference = _difference(earlier, head)
        if difference:
            raise GcposeError(f"{path} was begun {difference}; {_AGAIN}")
        units = earlier.get("units")
        return cls(path, {**head, **earlier, "command": head["command"], "units": units or {}})

    @property
    def complete(self) -> bool:
        """Whether nothing is left to do."""
        return bool(self.report.get("complete"))

    @property
    def units(self) -> dict[str, Any]:
        """Results by the key of their unit."""
        units: dict[str, Any] = self.report["units"]
        return units

    def keep(self, key: str, result: dict[str, Any]) -> None:
        """Store the result of a unit."""
        self.units[key] = result
        self.write()

    def write(self) -> None:
        """Write the report; a reader sees the one before or this one, never a half.

        Raises:
            GcposeError: it cannot be written, as when the disk is full.
        """
        text = json.dumps(self.report, indent=1, allow_nan=False)
        with atomic_write(self.path, "w") as stream:
            stream.write(_NUMBERS.sub(_on_one_line, text) + "\n")


def _difference(earlier: Mapping[str, Any], now: Mapping[str, Any]) -> str:
    """Return how two runs differ so that one cannot go on with the other's results; "" if it can."""
    machines = [(report.get("environment") or {}).get("machine_id") for report in (earlier, now)]
    if machines[0] != machines[1]:
        return f"on another machine ({machines[0]}, this one is {machines[1]})"
    for name, version in (now["environment"].get("versions") or {}).items():
        before = ((earlier.get("environment") or {}).get("versions") or {}).get(name)
        if before != version:
            return f"with other libraries ({name} {before}, now {version})"
    commits = earlier.get("commit"), now.get("commit")
    if commits[0] != commits[1]:
        return f"at commit {commits[0]}, this is {commits[1]}"
    suites = (earlier.get("suite") or {}), now["suite"]
    if suites[0].get("name") != suites[1]["name"]:
        return f"with suite {suites[0].get('name')}, not {suites[1]['name']}"
    settings = (suites[0].get("settings") or {}), suites[1]["settings"]
    changed = [name for name in settings[1] if settings[0].get(name) != settings[1][name]]
    if changed:
        name = changed[0]
        return f"with other settings ({name} {_words(settings[0].get(name))}, now {_words(settings[1][name])})"
    if (earlier.get("clip") or {}).get("sha256") != now["clip"]["sha256"]:
        return "with another clip of that name"
    if suites[0].get("contenders") != suites[1]["contenders"]:
        return "with other contenders (files that were missing are there now, or have gone)"
    return ""


def _on_one_line(numbers: re.Match[str]) -> str:
    return " ".join(numbers[0].split()).replace("[ ", "[").replace(" ]", "]")


def _words(value: Any) -> str:
    if isinstance(value, list):
        return " ".join(map(str, value)) or "none"
    return "not given" if value is None else str(value)
