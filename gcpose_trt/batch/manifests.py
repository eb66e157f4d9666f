"""Files that list inputs."""

from __future__ import annotations

import csv
import json

from gcpose_trt.batch import storage
from gcpose_trt.batch.addresses import suffix
from gcpose_trt.errors import GcposeError

_COLUMN = "source"


def read_manifest(uri: str) -> list[str]:
    """Return the names in a manifest, see `inputs.expand`; at least one.

    Raises:
        GcposeError: cannot be read, is not of its form, or names nothing.
    """
    try:
        text = storage.read_bytes(uri).decode("utf-8-sig")
    except UnicodeDecodeError:
        raise GcposeError(f"manifest {uri} is not UTF-8 text; save it as UTF-8") from None
    lines = [(number, line) for number, line in enumerate(text.splitlines(), 1) if _counts(line)]
    ending = suffix(uri)
    if ending == ".csv":
        names = _csv(uri, [line for _, line in lines])
    elif ending == ".jsonl":
        names = [_json(uri, number, line) for number, line in lines]
    else:
        names = [line.strip() for _, line in lines]
    if not names:
        raise GcposeError(f"manifest {uri} names nothing; write one path or address on each line")
    return names


def _counts(line: str) -> bool:
    return bool(line.strip()) and not line.lstrip().startswith("#")


def _csv(uri: str, lines: list[str]) -> list[str]:
    try:
        rows = csv.DictReader(lines, skipinitialspace=True, strict=True)
        if rows.fieldnames is None or _COLUMN not in rows.fieldnames:
            raise GcposeError(f"manifest {uri} has no column `{_COLUMN}`; name it in the first line")
        return [row[_COLUMN].strip() for row in rows if row[_COLUMN] and row[_COLUMN].strip()]
    except csv.Error as error:
        raise GcposeError(f"manifest {uri} is not CSV ({error}); quote names with commas in them") from error


def _json(uri: str, number: int, line: str) -> str:
    try:
        name = json.loads(line)[_COLUMN]
    except (ValueError, TypeError, KeyError, RecursionError):
        name = None
    if not isinstance(name, str) or not name:
        raise GcposeError(f'line {number} of manifest {uri} has no source; write {{"{_COLUMN}": "clip.mp4"}}')
    return name
