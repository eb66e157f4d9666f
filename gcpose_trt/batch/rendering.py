"""The annotated MP4 of a source: decoded again, with the people of its table drawn."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gcpose_trt.batch.faults import StorageError
from gcpose_trt.batch.merging import FRAMES_KEY, START_KEY
from gcpose_trt.batch.recipe import keypoint_threshold
from gcpose_trt.batch.types import Recipe, SourcePlan
from gcpose_trt.errors import GcposeError
from gcpose_trt.pose.drawing import Painter, PaintOptions
from gcpose_trt.pose.skeleton import COCO17
from gcpose_trt.pose.types import KEYPOINTS, PoseFrame
from gcpose_trt.runtime.preprocess import Placed
from gcpose_trt.video.frames import Frame, Result
from gcpose_trt.video.sinks.mp4 import Mp4Sink

_RATE = 25.0  # of a video that does not say: times of frames go by their own clock anyway
_BOX = ("box_x1", "box_y1", "box_x2", "box_y2")
_JOINTS = tuple(f"{joint}_{part}" for joint in COCO17.names for part in ("x", "y", "score"))


def render(
    plan: SourcePlan, recipe: Recipe, part: str | os.PathLike[str], out: str | os.PathLike[str]
) -> tuple[str, ...]:
    """Draw a video as `gcpose-trt demo` does, with boxes, skeletons and numbers of the people.

    Segments that the table has nothing of are left out: the picture before them stays for as long.

    Args:
        plan: how the source was cut; a video.
        recipe: what the results depend on.
        part: the Parquet file that `merge` wrote of it.
        out: the MP4 file; there whole or not at all.

    Returns:
        Warnings, one line each: the video could not be read again, so frames are not drawn that the table has.

    Raises:
        StorageError: the video's place does not give it now.
        GcposeError: the file cannot be written, the table is gone, or PyAV has no H.264 encoder.
    """
    table = _Part(Path(part))
    drawn = 0
    painter = Painter(
        PaintOptions(hud=False, trails=False, keypoint_threshold=keypoint_threshold(recipe.model, recipe.backend))
    )
    with Mp4Sink(Path(out), plan.rate or _RATE) as sink:
        for frame in _frames(plan, recipe, table):
            poses = table.poses(frame.index)
            sink.write(Result(frame, poses, picture=painter.paint(frame.image, poses)))
            drawn += 1
    wanted = sum(table.segment_frames)
    if drawn == wanted:
        return ()
    return (
        f"{plan.spec.uri} could be drawn in part only, {drawn} of {wanted} frames; run the batch anew with --fresh",
    )


def _frames(plan: SourcePlan, recipe: Recipe, table: _Part) -> Iterator[Frame]:
    """Yield the frames that the table is of, numbered as there."""
    from gcpose_trt.batch.reading import read_segment

    base = 0
    for segment, count in zip(plan.segments, table.segment_frames, strict=True):
        number = base
        for chunk in read_segment(plan, segment, recipe) if count else ():
            for image, seconds in zip(chunk.images, chunk.times.tolist(), strict=True):
                assert not isinstance(image, Placed)  # it was decoded right here
                if number < base + count:
                    yield Frame(number, seconds - table.start, image, plan.spec.uri)
                number += 1
            if chunk.again:
                raise StorageError(chunk.failure or "")
        base += count


class _Part:
    """The people of a table frame by frame, read a row group at a time."""

    def __init__(self, path: Path) -> None:
        import pyarrow as pa
        import pyarrow.parquet as pq

        self._path = path
        try:
            self._file = pq.ParquetFile(path)
            about = self._file.metadata.metadata
            self.segment_frames: list[int] = json.loads(about[FRAMES_KEY])
            self.start: float = float(about[START_KEY])
        except (pa.ArrowException, OSError, KeyError, ValueError) as error:
            raise self._damaged() from error
        self._groups = chain.from_iterable(map(self._group, range(self._file.num_row_groups)))
        self._next: tuple[int, PoseFrame] | None = next(self._groups, None)

    def poses(self, frame: int) -> PoseFrame:
        """Return the people of a frame; frames are asked for in order."""
        while self._next is not None and self._next[0] < frame:
            self._next = next(self._groups, None)
        if self._next is None or self._next[0] != frame:
            return PoseFrame.empty()
        return self._next[1]

    def _group(self, number: int) -> Iterator[tuple[int, PoseFrame]]:
        """Yield the frames of one row group that have people; a frame's never lie in two."""
        import pyarrow as pa

        names = ["frame", "track", "score", *_BOX, *_JOINTS]
        try:
            table = self._file.read_row_group(number, columns=names)
        except (pa.ArrowException, OSError) as error:
            raise self._damaged() from error
        columns: dict[str, NDArray[Any]] = {
            name: table.column(name).fill_null(-1).to_numpy() if name == "track" else table.column(name).to_numpy()
            for name in names
        }
        boxes = np.stack([columns[name] for name in _BOX], axis=1)
        keypoints = np.stack([columns[name] for name in _JOINTS], axis=1).reshape(-1, KEYPOINTS, 3)
        starts = np.flatnonzero(np.diff(columns["frame"], prepend=-1)).tolist()
        for start, stop in zip(starts, [*starts[1:], len(boxes)], strict=True):
            rows = slice(start, stop)
            poses = PoseFrame(boxes[rows], columns["score"][rows], keypoints[rows], columns["track"][rows])
            yield int(columns["frame"][start]), poses

    def _damaged(self) -> GcposeError:
        return GcposeError(f"{self._path} is missing or damaged; run the same command again")
