"""The libraries that run a network, behind one protocol."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from gcpose_trt.runtime.info import ModelInfo


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

    def detect(self, image: NDArray[np.uint8], image_size: NDArray[np.int64]) -> Detections:
        """Find people in letterboxed BGR inputs (B, H, W, 3), of which image_size (B, 2) = (h, w) is not padding."""

    def pose(self, p2: Any, boxes: NDArray[np.float32], batch_index: NDArray[np.int64]) -> NDArray[np.float32]:
        """Return keypoints (N, 17, 3) float32, input pixels, of N > 0 boxes (N, 4) in rows batch_index (N,) of `p2`."""

    def close(self) -> None:
        """Free the network; no method is called afterwards."""
