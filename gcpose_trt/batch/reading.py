"""Segments of sources as chunks of decoded frames: the work of a decoder."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

import numpy as np

from gcpose_trt.batch import storage
from gcpose_trt.batch.types import Chunk, Recipe, Segment, SourcePlan
from gcpose_trt.errors import GcposeError
from gcpose_trt.runtime.preprocess import Image
from gcpose_trt.video.images import decode_image
from gcpose_trt.video.segments import Clip, Notes, read_window


def read_segment(plan: SourcePlan, segment: Segment, recipe: Recipe) -> Iterator[Chunk]:
    """Yield the frames of a segment in groups of `recipe.batch`, counted from its start, one group in memory at a time.

    Which frames of a video belong to a segment: those that are shown in [start, end). Decoding begins at the key frame
    that is shown at `start`; frames that come after it but are shown before it (those of an open group of pictures)
    are dropped here, and are decoded with the segment before, which goes on past its end until all of its frames have
    come. See `gcpose_trt.video.segments`.

    What cannot be read is part of the result: a picture or a damaged place as a warning, a segment of video of which
    there is nothing as a failure. At least one chunk comes.

    Raises:
        MemoryError: the frames do not fit.
    """
    outcome = _Outcome()
    frames = _pictures(plan, segment, outcome) if plan.spec.kind == "images" else _video(plan, segment, outcome)
    number = 0
    group: list[_Frame] = []
    # A group goes out once it is known whether another frame follows, because the last one says what went wrong.
    for frame in frames:
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
    )


def _pictures(plan: SourcePlan, segment: Segment, outcome: _Outcome) -> Iterator[_Frame]:
    files = plan.spec.files
    for position in range(segment.start or 0, len(files) if segment.end is None else segment.end):
        try:
            image = decode_image(storage.read_bytes(files[position]), files[position])
        except GcposeError as error:
            outcome.warnings.append(f"left out: {error}")
            continue
        yield _Frame(position, np.nan, image)


def _video(plan: SourcePlan, segment: Segment, outcome: _Outcome) -> Iterator[_Frame]:
    uri = plan.spec.uri
    notes = Notes()
    count = 0
    try:
        with closing(open_file(uri)) as opened, Clip(opened.file, uri) as clip:
            place = _place(segment, clip.time_base)
            for time, image in read_window(clip, segment.start, segment.end, notes):
                yield _Frame(count, time, image)
                count += 1
            opened.check()
    except GcposeError as error:
        outcome.failure = str(error)
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


@dataclass
class OpenFile:
    """What `Clip` reads: the path of a local file, an open one of a store.

    Attributes:
        file: see `Clip`.
        uri: for messages.
    """

    file: Path | BinaryIO
    uri: str

    def check(self) -> None:
        """Raise what reading from a store ran into; FFmpeg may take it for the file's end.

        Raises:
            GcposeError: reading failed on the way.
        """
        error = getattr(self.file, "error", None)
        if error is not None:
            raise storage.describe(error, self.uri)

    def close(self) -> None:
        if not isinstance(self.file, Path):
            self.file.close()


def open_file(uri: str) -> OpenFile:
    """Open a video for `Clip`.

    Raises:
        GcposeError: as `storage.open_binary`.
    """
    return OpenFile(storage.open_binary(uri) if storage.is_remote(uri) else Path(uri), uri)
