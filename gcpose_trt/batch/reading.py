"""Segments of sources as chunks of decoded frames: the work of a decoder."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO, cast

import numpy as np

from gcpose_trt.batch import storage
from gcpose_trt.batch.faults import Beat, StorageError, nothing
from gcpose_trt.batch.types import Chunk, Recipe, Segment, SourcePlan
from gcpose_trt.errors import GcposeError
from gcpose_trt.runtime.preprocess import Image
from gcpose_trt.video.images import decode_image
from gcpose_trt.video.segments import Clip, Notes, read_window


def read_segment(plan: SourcePlan, segment: Segment, recipe: Recipe, beat: Beat = nothing) -> Iterator[Chunk]:
    """Yield the frames of a segment in groups of `recipe.batch`, counted from its start, one group in memory at a time.

    Which frames of a video belong to a segment: those that are shown in [start, end). Decoding begins at the key frame
    that is shown at `start`; frames that come after it but are shown before it (those of an open group of pictures)
    are dropped here, and are decoded with the segment before, which goes on past its end until all of its frames have
    come. See `gcpose_trt.video.segments`.

    What cannot be read is part of the result: a picture or a damaged place as a warning, a segment of video of which
    there is nothing as a failure. Where the place does not give the file (a store that does not answer, a disk that
    fails), or a video is not there any more, that is a failure, too, with `again`. At least one chunk comes.

    Args:
        plan: of the source.
        segment: of the plan.
        recipe: says how many frames a group has.
        beat: told of each frame, and of each answer of the disk or the store.

    Raises:
        MemoryError: the frames do not fit.
    """
    outcome = _Outcome()
    read = _pictures if plan.spec.kind == "images" else _video
    number = 0
    group: list[_Frame] = []
    # A group goes out once it is known whether another frame follows, because the last one says what went wrong.
    for frame in read(plan, segment, outcome, beat):
        beat()
        if len(group) == recipe.batch:
            yield _chunk(plan, segment, number, group)
            number += 1
            group = []
        group.append(frame)
    yield _chunk(plan, segment, number, group, outcome)


@dataclass
class _Frame:
    ordinal: int
    time: float
    image: Image


@dataclass
class _Outcome:
    warnings: list[str] = field(default_factory=list)
    failure: str | None = None
    again: bool = False


def _chunk(
    plan: SourcePlan, segment: Segment, number: int, group: list[_Frame], outcome: _Outcome | None = None
) -> Chunk:
    return Chunk(
        plan.spec.id,
        segment.index,
        number,
        outcome is not None,
        [frame.image for frame in group],
        np.array([frame.ordinal for frame in group], np.int64),
        np.array([frame.time for frame in group], np.float64),
        tuple(outcome.warnings) if outcome else (),
        outcome.failure if outcome else None,
        outcome is not None and outcome.again,
    )


def _pictures(plan: SourcePlan, segment: Segment, outcome: _Outcome, beat: Beat) -> Iterator[_Frame]:
    files = plan.spec.files
    for position in range(segment.start or 0, len(files) if segment.end is None else segment.end):
        try:
            image = decode_image(storage.read_bytes(files[position], beat), files[position])
        except GcposeError as error:
            if isinstance(error, StorageError) or _lost_folder(files[position]):
                outcome.failure, outcome.again = str(error), True
                return
            outcome.warnings.append(f"left out: {error}")
            continue
        yield _Frame(position, np.nan, image)


def _lost_folder(file: str) -> bool:
    """Say whether a picture's folder is gone: a share that is not mounted any more, not one bad picture."""
    return not storage.is_remote(file) and not Path(file).parent.is_dir()


def _video(plan: SourcePlan, segment: Segment, outcome: _Outcome, beat: Beat) -> Iterator[_Frame]:
    uri = plan.spec.uri
    notes = Notes()
    count = 0
    try:
        file = storage.open_binary(uri, beat)
    except GcposeError as error:  # it was there when the source was planned
        outcome.failure, outcome.again = str(error), True
        return
    try:
        with _clip_of(file) as clip:
            place = _place(segment, clip.time_base)
            for time, image in read_window(clip, segment.start, segment.end, notes):
                yield _Frame(count, time, image)
                count += 1
    except GcposeError as error:
        outcome.failure, outcome.again = str(error), isinstance(error, StorageError)
        return
    times = "" if len(notes.damage) < 2 else f", {len(notes.damage)} times"
    why = f" ({notes.damage[0]}{times})" if notes.damage else ""
    remedy = "copy it again or give another video"
    if count == 0:
        outcome.failure = f"{uri} is truncated or damaged{why}, no frame {place} can be read; {remedy}"
    elif notes.damage:
        outcome.warnings.append(f"{uri} is damaged{why} {place}, where {count} frames could be read; {remedy}")


def _place(segment: Segment, time_base: float) -> str:
    start = "the start" if segment.start is None else f"{segment.start * time_base:.2f} s"
    end = "the end" if segment.end is None else f"{segment.end * time_base:.2f} s"
    return f"from {start} to {end}"


def open_clip(uri: str, beat: Beat = nothing) -> AbstractContextManager[Clip]:
    """Open a video as a context manager. What its place does wrong is raised in the place of what follows from it.

    Raises:
        GcposeError: as `storage.open_binary`, or it is not a video. At the end, too: reading failed on the way.
    """
    return _clip_of(storage.open_binary(uri, beat))


@contextmanager
def _clip_of(file: storage.OpenFile) -> Iterator[Clip]:
    with closing(file):
        try:
            with Clip(cast(BinaryIO, file), file.name) as clip:
                yield clip
        except GcposeError:
            file.check()
            raise
        file.check()
