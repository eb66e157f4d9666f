"""Where poses go: JSON lines, annotated images; annotated clips are in `mp4`."""

from __future__ import annotations

import errno
import json
import os
from collections.abc import Sequence
from contextlib import ExitStack
from io import FileIO
from pathlib import Path
from types import TracebackType

import cv2

from gcpose_trt.errors import GcposeError
from gcpose_trt.files import atomic_write, check_writable
from gcpose_trt.video.frames import Result, Sink, completes
from gcpose_trt.video.mp4 import Draw

SCHEMA = 1
_WRITABLE = frozenset({".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff"})


class JsonLinesSink:
    """Writes one JSON object a frame and line, each complete on disk before the next frame.

    Schema 1::

        {"schema": 1,              version of this layout
         "source": "clip.mp4",     file that the frame comes from
         "frame": 12,              0, 1, ... in the source
         "time": 0.4,              seconds since the first frame; null for images
         "people": [               best first; empty where nobody was found
           {"box": [x1, y1, x2, y2],            pixels of the frame, (0, 0) its top left corner
            "score": 0.97,                      confidence of the box, 0..1
            "keypoints": [[x, y, score], ...],  17 joints in COCO's order, pixels of the frame
            "id": 3}]}                          only where people were tracked

    Args:
        path: the file; made anew.

    Raises:
        GcposeError: the file cannot be written.
    """

    needs_picture = False

    def __init__(self, path: Path) -> None:
        self.path = check_writable(path)
        self._stream: FileIO | None = None

    def write(self, result: Result) -> None:
        """Write one line."""
        frame, poses = result.frame, result.poses
        time = None if frame.time_s is None else round(frame.time_s, 6)
        record = {"schema": SCHEMA, "source": frame.source, "frame": frame.index, "time": time, **poses.to_dict()}
        try:
            if self._stream is None:  # not before: a source that cannot be read must not cost an older file
                self._stream = self.path.open("wb", buffering=0)
            # One unbuffered write a line: a reader never sees half of one, and closing has nothing left to fail at.
            line = json.dumps(record, separators=(",", ":")).encode() + b"\n"
            if self._stream.write(line) != len(line):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        except OSError as error:
            raise GcposeError(f"cannot write {self.path} ({error.strerror}); free some space") from error

    def __enter__(self) -> JsonLinesSink:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._stream is None:
            return
        self._stream.close()
        if not completes(kind) and self.path.is_file():  # and not /dev/null or a pipe
            self.path.unlink()


class ImageSink:
    """Writes one annotated image a frame.

    Args:
        path: a file for a single image, else a folder, where images keep the names of their sources.
        draw: makes the picture to be written from an image and its poses.

    Raises:
        GcposeError: nothing can be written there, or the name's ending is no image format.
    """

    needs_picture = False  # draws for itself

    def __init__(self, path: Path, draw: Draw, *, folder: bool) -> None:
        self.path = path
        self._draw, self._folder = draw, folder
        self._taken: set[str] = set()
        if not folder and path.suffix.lower() not in _WRITABLE:
            raise GcposeError(f"{path} does not end like an image; choose a name that ends in .jpg or .png")
        check_writable(path / "image" if folder else path)

    def write(self, result: Result) -> None:
        """Write one image; its file appears complete or not at all."""
        frame, poses = result.frame, result.poses
        target = self.path / self._name(Path(frame.source)) if self._folder else self.path
        done, data = cv2.imencode(target.suffix.lower(), self._draw(frame.image, poses))
        if not done:
            raise GcposeError(f"cannot encode {target}; choose a name that ends in .jpg or .png")
        with atomic_write(target) as stream:
            stream.write(data.tobytes())

    def _name(self, source: Path) -> str:
        """Return a file name that no other image of this run has: a pattern may span folders."""
        suffix = source.suffix if source.suffix.lower() in _WRITABLE else ".png"
        name, copy = source.stem + suffix, 2
        while name in self._taken:
            name, copy = f"{source.stem}_{copy}{suffix}", copy + 1
        self._taken.add(name)
        return name

    def __enter__(self) -> ImageSink:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        pass


class SinkGroup:
    """Several sinks as one."""

    needs_picture = False

    def __init__(self, sinks: Sequence[Sink]) -> None:
        self._sinks = list(sinks)
        self._stack = ExitStack()

    def write(self, result: Result) -> None:
        """Write to each."""
        for sink in self._sinks:
            sink.write(result)

    def __enter__(self) -> SinkGroup:
        for sink in self._sinks:
            self._stack.enter_context(sink)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.__exit__(kind, error, trace)
