"""Image files as a source: one, a folder of them, or a glob."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import TracebackType

import cv2
import numpy as np

from gcpose_trt.errors import GcposeError
from gcpose_trt.runtime.preprocess import to_bgr8
from gcpose_trt.video.frames import Frame, Image

SUFFIXES = frozenset(
    {".bmp", ".dib", ".jpeg", ".jpg", ".jpe", ".jp2", ".png", ".webp", ".avif"}
    | {".pbm", ".pgm", ".ppm", ".pnm", ".tif", ".tiff", ".hdr"}
)
_JPEG = b"\xff\xd8"


class ImageSource:
    """Image files in the order given.

    A file among several that cannot be read is left out with a warning.

    Args:
        path: what the user asked for, for messages.
        files: the images; at least one.
    """

    rate: float | None = None

    def __init__(self, path: Path, files: Sequence[Path]) -> None:
        self.path = path
        self.kind = "image" if len(files) == 1 and files[0] == path else "images"
        self.frames: int | None = len(files)
        self.warnings: list[str] = []
        self._files = list(files)

    def __iter__(self) -> Iterator[Frame]:
        index = 0
        for file in self._files:
            try:
                image = read_image(file)
            except GcposeError as error:
                if self.kind == "image":
                    raise
                self.warnings.append(f"left out: {error}")
                continue
            yield Frame(index, None, image, str(file))
            index += 1
        if index == 0:
            raise GcposeError(f"none of the {len(self._files)} images of {self.path} can be read; {self.warnings[0]}")

    def __enter__(self) -> ImageSource:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        pass


def is_image(path: Path) -> bool:
    """Say whether a file's name is that of an image."""
    return path.suffix.lower() in SUFFIXES


def list_images(folder: Path) -> list[Path]:
    """Return the images of a folder, not of the folders in it; 2.jpg comes before 10.jpg.

    Raises:
        GcposeError: there is none, or the folder cannot be listed.
    """
    try:
        files = [path for path in folder.iterdir() if is_image(path) and path.is_file()]
    except OSError as error:
        raise GcposeError(f"cannot list {folder} ({error.strerror}); check its permissions") from error
    if not files:
        raise GcposeError(f"no images in folder {folder}; put .jpg or .png files there or give another folder")
    return sorted(files, key=natural_order)


def natural_order(path: Path | str) -> list[tuple[int, int | str]]:
    """Sort key under which numbers in names count as numbers."""
    parts = re.split(r"(\d+)", str(path))
    return [(0, int(part)) if part.isdecimal() else (1, part) for part in parts if part]


def read_image(path: Path) -> Image:
    """Return an image as (H, W, 3) BGR uint8, upright.

    Raises:
        GcposeError: missing, empty, truncated, or not an image.
    """
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        raise GcposeError(f"no file {path}; check the path") from None
    except OSError as error:
        raise GcposeError(f"cannot read {path} ({error.strerror}); check its permissions") from error
    return decode_image(data, str(path))


def decode_image(data: bytes, name: str) -> Image:
    """Return an image file's content as (H, W, 3) BGR uint8, upright.

    Args:
        data: all of the file.
        name: what it is called in messages.

    Raises:
        GcposeError: empty, truncated, or not an image.
    """
    if not data:
        raise GcposeError(f"{name} is empty; give another image")
    if _is_truncated(data):
        raise GcposeError(f"{name} is truncated; copy it again or give another image")
    # Unchanged keeps 16 bits and alpha, which the picture needs, but does not turn it upright as EXIF says; a JPEG
    # has neither of the former and often the latter.
    flags = cv2.IMREAD_COLOR if data.startswith(_JPEG) else cv2.IMREAD_UNCHANGED
    try:
        image = cv2.imdecode(np.frombuffer(data, np.uint8), flags)
    except cv2.error as error:  # more pixels than OpenCV accepts
        raise GcposeError(f"{name} cannot be read ({error.err}); give a smaller image") from error
    if image is None:
        raise GcposeError(f"{name} is damaged or not an image; give a JPEG or PNG file")
    return to_bgr8(image)


def _is_truncated(data: bytes) -> bool:
    """Say whether a file of a common format lacks its end: libraries paint the rest grey, or print to stderr."""
    if data.startswith(_JPEG):
        return _jpeg_is_truncated(data)
    if data.startswith(b"\x89PNG"):
        return b"IEND" not in data
    if data.startswith(b"RIFF"):  # WebP
        return len(data) < 8 + int.from_bytes(data[4:8], "little")
    return False


def _jpeg_is_truncated(data: bytes) -> bool:
    # Walks the segments up to the scan, because a thumbnail in one of them has an end marker of its own.
    position = 2
    while position + 4 <= len(data) and data[position] == 0xFF:
        marker = data[position + 1]
        if marker == 0xDA:
            return data.find(b"\xff\xd9", position) < 0
        # 0xFF before a marker is a fill byte.
        position += 1 if marker == 0xFF else 2 + int.from_bytes(data[position + 2 : position + 4], "big")
    return True
