"""What a call took."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Timing:
    """What one call took, in milliseconds; a batch is one call.

    Where frames overlap on a GPU (backend tensorrt), `detector` and `pose` are times of the GPU, measured by events on
    it; `preprocess` is the rest of the time that passed: staging, copies, letterbox, launches, waiting for other
    threads. Such a batch takes less than the sum of its parts, so `preprocess` may be 0 and `total` an upper bound.
    """

    preprocess: float
    detector: float
    pose: float
    postprocess: float

    @property
    def network(self) -> float:
        """Both halves of the network, without what comes before, between and after."""
        return self.detector + self.pose

    @property
    def total(self) -> float:
        """From the frame to its poses."""
        return self.preprocess + self.detector + self.pose + self.postprocess

    def __add__(self, other: Timing) -> Timing:
        return Timing(
            self.preprocess + other.preprocess,
            self.detector + other.detector,
            self.pose + other.pose,
            self.postprocess + other.postprocess,
        )

    def __truediv__(self, calls: int) -> Timing:
        return Timing(self.preprocess / calls, self.detector / calls, self.pose / calls, self.postprocess / calls)
