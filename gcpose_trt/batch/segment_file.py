"""What is kept of a segment until its source is finished: one Parquet file with a digest of its contents."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gcpose_trt.batch.schema import SEGMENT
from gcpose_trt.batch.types import SegmentPoses
from gcpose_trt.errors import GcposeError
from gcpose_trt.files import atomic_write
from gcpose_trt.pose.types import KEYPOINTS, PoseFrame

_KEY = b"gcpose.segment"
_LISTS = {"boxes": 4, "scores": 1, "keypoints": 3 * KEYPOINTS}  # numbers a person
_AGAIN = "run the same command again"


class DamagedSegmentError(GcposeError):
    """The file of a segment is cut short or changed: the segment has to be done again."""


def write_segment(path: Path, poses: SegmentPoses) -> None:
    """Write a segment, whole or not at all.

    Raises:
        GcposeError: it cannot be written, see `atomic_write`.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    sizes = np.asarray(poses.sizes, np.int32).reshape(-1, 2)
    columns: dict[str, Any] = {
        "ordinal": np.asarray(poses.ordinals, np.int64),
        "time": np.asarray(poses.times, np.float64),
        "height": np.ascontiguousarray(sizes[:, 0]),
        "width": np.ascontiguousarray(sizes[:, 1]),
    }
    offsets = np.cumsum([0, *(len(frame) for frame in poses.poses)])
    for name in _LISTS:
        columns[name] = _flat(poses.poses, name)
    about = {
        "source_id": poses.source_id,
        "segment": poses.segment,
        "warnings": list(poses.warnings),
        "failure": poses.failure,
    }
    about["sha256"] = _digest(about, offsets, columns)
    arrays = [
        pa.ListArray.from_arrays(pa.array(offsets * _LISTS[name], pa.int32()), pa.array(values))
        if name in _LISTS
        else pa.array(values)
        for name, values in columns.items()
    ]
    schema = SEGMENT.with_metadata({_KEY: json.dumps(about).encode()})
    with atomic_write(path) as stream:
        pq.write_table(pa.Table.from_arrays(arrays, schema=schema), stream, compression="zstd")


def read_segment(path: str | Path) -> SegmentPoses:
    """Return a segment that was written.

    Raises:
        DamagedSegmentError: the file is missing, cut short or changed.
        GcposeError: it may not be read.
    """
    about, people, columns = _read(Path(path))
    stops = np.cumsum(people)
    frames = [
        PoseFrame(
            columns["boxes"][4 * start : 4 * stop].reshape(-1, 4),
            columns["scores"][start:stop],
            columns["keypoints"][3 * KEYPOINTS * start : 3 * KEYPOINTS * stop].reshape(-1, KEYPOINTS, 3),
        )
        for start, stop in zip((stops - people).tolist(), stops.tolist(), strict=True)
    ]
    return SegmentPoses(
        about["source_id"],
        about["segment"],
        frames,
        list(zip(columns["height"].tolist(), columns["width"].tolist(), strict=True)),
        columns["ordinal"],
        columns["time"],
        tuple(about["warnings"]),
        about["failure"],
    )


def _read(path: Path) -> tuple[dict[str, Any], NDArray[np.int64], dict[str, NDArray[Any]]]:
    """Return the metadata, the people of each frame, and the columns, lists without their borders."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        # From memory: a file that is replaced meanwhile must not be read half and half.
        table = pq.read_table(pa.BufferReader(path.read_bytes())).combine_chunks()
        about = json.loads(table.schema.metadata[_KEY])
        columns: dict[str, NDArray[Any]] = {}
        offsets = np.zeros(1, np.int64)
        for name in SEGMENT.names:
            column = table.column(name).combine_chunks()
            if isinstance(column, pa.ChunkedArray):
                column = pa.concat_arrays(column.chunks) if column.num_chunks else pa.array([], column.type)
            if name in _LISTS:
                borders = column.offsets.to_numpy()
                column, offsets = column.flatten(), (borders - borders[:1]) // _LISTS[name]
            columns[name] = column.to_numpy(zero_copy_only=False)
        if about.pop("sha256") != _digest(about, offsets, columns):
            raise ValueError("contents and digest differ")
    except PermissionError as error:
        raise GcposeError(f"cannot read {path} ({error.strerror}); check its permissions") from error
    except (pa.ArrowException, OSError, ValueError, KeyError, TypeError, AttributeError, MemoryError) as error:
        raise DamagedSegmentError(f"{path} is damaged; {_AGAIN}") from error
    return about, np.diff(offsets), columns


def _flat(frames: Sequence[PoseFrame], name: str) -> NDArray[np.float32]:
    return np.concatenate([np.zeros(0, np.float32), *(getattr(frame, name).ravel() for frame in frames)])


def _digest(about: dict[str, Any], offsets: NDArray[Any], columns: dict[str, NDArray[Any]]) -> str:
    digest = hashlib.sha256(json.dumps(about, sort_keys=True).encode())
    digest.update(np.asarray(offsets, "<i8").tobytes())
    for name in SEGMENT.names:
        digest.update(np.ascontiguousarray(columns[name]).tobytes())
    return digest.hexdigest()
