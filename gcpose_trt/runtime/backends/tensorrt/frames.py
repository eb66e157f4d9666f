"""Frames on their way to the GPU: from host memory, or already there."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gcpose_trt.errors import GcposeError
from gcpose_trt.runtime.preprocess import Image, to_bgr8

_WANTED = "pass one (H, W, 3) uint8 BGR frame whose pixels lie together"


@dataclass(frozen=True)
class DeviceFrame:
    """A frame in GPU memory that another library owns.

    Attributes:
        shape: (H, W).
        address: of its first byte.
        pitch: bytes from one row to the next.
        stream: CUstream of the work that fills it, as a number (1 legacy, 2 per thread); None where it is filled.
        owner: kept alive until the frame was read.
    """

    shape: tuple[int, int]
    address: int
    pitch: int
    stream: int | None
    owner: Any


def prepare(frame: Any) -> Image | DeviceFrame:
    """Return a frame as contiguous BGR uint8 on the host, or as it lies on the GPU.

    Args:
        frame: any picture that `to_bgr8` takes, or an object with `__cuda_array_interface__`.

    Raises:
        GcposeError: not a frame.
    """
    if not hasattr(frame, "__cuda_array_interface__"):
        return to_bgr8(frame)
    described = frame.__cuda_array_interface__
    try:
        height, width, channels = described["shape"]
        kind, (address, _) = str(described["typestr"]), described["data"]
        strides = described.get("strides") or (width * 3, 3, 1)
        stream, mask = described.get("stream"), described.get("mask")
    except (KeyError, TypeError, ValueError) as error:
        raise GcposeError(f"a frame on the GPU has the interface {described}; {_WANTED}") from error
    right = kind.lstrip("|<>=") == "u1" and channels == 3 and mask is None and min(height, width) > 0
    if not right or tuple(strides[1:]) != (3, 1) or strides[0] < 3 * width:
        raise GcposeError(
            f"a frame on the GPU has shape {described['shape']}, type {kind}, strides {strides}; {_WANTED}"
        )
    if stream == 0:  # the interface forbids it, because it does not say which of two streams is meant
        raise GcposeError("a frame on the GPU names stream 0, which is ambiguous; give 1, 2 or its own stream")
    return DeviceFrame((height, width), int(address), int(strides[0]), None if stream is None else int(stream), frame)


def height_width(frame: Image | DeviceFrame) -> tuple[int, int]:
    """Return (H, W)."""
    return frame.shape[0], frame.shape[1]


def stage(frame: Image, pinned: NDArray[np.uint8]) -> None:
    """Copy a frame into page-locked memory of its size."""
    np.copyto(pinned.reshape(frame.shape), frame)
