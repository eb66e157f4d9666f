"""An earlier report from its file, checked before anybody relies on it."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NoReturn

from gcpose_trt.benchmark.schema import KIND, SCHEMA
from gcpose_trt.benchmark.shapes import (
    Check,
    WrongError,
    each,
    fail,
    flag,
    interval,
    keys,
    list_of,
    number,
    optional,
    record,
    same_length,
    text,
)
from gcpose_trt.errors import GcposeError

REPORT = "report.json"


def read_report(path: str | os.PathLike[str]) -> dict[str, Any]:
    """Read and check a report.

    Partial reports are accepted ("complete" is false). Of each part, what other code computes with is checked: keys,
    types, finite numbers, lengths that belong together, contenders that are listed. Keys of a later version that are
    unknown here are left alone.

    Args:
        path: `report.json`, under any name, or the folder that it is in.

    Returns:
        The report, see `schema`.

    Raises:
        GcposeError: there is no such file, it is cut off, is not JSON or not a report, was written by a newer version,
            or a part of it has the wrong type.
    """
    place = Path(path)
    file = place / REPORT if place.is_dir() else place
    report = _json(file)
    if not isinstance(report, dict) or report.get("kind") != KIND:
        raise GcposeError(
            f"{file} is JSON, but not a benchmark report; give the {REPORT} that gcpose-trt benchmark wrote"
        )
    _check_version(file, report.get("schema"))
    try:
        _REPORT(report, "")
        _check_ids(report)
    except WrongError as error:
        raise GcposeError(f"{file} is damaged: {error}; take another copy of it or measure again") from error
    return report


def _json(file: Path) -> Any:
    try:
        text = file.read_text(encoding="utf-8-sig")
    except FileNotFoundError as error:
        raise GcposeError(f"no benchmark report at {file}; give a {REPORT} or the folder that has one") from error
    except UnicodeDecodeError as error:
        raise GcposeError(f"{file} is not a text file; give the {REPORT} that gcpose-trt benchmark wrote") from error
    except OSError as error:
        raise GcposeError(f"cannot read {file} ({error.strerror}); give a {REPORT} that can be read") from error
    try:
        return json.loads(text, parse_constant=_refuse_constant)
    except json.JSONDecodeError as error:
        cut = "ends too early" if error.pos >= len(text.rstrip()) or _in_string(error) else "is not JSON"
        raise GcposeError(
            f"{file} {cut} (line {error.lineno}: {error.msg}); take another copy of it or measure again"
        ) from error
    except (ValueError, RecursionError) as error:  # NaN, whole numbers of thousands of digits, thousands of brackets
        raise GcposeError(f"{file} is not JSON ({error}); take another copy of it or measure again") from error


def _in_string(error: json.JSONDecodeError) -> bool:
    """Say whether the text ends inside a string; the error's place is where the string starts."""
    return error.msg.startswith("Unterminated string")


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"it holds {name}")


def _check_version(file: Path, version: Any) -> None:
    if not isinstance(version, int) or isinstance(version, bool) or version < 1:
        raise GcposeError(f"{file} does not say its version (schema); take another copy of it or measure again")
    if version > SCHEMA:
        raise GcposeError(
            f"{file} was written by a newer gcpose-trt (schema {version}, this one reads {SCHEMA}); update gcpose-trt"
        )


_SUMMARY = keys(
    dict.fromkeys(("count", "median", "p90", "p99", "mean", "min", "max"), number),
    {"ci95": interval, "spread": number, "blocks": number},
)
_SPEC = keys(
    {"model": text},
    dict.fromkeys(("peer", "backend", "precision", "size", "device"), text)
    | {"threads": number, "min_score": number, "options": record},
)
_CONTENDER = keys(
    {"id": text, "label": text, "spec": _SPEC, "status": text},
    dict.fromkeys(("reason", "backend", "precision", "device", "version", "size", "weights_sha256", "rank"), text)
    | {"bytes": number, "threads": number, "licence": text},
)
_SAMPLES = same_length(
    keys({}, {name: list_of(number) for name in ("end_to_end", "network", "frame", "round")}),
    *("end_to_end", "network", "frame", "round"),
)
_LATENCY = keys(
    {},
    {
        "end_to_end": _SUMMARY,
        "network": _SUMMARY,
        "stages": each(_SUMMARY),
        "fps": number,
        "fps_end_to_end": number,
        "people": number,
        "energy": each(keys({}, {"joules_per_frame": number, "watts": number, "joules": _SUMMARY})),
        "unsteady": flag,
        "samples": _SAMPLES,
    },
)
_PEOPLE = same_length(
    keys(
        {},
        {"counts": list_of(number), "slope": number}
        | {name: list_of(optional(_SUMMARY)) for name in ("total", "detector", "pose")},
    ),
    *("counts", "total", "detector", "pose"),
)
_THROUGHPUT = keys(
    {},
    {
        "batches": list_of(keys({"batch": number}, {"fps": _SUMMARY})),
        "streams": list_of(keys({"streams": number}, {"fps": _SUMMARY})),
    },
)
_START = keys(
    {},
    dict.fromkeys(("import", "load", "first_frame", "steady", "host_peak_bytes", "gpu_peak_bytes"), _SUMMARY),
)
_ACCURACY = keys(
    {},
    {
        "keypoints": each(optional(number)),
        "boxes": each(optional(number)),
        "images": number,
        "people": number,
        "found": number,
        "rank": text,
        "min_score": number,
        "dataset": keys({}, {"name": text, "sha256": text}),
    },
)
_PARITY = keys({}, {"reference": text, "score_difference": number, "joint_pixels": each(optional(number))})
_SNAPSHOT = keys({}, {"temperatures": each(optional(number)), "throttled": record, "gpus": list_of(record)})
_OF_CONTENDERS: dict[str, Check] = {
    "latency": _LATENCY,
    "people": _PEOPLE,
    "throughput": _THROUGHPUT,
    "start": _START,
    "accuracy": _ACCURACY,
    "parity": _PARITY,
}
_REPORT = keys(
    {"complete": flag, "environment": record, "contenders": list_of(_CONTENDER)},
    {name: each(check) for name, check in _OF_CONTENDERS.items()}
    | {
        "suite": keys({}, {"name": text, "settings": record}),
        "command": text,
        "commit": text,
        "sessions": list_of(keys({}, {"started": text, "ended": text, "before": _SNAPSHOT, "after": _SNAPSHOT})),
        "clip": keys({}, {"name": text, "sha256": text}),
        "units": record,
        "samples": list_of(keys({"frame": number, "poses": record})),
    },
)


def _check_ids(report: Mapping[str, Any]) -> None:
    listed = [record["id"] for record in report["contenders"]]
    if len(set(listed)) < len(listed):
        fail("contenders", "has the same id twice")
    for section in _OF_CONTENDERS:
        for name in report.get(section) or {}:
            if name not in listed:
                fail(f"{section}.{name}", "is not among the contenders")
