"""Annotated clips: MP4 with H.264, which browsers play, encoded by PyAV."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType

from gcpose_trt.errors import GcposeError
from gcpose_trt.files import check_writable
from gcpose_trt.video.frames import Image, Result, completes
from gcpose_trt.video.sinks.h264 import Encoding, find_encoder, is_write_error
from gcpose_trt.video.sinks.pictures import picture_of

# A step back in time this long, or forward, is a clock that jumped and not a late frame; MP4 cannot hold the longest.
_BACK_S, _FORWARD_S = 1.0, 3600.0


class Mp4Sink:
    """Writes frames, with the people drawn on them, into one MP4 at the frames' own times.

    A file appears under its name once it is complete, which it also is after Ctrl-C: with the frames so far. Pictures
    that change their size are fitted into that of the file's first. An MP4 keeps a table of its frames in memory until
    it is complete (some 100 bytes a frame) and is lost if the machine loses its power: recordings that take days are
    cut into segments.

    Args:
        path: the file, *.mp4. Segments are called NAME_20260131T174500Z.mp4 by the machine's clock (UTC), or, where
            the source is no live one, NAME_0000.mp4, NAME_0001.mp4, ...
        rate: nominal frames a second.
        segment_minutes: length of a segment; None writes one file.

    Raises:
        GcposeError: the file cannot be written, or PyAV was built without an H.264 encoder.
    """

    needs_picture = True

    def __init__(self, path: Path, rate: float, *, segment_minutes: float | None = None) -> None:
        self.path = check_writable(path)
        self._encoder = find_encoder()
        self._rate = rate
        self._segment_s = None if segment_minutes is None else 60 * segment_minutes
        self._partial = self.path.with_name(f".{self.path.name}.{os.getpid()}.part")
        self._target = self.path
        self._segments = 0
        self._encoding: Encoding | None = None
        self._clock = _Clock(1 / rate)

    def write(self, result: Result) -> None:
        """Encode one frame."""
        frame = result.frame
        picture = picture_of(result)
        with self._errors():
            seconds = self._clock(frame.time_s if frame.time_s is not None else frame.index / self._rate)
            if self._segment_s is not None and seconds >= self._segment_s:
                self._finish()
                self._clock = _Clock(1 / self._rate)
                seconds = self._clock(frame.time_s if frame.time_s is not None else frame.index / self._rate)
            if self._encoding is None:
                self._start(picture, result.unix_time)
            self._encoding.write(picture, seconds)  # type: ignore[union-attr]  # made by _start

    def _start(self, picture: Image, unix_time: float | None) -> None:
        if self._segment_s is not None:
            self._target = self._segment(unix_time)
        self._encoding = Encoding(self._partial, self._encoder, self._rate, picture.shape[0], picture.shape[1])

    def _segment(self, unix_time: float | None) -> Path:
        """Return the name of the next segment."""
        if unix_time is None:
            name = f"{self.path.stem}_{self._segments:04d}"
        else:
            name = f"{self.path.stem}_{time.strftime('%Y%m%dT%H%M%SZ', time.gmtime(unix_time))}"
        self._segments += 1
        target, copy = self.path.with_name(f"{name}{self.path.suffix}"), 2
        while unix_time is not None and target.exists():  # the machine's clock was put back
            target, copy = self.path.with_name(f"{name}_{copy}{self.path.suffix}"), copy + 1
        return target

    def _finish(self) -> None:
        if self._encoding is None:
            return
        with self._errors():
            self._encoding.finish()
            os.replace(self._partial, self._target)
        self._encoding = None

    def _discard(self) -> None:
        if self._encoding is not None:
            self._encoding.abandon()
            self._encoding = None
            self._partial.unlink(missing_ok=True)

    @contextlib.contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except Exception as error:
            if not is_write_error(error):
                raise
            reason = getattr(error, "strerror", None) or str(error)
            raise GcposeError(
                f"cannot write {self._target} ({reason}); free some space or choose another folder"
            ) from error

    def __enter__(self) -> Mp4Sink:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if completes(kind):
                self._finish()
        finally:
            self._discard()


class _Clock:
    """Turns times of frames into seconds since the file's first, without the jumps of clocks that are put right."""

    def __init__(self, step: float) -> None:
        self._step = step
        self._start: float | None = None
        self._last = 0.0

    def __call__(self, time: float) -> float:
        if self._start is None:
            self._start = time
        seconds = time - self._start
        if not self._last - _BACK_S <= seconds <= self._last + _FORWARD_S:
            seconds = self._last + self._step
            self._start = time - seconds
        self._last = max(self._last, seconds)
        return seconds
