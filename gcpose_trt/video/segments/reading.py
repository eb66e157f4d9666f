"""Decoding the frames of one part of a video."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import av

from gcpose_trt.video.clips import Upright, reason_of
from gcpose_trt.video.frames import Image
from gcpose_trt.video.segments.clip import Clip


@dataclass
class Notes:
    """What went wrong while a part was read; complete after its last frame."""

    damage: list[str] = field(default_factory=list)


def read_window(clip: Clip, start: int | None, end: int | None, notes: Notes) -> Iterator[tuple[float, Image]]:
    """Yield the frames that are shown in a window of time; see the package for what belongs to it.

    Args:
        clip: a video that nothing was read of yet.
        start: time stamp of a key frame; None from the first frame on.
        end: time stamp of the first frame that does not belong to it, a key frame's; None to the last.
        notes: takes what is damaged; what follows it is still read.

    Yields:
        Time in seconds by the stream's own clock, and (h, w, 3) BGR uint8, upright. Frames without a time stamp count
        on from the first one's at the nominal rate, as `VideoSource` does it.
    """
    upright = Upright()
    first: float | None = None
    for index, picture in enumerate(decode_window(clip, start, end, notes)):
        time = picture.time
        if time is None:
            time = (first or 0.0) + index / clip.rate
        first = time if first is None else first
        yield time, upright(picture)


def decode_window(clip: Clip, start: int | None, end: int | None, notes: Notes) -> Iterator[Any]:
    """Yield the frames of `read_window` as PyAV decodes them."""
    packets = None if start is None else clip.enter(start)
    if packets is None:
        if start is not None:
            # Not there any more, although it was when the video was cut: the long way, from the first frame.
            clip.restart()
        packets = clip.packets()
    yield from within(packets, start, end, notes)


def within(packets: Iterator[Any], start: int | None, end: int | None, notes: Notes) -> Iterator[Any]:
    """Yield the frames in a window that packets from its start on, or from before, are decoded to."""
    passed = False

    def watched() -> Iterator[Any]:
        nonlocal passed
        for packet in packets:
            passed |= end is not None and packet.is_keyframe and packet.pts is not None and packet.pts >= end
            yield packet

    for picture in _decode(watched(), notes):
        pts = picture.pts
        if pts is not None:
            if start is not None and pts < start:
                continue
            if end is not None and pts >= end:
                # Before the key frame it can only be a damaged time stamp, which must not cost the rest of the window.
                if passed:
                    return
                continue
        yield picture


def _decode(packets: Iterator[Any], notes: Notes) -> Iterator[Any]:
    while True:
        try:
            packet = next(packets)
        except StopIteration:
            return
        except MemoryError:  # PyAV's is one of its other errors, too
            raise
        except (av.error.FFmpegError, OSError) as error:
            notes.damage.append(reason_of(error))
            return
        try:
            yield from packet.decode()
        except av.error.EOFError:
            return
        except MemoryError:
            raise
        except (av.error.FFmpegError, OSError) as error:
            notes.damage.append(reason_of(error))
