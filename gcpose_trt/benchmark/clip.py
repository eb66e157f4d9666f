"""The frames that every contender runs: some of a clip, spread evenly, always in the clip's order."""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from gcpose_trt.assets import SAMPLE
from gcpose_trt.errors import GcposeError
from gcpose_trt.video.images import list_images
from gcpose_trt.video.sources import open_source


@dataclass(frozen=True)
class Clip:
    """Which frames of which clip.

    Attributes:
        path: as `open_source` takes it.
        width, height: of its first frame, in pixels.
        indices: of the frames, from 0, ascending.
        sha256: digest of the file, or of all images with their names.
    """

    path: str
    width: int
    height: int
    indices: tuple[int, ...]
    sha256: str

    @property
    def name(self) -> str:
        """The file's name without its folder."""
        return Path(self.path).name

    def to_dict(self) -> dict[str, Any]:
        """Return what stands in the report."""
        return {
            "name": self.name,
            "width": self.width,
            "height": self.height,
            "frames": len(self.indices),
            "sha256": self.sha256,
        }


def look_at(path: str | os.PathLike[str] | None, wanted: int) -> Clip:
    """Choose frames of a clip; it is decoded once, because what files say of their length is not always so.

    Args:
        path: a video, an image or a folder of images; None takes the sample clip.
        wanted: how many frames; fewer if the clip has fewer.

    Raises:
        GcposeError: it cannot be read, or there is no such clip.
    """
    name = os.fspath(path if path is not None else SAMPLE)
    count, height, width = 0, 0, 0
    with open_source(name) as source:
        for frame in source:
            if not count:
                height, width = frame.image.shape[:2]
            count += 1
    chosen = np.linspace(0, count - 1, min(count, wanted)).round().astype(int)
    return Clip(name, width, height, tuple(chosen.tolist()), digest(Path(name)))


def digest(path: Path) -> str:
    """Return the sha256 of a file, or of a folder's images with their names, in hexadecimal.

    Raises:
        GcposeError: it cannot be read.
    """
    found = hashlib.sha256()
    try:
        if path.is_dir():
            for file in list_images(path):
                found.update(f"{file.name}\0".encode())
                found.update(file.read_bytes())
        else:
            found.update(path.read_bytes())
    except OSError as error:
        raise GcposeError(f"cannot read {path} ({error.strerror}); check its permissions") from error
    return found.hexdigest()
