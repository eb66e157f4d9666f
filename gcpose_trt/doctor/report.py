"""All that the doctor found, and its JSON form.

The JSON object, format 1:

    format      1; raised when a key changes its meaning or goes, not when one is added
    kind        "gcpose-trt doctor"
    gcpose_trt  version of this package
    created     ISO 8601 with the offset to UTC
    machine     {"kind": "cpu" | "gpu" | "jetson", "summary", "system", "container": bool, "jetson", "l4t", "jetpack"}
    checks      list of {"id": "topic.name", "topic", "name", "status": "green" | "yellow" | "red" | "absent",
                "detail", "fix": string or null, "facts": object}
    abilities   list of {"name", "ready": bool, "status", "missing": list of check ids}
    counts      {"green": n, "yellow": n, "red": n, "absent": n}
    exit_code   what the command ends with
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from gcpose_trt import __version__
from gcpose_trt.doctor.check import Check, Status
from gcpose_trt.doctor.machine import Machine

FORMAT = 1
KIND = "gcpose-trt doctor"


@dataclass(frozen=True)
class Section:
    """The checks of one topic.

    Attributes:
        key: for programs, "gpu".
        title: for people.
        checks: in the order shown.
    """

    key: str
    title: str
    checks: tuple[Check, ...]

    def identifier(self, check: Check) -> str:
        """Return the name of a check for programs, "gpu.cuda-runtime"."""
        return f"{self.key}.{re.sub(r'[^a-z0-9]+', '-', check.name.lower()).strip('-')}"


@dataclass(frozen=True)
class Ability:
    """Something that people want to do with this machine.

    Attributes:
        name: what.
        status: the worst of what it needs; "absent" if nothing is broken but something is not there.
        missing: identifiers of the checks that stand in its way.
        words: the same for people.
    """

    name: str
    status: Status
    missing: tuple[str, ...]
    words: str

    @property
    def ready(self) -> bool:
        """Whether it can be done."""
        return not self.missing


@dataclass(frozen=True)
class Report:
    """What the doctor found.

    Attributes:
        machine: where.
        sections: the checks by topic.
        abilities: what follows from them.
        created: ISO 8601.
    """

    machine: Machine
    sections: tuple[Section, ...]
    abilities: tuple[Ability, ...]
    created: str

    @property
    def counts(self) -> dict[str, int]:
        """Number of checks by status."""
        found = [check.status for section in self.sections for check in section.checks]
        return {status.value: found.count(status) for status in Status}

    def exit_code(self, strict: bool = False) -> int:
        """Return 1 if anything is red, or with `strict` yellow; else 0."""
        counts = self.counts
        return int(counts["red"] > 0 or (strict and counts["yellow"] > 0))

    def to_dict(self, strict: bool = False) -> dict[str, Any]:
        """Return the JSON object; see the module."""
        machine = self.machine
        return {
            "format": FORMAT,
            "kind": KIND,
            "gcpose_trt": __version__,
            "created": self.created,
            "machine": {
                "kind": machine.kind,
                "summary": machine.words,
                "system": machine.system,
                "container": machine.container,
                "jetson": machine.jetson,
                "l4t": machine.l4t,
                "jetpack": machine.jetpack,
            },
            "checks": [
                {
                    "id": section.identifier(check),
                    "topic": section.key,
                    "name": check.name,
                    "status": check.status.value,
                    "detail": check.detail,
                    "fix": check.fix,
                    "facts": dict(check.facts),
                }
                for section in self.sections
                for check in section.checks
            ],
            "abilities": [
                {
                    "name": ability.name,
                    "ready": ability.ready,
                    "status": ability.status.value,
                    "missing": list(ability.missing),
                }
                for ability in self.abilities
            ],
            "counts": self.counts,
            "exit_code": self.exit_code(strict),
        }
