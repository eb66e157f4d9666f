"""Results to write, and disks that are full."""

from __future__ import annotations

import contextlib
import resource
from collections.abc import Iterator

import numpy as np

from gcpose_trt.pose import PoseFrame
from gcpose_trt.video.frames import Frame, Image, Result

ONE = PoseFrame([[1, 2, 30, 40]], [0.5], np.full((1, 17, 3), 0.25))
NOBODY = PoseFrame.empty()
IMAGE = np.full((20, 30, 3), 90, np.uint8)


def result(
    index: int = 0,
    time_s: float | None = 0.0,
    source: str = "clip.mp4",
    poses: PoseFrame = ONE,
    image: Image = IMAGE,
    stream: int = 0,
    **more: float | None,
) -> Result:
    """Return a result whose picture is its image."""
    return Result(Frame(index, time_s, image, source, stream), poses, picture=image, **more)  # type: ignore[arg-type]


@contextlib.contextmanager
def full_disk(size: int) -> Iterator[None]:
    """Let no file grow beyond `size` bytes: writing fails as on a full disk, below every library."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
