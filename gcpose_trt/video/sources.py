"""Opening whatever a user names as a source: a video, an image, a folder of images, or a glob of images."""

from __future__ import annotations

import glob
import os
from pathlib import Path

import cv2

from gcpose_trt.errors import GcposeError
from gcpose_trt.video.clips import VideoSource
from gcpose_trt.video.frames import Source
from gcpose_trt.video.images import ImageSource, is_image, list_images, natural_order, read_image


def open_source(uri: str | os.PathLike[str]) -> Source:
    """Open a source.

    Args:
        uri: path of a video or an image, of a folder with images, or a pattern such as "photos/*.jpg".

    Returns:
        A source to use in a `with` block and iterate over once.

    Raises:
        GcposeError: nothing there, nothing readable in it, or not a picture at all.

    Example:
        >>> with open_source("clip.mp4") as source:  # doctest: +SKIP
        ...     for frame in source:
        ...         print(frame.index, frame.time_s, frame.image.shape)
    """
    name = os.fspath(uri)
    path = Path(name)
    if not name:
        raise GcposeError("the source is an empty name; give a video, an image, a folder or a pattern")
    # A file may have [ or * in its name, so what exists is not a pattern.
    if not path.exists() and glob.has_magic(name):
        return ImageSource(path, _matches(name))
    if path.is_dir():
        return ImageSource(path, list_images(path))
    if not path.exists():
        raise GcposeError(f"no file {path}; check the path")
    _check_readable(path)
    if is_image(path) or (cv2.haveImageReader(name) and not _may_move(path)):
        read_image(path)  # refuses a bad image before any output is made
        return ImageSource(path, [path])
    return VideoSource(path)


def _matches(pattern: str) -> list[Path]:
    found = [Path(name) for name in glob.glob(pattern, recursive=True)]  # noqa: PTH207  # takes absolute patterns too
    files = sorted((path for path in found if path.is_file() and is_image(path)), key=natural_order)
    if not files:
        raise GcposeError(f"no image matches {pattern}; check the pattern, and quote it in a shell")
    return files


def _check_readable(path: Path) -> None:
    if not path.is_file():
        raise GcposeError(f"{path} is not a regular file; give a video, an image, a folder or a pattern")
    try:
        with path.open("rb") as stream:
            start = stream.read(1)
    except OSError as error:
        raise GcposeError(f"cannot read {path} ({error.strerror}); check its permissions") from error
    if not start:
        raise GcposeError(f"{path} is empty; give another file")


def _may_move(path: Path) -> bool:
    # OpenCV reads the first picture of an animation, which PyAV reads as the video that it is.
    return path.suffix.lower() in (".gif", ".apng")
