"""From a source's segments to its table of people: frame numbers, times and tracks from the first frame to the last.

One tracker sees the whole source in order, so the borders of segments leave no trace.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from gcpose_trt.batch.schema import POSES, text
from gcpose_trt.batch.segment_file import read_segment
from gcpose_trt.batch.types import Finished, Recipe, SegmentPoses, SourceFailure, SourcePlan
from gcpose_trt.files import atomic_write
from gcpose_trt.pose.skeleton import COCO17
from gcpose_trt.pose.tracking import Tracker
from gcpose_trt.pose.types import PoseFrame
from gcpose_trt.runtime.engine_record import file_sha256

if TYPE_CHECKING:
    import pyarrow as pa

ROWS = 65_536  # of a row group, about: a frame's people stay together
FRAMES_KEY = b"gcpose.segment_frames"  # in the file's metadata: how many frames each segment has, a JSON list
START_KEY = b"gcpose.start"  # the clock of the source at its first frame, seconds


@dataclass(frozen=True)
class _Row:
    """The people of one frame, as they are written."""

    frame: int
    time: float | None
    file: str | None
    poses: PoseFrame


def merge(
    plan: SourcePlan, recipe: Recipe, segments: Iterable[SegmentPoses | str | Path], out: str | os.PathLike[str]
) -> Finished | SourceFailure:
    """Write the people of a source; its bytes depend on the arguments alone.

    A video's frames are numbered as they come; where segments failed, those behind them count on, and tracks end if the
    gap is long. Its times count from the first frame that could be read.

    Args:
        plan: how the source was cut.
        recipe: what the results depend on.
        segments: all of the plan's, in order, or the files that the store keeps them in; one is in memory at a time.
        out: the Parquet file, schema `POSES`; there whole or not at all.

    Returns:
        What the source came to, with what failed as warnings; a failure where no frame of it could be read.

    Raises:
        GcposeError: the file cannot be written, or that of a segment is damaged.
    """
    import pyarrow.parquet as pq

    merging = _Merging(plan, recipe)
    try:
        with atomic_write(out) as stream:
            with pq.ParquetWriter(stream, POSES, compression="zstd") as writer:
                for table in _tables(merging.rows(map(_loaded, segments)), plan, recipe):
                    writer.write_table(table)
                about = {FRAMES_KEY: json.dumps(merging.segment_frames), START_KEY: repr(merging.start)}
                writer.add_key_value_metadata({key.decode(): value for key, value in about.items()})
            merging.check()
            stream.flush()
            os.fsync(stream.fileno())
    except _NothingReadError as error:
        return SourceFailure(plan.spec.uri, str(error), plan.spec.id)
    return merging.finished(file_sha256(Path(out)))


def _loaded(segment: SegmentPoses | str | Path) -> SegmentPoses:
    return segment if isinstance(segment, SegmentPoses) else read_segment(segment)


class _NothingReadError(Exception):
    """No frame of a source could be read: its file must not stay."""


class _Merging:
    """Counts what goes by while a source is merged."""

    def __init__(self, plan: SourcePlan, recipe: Recipe) -> None:
        self._plan = plan
        self._tracker = Tracker() if recipe.track and plan.spec.kind == "video" else None
        self._frames = self._people = self._tracks = 0
        self._size: tuple[int, int] | None = None
        self._end = 0.0
        self._warnings: list[str] = []
        self._failures: list[str] = []
        self.start: float | None = None
        self.segment_frames: list[int] = []

    def rows(self, segments: Iterable[SegmentPoses]) -> Iterator[_Row]:
        """Yield the frames in order."""
        for expected, segment in zip(self._plan.segments, segments, strict=True):
            if segment.segment != expected.index:
                raise ValueError(f"segment {segment.segment} came in the place of {expected.index}")
            yield from self._segment(segment)
            self._note(segment)

    def _segment(self, segment: SegmentPoses) -> Iterator[_Row]:
        spec = self._plan.spec
        if self._size is None and len(segment.sizes):
            self._size = (int(segment.sizes[0][0]), int(segment.sizes[0][1]))
        for number, (poses, ordinal) in enumerate(zip(segment.poses, segment.ordinals.tolist(), strict=True)):
            if spec.kind == "video":
                clock = float(segment.times[number])
                self.start = clock if self.start is None else self.start
                self._end = max(self._end, clock - self.start)
                if self._tracker is not None:
                    poses = self._tracker.update(poses, clock - self.start)
                row = _Row(self._frames, clock - self.start, None, poses)
            else:
                row = _Row(ordinal, None, text(spec.files[ordinal]), poses)
            self._frames += 1
            self._people += len(poses)
            if poses.ids is not None and len(poses):
                # Numbers are given out one by one, so the highest is how many there were.
                self._tracks = max(self._tracks, int(poses.ids.max()))
            yield row

    def _note(self, segment: SegmentPoses) -> None:
        self.segment_frames.append(len(segment.poses))
        self._warnings += segment.warnings
        if segment.failure is not None:
            self._failures.append(segment.failure)
            several = len(self._plan.segments)
            where = f"segment {segment.segment + 1} of {several}: " if several > 1 else ""
            self._warnings.append(f"{where}{segment.failure}")

    def check(self) -> None:
        """Raise _NothingReadError where there was no frame."""
        if not self._frames:
            reasons = [*self._failures, *self._warnings, "it has no frames; leave it out"]
            raise _NothingReadError(reasons[0])

    def finished(self, sha256: str) -> Finished:
        """Return what the source came to."""
        promised = self._plan.frames
        # As `VideoSource` does: containers are off by a few, and a file that was cut off may decode without complaint.
        if not self._warnings and promised and self._frames < 0.98 * promised:
            uri = text(self._plan.spec.uri)
            self._warnings.append(f"{uri} ends early: read {self._frames} of {promised} frames; copy it again")
        return Finished(
            self._plan.spec,
            self._frames,
            self._end,
            self._size,
            self._people,
            self._tracks,
            sha256,
            tuple(dict.fromkeys(self._warnings)),
        )


def _tables(rows: Iterable[_Row], plan: SourcePlan, recipe: Recipe) -> Iterator[pa.Table]:
    """Yield the rows as tables, cut by the number of people alone: not by where segments end."""
    waiting: list[_Row] = []
    people = 0
    for row in rows:
        if not len(row.poses):
            continue
        waiting.append(row)
        people += len(row.poses)
        if people >= ROWS:
            yield _table(waiting, plan, recipe)
            waiting, people = [], 0
    if waiting:
        yield _table(waiting, plan, recipe)


def _table(rows: Sequence[_Row], plan: SourcePlan, recipe: Recipe) -> pa.Table:
    import pyarrow as pa

    lengths = np.array([len(row.poses) for row in rows])
    boxes = np.concatenate([row.poses.boxes for row in rows])
    keypoints = np.concatenate([row.poses.keypoints for row in rows])
    columns: dict[str, Any] = {
        "source": pa.repeat(text(plan.spec.uri), len(boxes)),
        "frame": np.repeat(np.array([row.frame for row in rows], np.int64), lengths),
        "time": _repeated([row.time for row in rows], lengths, pa.float64()),
        "file": _repeated([row.file for row in rows], lengths, pa.string()),
        "person": np.concatenate([np.arange(length, dtype=np.int16) for length in lengths]),
        "track": _tracks(rows),
        "score": np.concatenate([row.poses.scores for row in rows]),
        "model": pa.repeat(recipe.model_hash, len(boxes)),
    }
    for number, name in enumerate(("box_x1", "box_y1", "box_x2", "box_y2")):
        columns[name] = boxes[:, number]
    for joint, name in enumerate(COCO17.names):
        for number, part in enumerate(("x", "y", "score")):
            columns[f"{name}_{part}"] = keypoints[:, joint, number]
    arrays = [pa.array(columns[field.name], field.type) for field in POSES]
    return pa.Table.from_arrays(arrays, schema=POSES)


def _repeated(values: Sequence[Any], lengths: np.ndarray, kind: pa.DataType) -> pa.Array:
    import pyarrow as pa

    return pa.array(values, kind).take(pa.array(np.repeat(np.arange(len(values)), lengths)))


def _tracks(rows: Sequence[_Row]) -> pa.Array:
    import pyarrow as pa

    ids = [np.full(len(row.poses), -1) if row.poses.ids is None else row.poses.ids for row in rows]
    numbers = np.concatenate(ids)
    return pa.array(numbers, pa.int64(), mask=numbers < 0)
