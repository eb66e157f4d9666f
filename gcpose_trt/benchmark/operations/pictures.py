"""Frames that several requests in a row are about, decoded once."""

from __future__ import annotations

import functools

from gcpose_trt.benchmark.contender import Image
from gcpose_trt.benchmark.operations import frames


@functools.lru_cache(maxsize=1)  # the last ones only: they may be large
def pictures(clip: str, indices: tuple[int, ...]) -> tuple[Image, ...]:
    """Return frames (H, W, 3) BGR uint8 of a clip; see `frames.read`."""
    return tuple(frames.read(clip, indices))
