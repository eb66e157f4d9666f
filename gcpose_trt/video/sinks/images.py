"""Annotated images, one a frame."""

from __future__ import annotations

from pathlib import Path
from types import TracebackType

import cv2

from gcpose_trt.errors import GcposeError
from gcpose_trt.files import atomic_write, check_writable
from gcpose_trt.video.frames import Frame, Result
from gcpose_trt.video.sinks.pictures import picture_of

WRITABLE = frozenset({".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff"})


class ImageSink:
    """Writes one annotated image a frame; each file appears complete or not at all.

    Args:
        path: a file for a single image, else a folder, where images keep the names of their sources and frames of
            clips and cameras are called frame_000000.jpg, frame_000001.jpg, ... by their numbers.
        folder: whether `path` is a folder.
        suffix: of the files in the folder, with the dot; None: that of the source's images, .jpg of clips and cameras.
        every: seconds between one picture and the next of a clip or camera; 0 writes all.

    Raises:
        GcposeError: nothing can be written there, or a name's ending is no image format.
    """

    needs_picture = True

    def __init__(self, path: Path, *, folder: bool, suffix: str | None = None, every: float = 0.0) -> None:
        self.path = path
        self._folder, self._suffix, self._every = folder, suffix, every
        self._taken: set[str] = set()
        self._last: float | None = None
        if ((suffix or ".jpg") if folder else path.suffix).lower() not in WRITABLE:
            raise GcposeError(f"{path} does not end like an image; choose a name that ends in .jpg or .png")
        check_writable(path / "image" if folder else path)

    def write(self, result: Result) -> None:
        """Write one image, unless it comes too soon after the last one."""
        if not self._due(result.frame.time_s):
            return
        target = self.path / self._name(result.frame) if self._folder else self.path
        if result.frame.time_s is None and target.resolve() == Path(result.frame.source).resolve():
            raise GcposeError(f"{target} is the source itself; choose another folder")
        done, data = cv2.imencode(target.suffix.lower(), picture_of(result))
        if not done:
            raise GcposeError(f"cannot encode {target}; choose a name that ends in .jpg or .png")
        with atomic_write(target) as stream:
            stream.write(data.tobytes())

    def _due(self, time: float | None) -> bool:
        if time is None or not self._every:
            return True
        # A clock that went back starts anew.
        if self._last is not None and self._last <= time < self._last + self._every:
            return False
        self._last = time
        return True

    def _name(self, frame: Frame) -> str:
        """Return a file name that no other image of this run has: a pattern may span folders."""
        if frame.time_s is not None:
            return f"frame_{frame.index:06d}{self._suffix or '.jpg'}"
        source = Path(frame.source)
        suffix = self._suffix or (source.suffix if source.suffix.lower() in WRITABLE else ".png")
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
