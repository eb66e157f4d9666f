"""The libraries that run a network, behind one protocol."""

from __future__ import annotations

from collections.abc import Generator, Iterable
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from gcpose_trt.pose.types import PoseFrame
from gcpose_trt.runtime.info import ModelInfo
from gcpose_trt.runtime.preprocess import SizeRule
from gcpose_trt.runtime.timing import Timing


@dataclass(frozen=True)
class Detections:
    """What the first half of the network finds in a batch of B inputs.

    Attributes:
        p2: features for the second half, (B, C, H/4, W/4), in the backend's own type so that they are not copied.
        boxes: (B, K, 4) float32, x1, y1, x2, y2 in input pixels.
        scores: (B, K) float32, descending, 0 where padded.
        count: (B,) int64, rows of `boxes` that are people.
    """

    p2: Any
    boxes: NDArray[np.float32]
    scores: NDArray[np.float32]
    count: NDArray[np.int64]


class Backend(Protocol):
    """A network that is ready to run. Every method may be called from several threads."""

    name: str
    info: ModelInfo
    batch_limit: int | None
    """The only batch size that it takes, or None for any."""
    precision: str
    """What it computes in: "fp32", "fp16" or "int8"."""
    device_name: str
    """Where it runs: "cpu", "cuda:0"."""

    def detect(self, image: NDArray[np.uint8], image_size: NDArray[np.int64]) -> Detections:
        """Find people in letterboxed BGR inputs (B, H, W, 3), of which image_size (B, 2) = (h, w) is not padding."""

    def pose(self, p2: Any, boxes: NDArray[np.float32], batch_index: NDArray[np.int64]) -> NDArray[np.float32]:
        """Return keypoints (N, 17, 3) float32, input pixels, of N > 0 boxes (N, 4) in rows batch_index (N,) of `p2`."""

    def close(self) -> None:
        """Free the network; no method is called afterwards."""


@runtime_checkable
class FusedBackend(Protocol):
    """A backend that goes from frames to poses by itself, because what lies between stays on its device."""

    def estimate(
        self, frames: Iterable[Any], rule: SizeRule, min_score: float, max_people: int
    ) -> Generator[tuple[list[PoseFrame], Timing], None, None]:
        """Find the people of each frame.

        Several batches are on their way at a time: a frame is taken from `frames` before the poses of the one before
        are given.

        Args:
            frames: pictures as `preprocess.to_bgr8` takes them, or objects with `__cuda_array_interface__`.
            rule: their size in the network.
            min_score: leave out people below this score.
            max_people: keep the best so many.

        Yields:
            The poses of each frame of a batch, in order, and what the batch took.

        Raises:
            GcposeError: not a frame, or the network fails.
        """

    def warmup(self) -> None:
        """Do what would make the first frame slow."""
