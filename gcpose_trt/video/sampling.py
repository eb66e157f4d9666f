"""A few frames out of images or a clip, for checks of a model."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from gcpose_trt.errors import GcposeError
from gcpose_trt.runtime.bundle import SHIPPED
from gcpose_trt.runtime.preprocess import Image
from gcpose_trt.video.images import list_images, read_image
from gcpose_trt.video.sources import open_source

SAMPLE_CLIP = SHIPPED / "sample.mp4"
FRAMES = 4  # enough shapes and people to show a fault; each costs a run of the network on both sides
_STEP = 25  # between frames of a clip that does not say how many it has


def read_frames(path: Path | None = None, wanted: int = FRAMES) -> list[Image]:
    """Return up to `wanted` BGR frames (h, w, 3) uint8, spread over a folder of images, a clip or one image.

    Args:
        path: what to read; None takes the clip that comes with the package.
        wanted: how many.

    Raises:
        GcposeError: nothing there, or it cannot be read.
    """
    if path is None:
        if not SAMPLE_CLIP.is_file():
            raise GcposeError(f"the sample clip {SAMPLE_CLIP} is missing; give images with people with --images")
        path = SAMPLE_CLIP
    if path.is_dir():
        files = list_images(path)
        return [read_image(files[index]) for index in sorted(_spread(len(files), wanted))]
    frames: list[Image] = []
    with open_source(path) as source:
        chosen = _spread(source.frames, wanted) if source.frames else set(range(0, _STEP * wanted, _STEP))
        for frame in source:
            # A clip may be shorter than it says.
            if frame.index in chosen or not frames:
                frames.append(frame.image)
            if len(frames) == len(chosen):
                break
    return frames


def _spread(count: int, wanted: int) -> set[int]:
    return set(np.linspace(0, count - 1, min(count, wanted)).round().astype(int).tolist())
