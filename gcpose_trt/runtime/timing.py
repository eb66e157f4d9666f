"""What a call took."""

from __future__ import annotations

from dataclasses import astuple, dataclass


@dataclass(frozen=True)
class Timing:
    """What one call took, in milliseconds; a batch is one call.

    `upload` is, where frames go to a GPU (backend tensorrt), by events on it: page-locked staging, copies,
    letterbox. It is 0 where nothing goes there, and part of `detector` in PyTorch. The copy back is part of `pose`.

    Where frames overlap on a GPU, `detector` and `pose` are times of the GPU too, and `preprocess` is the rest of the
    time that passed: conversion, launches, waiting for other threads. Such a batch takes less than the sum of its
    parts, so `preprocess` may be 0 and `total` an upper bound.
    """

    preprocess: float
    detector: float
    pose: float
    postprocess: float
    upload: float = 0.0

    @property
    def network(self) -> float:
        """Both halves of the network, without what comes before, between and after."""
        return self.detector + self.pose

    @property
    def total(self) -> float:
        """From the frame to its poses."""
        return self.preprocess + self.upload + self.detector + self.pose + self.postprocess

    def __add__(self, other: Timing) -> Timing:
        return Timing(*(mine + theirs for mine, theirs in zip(astuple(self), astuple(other), strict=True)))

    def __truediv__(self, calls: int) -> Timing:
        return Timing(*(part / calls for part in astuple(self)))
