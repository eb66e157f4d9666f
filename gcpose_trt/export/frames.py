"""Frames on which an export is checked."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from gcpose_trt.errors import GcposeError
from gcpose_trt.runtime.bundle import SHIPPED
from gcpose_trt.runtime.preprocess import Image, to_bgr8

SAMPLE_CLIP = SHIPPED / "sample.mp4"
SUFFIXES = {".jpg", ".jpeg", ".png", ".bmp", ".webp"}
FRAMES = 4  # enough shapes and people to show a fault; each costs a run of the network on both sides
_REMEDY = "give a folder of images with people in them with --images"


def _spread(count: int, wanted: int) -> list[int]:
    return sorted(set(np.linspace(0, count - 1, min(count, wanted)).round().astype(int).tolist()))


def read_images(folder: Path, wanted: int = FRAMES) -> list[Image]:
    """Return up to `wanted` BGR frames, spread over the images of a folder in the order of their names.

    Raises:
        GcposeError: no such folder, no images in it, or one cannot be read.
    """
    if not folder.is_dir():
        raise GcposeError(f"there is no folder {folder}; {_REMEDY}")
    paths = sorted(path for path in folder.iterdir() if path.suffix.lower() in SUFFIXES)
    if not paths:
        raise GcposeError(f"{folder} has no images; {_REMEDY}")
    frames = []
    for index in _spread(len(paths), wanted):
        image = cv2.imread(str(paths[index]), cv2.IMREAD_COLOR)
        if image is None:
            raise GcposeError(f"{paths[index]} cannot be read as an image; remove it or {_REMEDY}")
        frames.append(to_bgr8(image))
    return frames


def read_sample(clip: Path = SAMPLE_CLIP, wanted: int = FRAMES) -> list[Image]:
    """Return `wanted` frames spread over a clip, by default the one that comes with the package.

    Raises:
        GcposeError: the clip is missing or cannot be decoded.
    """
    if not clip.is_file():
        raise GcposeError(f"the sample clip {clip} is missing; {_REMEDY}")
    reader = cv2.VideoCapture(str(clip))
    frames = []
    try:
        while True:
            read, frame = reader.read()
            if not read:
                break
            frames.append(frame)
    finally:
        reader.release()
    if not frames:
        raise GcposeError(f"{clip} cannot be decoded; {_REMEDY}")
    return [to_bgr8(frames[index]) for index in _spread(len(frames), wanted)]
