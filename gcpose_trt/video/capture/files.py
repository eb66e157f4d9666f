"""Files on this machine, played once, several times or for ever."""

from __future__ import annotations

import dataclasses
import threading
import time
from collections.abc import Iterator
from pathlib import Path

from gcpose_trt.errors import GcposeError
from gcpose_trt.video.capture.feed import note
from gcpose_trt.video.capture.uri import Address
from gcpose_trt.video.frames import Frame, Source
from gcpose_trt.video.live_types import Reading, Status
from gcpose_trt.video.sources import open_source


class FileCapture:
    """A video, an image, a folder or a pattern of images, as a `Capture`.

    Frames come as fast as they are taken. When it is played again, `Frame.index` and `Frame.time_s` go on rising.

    Args:
        address: a file's; `options.loop` says how often it is played again.
        stream: see `Frame`.

    Raises:
        GcposeError: see `open_source`.
    """

    live = False
    reconnects = 0

    def __init__(self, address: Address, stream: int = 0) -> None:
        self.name, self.uri = address.name, address.shown
        self._target, self._stream, self._left = address.target, stream, address.options.loop
        self._source: Source = open_source(address.target)
        self._pictures: Iterator[Frame] = iter(self._source)
        self.path: Path | None = self._source.path
        self.kind, self.rate = self._source.kind, self._source.rate
        once, loop = self._source.frames, address.options.loop
        self.frames = None if once is None or loop < 0 else once * (loop + 1)
        self.warnings: list[str] = []
        self._index, self._start_s, self._time_s = 0, 0.0, 0.0
        self._reading = threading.Lock()
        self._closed = False
        self._last: Reading | None = None

    def read(self, timeout: float) -> Reading:
        """See `Capture.read`; decoding is not cut short."""
        with self._reading:
            if self._closed:
                self._release()
                return Reading(Status.END)
            if self._last is None:
                try:
                    frame = self._next()
                except GcposeError as error:
                    self._last = Reading(Status.ERROR, message=str(error))
                else:
                    if frame is not None and not self._closed:
                        return Reading(Status.OK, frame)
                    self._last = Reading(Status.END)
                self._release()
            return self._last

    def close(self) -> None:
        """See `Capture.close`."""
        self._closed = True
        # Not under a decoder's feet: a read under way releases it when it is done, or the next read does.
        if self._reading.acquire(blocking=False):
            try:
                self._release()
            finally:
                self._reading.release()

    def _next(self) -> Frame | None:
        while True:
            frame = next(self._pictures, None)
            if frame is not None:
                return self._renumbered(frame)
            if self._left == 0:
                return None
            self._left -= self._left > 0
            self._restart()

    def _renumbered(self, frame: Frame) -> Frame:
        if frame.time_s is not None:
            self._time_s = self._start_s + frame.time_s
        numbered = dataclasses.replace(
            frame,
            index=self._index,
            time_s=None if frame.time_s is None else self._time_s,
            stream=self._stream,
            captured=time.perf_counter(),
        )
        self._index += 1
        return numbered

    def _restart(self) -> None:
        self._release()
        self._start_s = self._time_s + 1.0 / (self.rate or 25.0)
        self._source = open_source(self._target)
        self._pictures = iter(self._source)

    def _release(self) -> None:
        for warning in self._source.warnings:
            note(self.warnings, warning)
        self._source.__exit__(None, None, None)
