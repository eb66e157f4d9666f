"""What a report says of each contender: what it is, and whether it was measured."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from gcpose_trt.benchmark.contender import ContenderSpec
from gcpose_trt.benchmark.fleet import Fleet
from gcpose_trt.benchmark.opening import physical_cores, runs_on_gpu
from gcpose_trt.benchmark.plan import Plan
from gcpose_trt.benchmark.schema import SECTIONS
from gcpose_trt.errors import GcposeError

_INTERRUPTED = "the run was interrupted before its turn; give the same command again"
# The folders of an absolute path; not the inside of an address or of a fraction.
_FOLDERS = re.compile(r"(?<![\w./:])/(?:[^\s/,;:'\"()]+/)+")
_NOTHING = "nothing that was asked for can be measured of it; ask for other sections"
_NO_NUMBERS = {"failed", "left_out"}  # why there are none


def contenders(plan: Plan, fleet: Fleet, report: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the report's list of contenders, in the order of the plan.

    Args:
        plan: the run.
        fleet: knows what contenders say of themselves, and which could not be opened.
        report: with its sections and units, and the list as it was, for contenders that need not be opened again.
    """
    before = {record["id"]: record for record in report.get("contenders", [])}
    labels = _labels([case.spec for case in plan.cases])
    found = []
    for case in plan.cases:
        spec = case.spec
        own = fleet.infos.get(spec.id) or _info(before.get(spec.id, {}))
        if case.skipped is not None:
            status, reason = "skipped", without_folders(case.skipped)
        else:
            status, reason = _status(spec, fleet, report)
        found.append(
            {
                "id": spec.id,
                "label": labels[spec.id],
                "peer": Path(spec.peer).stem,
                "spec": _bare(spec),
                "status": status,
                "reason": reason,
                "threads": None if runs_on_gpu(spec) else spec.threads or physical_cores(),
                **own,
            }
        )
    return found


def without_folders(value: Any) -> Any:
    """Return a result, or a line of text, in which paths are names only: a report tells nothing of anybody's disk."""
    if isinstance(value, str):
        return _FOLDERS.sub("", value)
    if isinstance(value, Mapping):
        return {name: without_folders(item) for name, item in value.items()}
    if isinstance(value, list) and value and isinstance(value[0], (str, Mapping)):
        return [without_folders(item) for item in value]
    return value


def require_any(report: Mapping[str, Any]) -> None:
    """Check that something was measured.

    Raises:
        GcposeError: not one contender was; with all reasons.
    """
    if not any(record["status"] == "measured" for record in report["contenders"]):
        reasons = " | ".join(f"{record['label']}: {record['reason']}" for record in report["contenders"])
        raise GcposeError(f"nothing could be measured: {reasons}")


def _status(spec: ContenderSpec, fleet: Fleet, report: Mapping[str, Any]) -> tuple[str, str]:
    """Return the status of a contender that was to be measured, and what went wrong with it."""
    failures: dict[str, list[str]] = {}
    for key, unit in report["units"].items():
        result = unit.get(spec.id)
        if isinstance(result, Mapping) and "failed" in result:
            failures.setdefault(str(result["failed"]), []).append(key.split("/")[0])
    if _has_numbers(spec.id, report):
        return "measured", "; ".join(f"{', '.join(dict.fromkeys(where))}: {why}" for why, where in failures.items())
    if spec.id in fleet.failures:
        return "failed", without_folders(fleet.failures[spec.id])
    if failures:
        return "failed", "; ".join(failures)
    return "skipped", _NOTHING if report["complete"] else _INTERRUPTED


def _has_numbers(identity: str, report: Mapping[str, Any]) -> bool:
    entries = [report.get(section, {}).get(identity, {}) for section in SECTIONS if section != "samples"]
    drawn = any(identity in sample["poses"] for sample in report.get("samples", []))
    return drawn or any(set(entry) - _NO_NUMBERS for entry in entries)


def _labels(specs: list[ContenderSpec]) -> dict[str, str]:
    """Return a name for each that no other has: two files of the same name get the folder that each is in."""
    counts = Counter(spec.label for spec in specs)
    labels: dict[str, str] = {}
    taken: Counter[str] = Counter()
    for spec in specs:
        label = spec.label
        if counts[label] > 1:
            parent = Path(spec.model).parent.name
            label = f"{parent}/{label}" if parent and not spec.peer else label
            taken[label] += 1
            label += f" #{taken[label]}" if taken[label] > 1 else ""
        labels[spec.id] = label
    return labels


def _info(record: Mapping[str, Any]) -> dict[str, Any]:
    own = ("id", "label", "peer", "spec", "status", "reason", "threads")
    return {name: value for name, value in record.items() if name not in own}


def _bare(spec: ContenderSpec) -> dict[str, Any]:
    words = spec.to_dict()
    for name in ("model", "peer"):
        words[name] = Path(words[name]).name if "/" in words[name] else words[name]
    return words
