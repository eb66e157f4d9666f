"""Small JSON files that say what is done. One that a crash or a bad disk left damaged counts as not there."""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from gcpose_trt.batch.types import Finished, Segment, SourceFailure, SourcePlan, SourceSpec
from gcpose_trt.errors import GcposeError
from gcpose_trt.files import atomic_write


def write_record(path: Path, content: Mapping[str, Any]) -> None:
    """Write a record that outlives a power failure from now on.

    Raises:
        GcposeError: it cannot be written, see `atomic_write`.
    """
    with atomic_write(path, "w") as stream:
        json.dump({"sha256": _digest(content), "content": content}, stream, indent=1)
        stream.write("\n")
        stream.flush()
        os.fsync(stream.fileno())
    sync(path.parent)


def read_record(path: Path) -> dict[str, Any] | None:
    """Return the content of a record; None where there is none, or none that is whole.

    Raises:
        GcposeError: it may not be read.
    """
    try:
        record = json.loads(path.read_bytes())
        content = record["content"]
        return content if isinstance(content, dict) and record["sha256"] == _digest(content) else None
    except PermissionError as error:
        raise GcposeError(f"cannot read {path} ({error.strerror}); check its permissions") from error
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return None


def sync(path: Path) -> None:
    """Wait until a file, or the names in a folder, are on the disk.

    Raises:
        GcposeError: they cannot be written.
    """
    try:
        handle = os.open(path, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
    except OSError as error:
        if path.is_dir():  # some network file systems refuse it for folders
            return
        raise GcposeError(
            f"cannot write {path} ({error.strerror}); free some space or choose another folder"
        ) from error


def remove(path: Path) -> None:
    """Remove a file that may be gone already.

    Raises:
        GcposeError: it cannot be removed.
    """
    try:
        with contextlib.suppress(FileNotFoundError, NotADirectoryError):
            path.unlink()
    except OSError as error:
        raise GcposeError(f"cannot remove {path} ({error.strerror}); check its permissions") from error


def to_json(value: SourcePlan | Finished | SourceFailure) -> dict[str, Any]:
    """Return a dataclass of `batch.types` as a JSON object."""
    return dataclasses.asdict(value)


def plan_of(record: Mapping[str, Any]) -> SourcePlan:
    """Return the plan of `to_json`'s object.

    Raises:
        KeyError, TypeError, ValueError: it is none.
    """
    return SourcePlan(
        spec_of(record["spec"]),
        tuple(Segment(**segment) for segment in record["segments"]),
        record["frames"],
        record["rate"],
        _pair(record["size"]),
    )


def finished_of(record: Mapping[str, Any]) -> Finished:
    """Return the result of `to_json`'s object; see `plan_of`."""
    changed = {"spec": spec_of(record["spec"]), "size": _pair(record["size"]), "warnings": tuple(record["warnings"])}
    return Finished(**{**record, **changed})


def failure_of(record: Mapping[str, Any]) -> SourceFailure:
    """Return the failure of `to_json`'s object; see `plan_of`."""
    return SourceFailure(**record)


def spec_of(record: Mapping[str, Any]) -> SourceSpec:
    """Return the source of `to_json`'s object; see `plan_of`."""
    return SourceSpec(**{**record, "files": tuple(record["files"])})


def _pair(value: Any) -> tuple[int, int] | None:
    return None if value is None else (value[0], value[1])


def _digest(content: Mapping[str, Any]) -> str:
    # As JSON gives it back: tuples are lists there.
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
