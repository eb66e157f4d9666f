"""The table of a batch's sources: what each is, what came of it, and why not."""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import Any

from gcpose_trt.batch.schema import SOURCES, text
from gcpose_trt.batch.types import Finished, SourceFailure
from gcpose_trt.files import atomic_write

DONE, PARTIAL, FAILED = "done", "partial", "failed"


def write(path: str | os.PathLike[str], rows: Iterable[Finished | SourceFailure]) -> None:
    """Write the table, a row a source, in the order of their addresses; there whole or not at all.

    Args:
        path: the Parquet file, schema `SOURCES`.
        rows: what came of each source.

    Raises:
        GcposeError: the file cannot be written.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    records = sorted((_record(row) for row in rows), key=lambda record: (record["source"], record["source_id"] or ""))
    with atomic_write(path) as stream:
        pq.write_table(pa.Table.from_pylist(records, schema=SOURCES), stream, compression="zstd")


def state(row: Finished | SourceFailure) -> str:
    """Return "done", "partial" (something of it could not be read) or "failed"."""
    if isinstance(row, SourceFailure):
        return FAILED
    return PARTIAL if row.warnings else DONE


def _record(row: Finished | SourceFailure) -> dict[str, Any]:
    if isinstance(row, SourceFailure):
        known = {"source": text(row.uri), "source_id": row.id, "reason": text(row.reason)}
        nothing = {"frames": 0, "seconds": 0.0, "people": 0, "tracks": 0, "warnings": []}
        return {**known, **nothing, "state": FAILED}
    height, width = row.size or (None, None)
    return {
        "source": text(row.spec.uri),
        "source_id": row.spec.id,
        "kind": row.spec.kind,
        "state": state(row),
        "frames": row.frames,
        "seconds": row.seconds,
        "height": height,
        "width": width,
        "people": row.people,
        "tracks": row.tracks,
        "sha256": row.sha256,
        "warnings": [text(line) for line in row.warnings],
    }
