"""Frames on the host and on the GPU, as they are taken."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from gcpose_trt import PoseEstimator
from gcpose_trt.errors import GcposeError
from gcpose_trt.runtime.backends.tensorrt.frames import DeviceFrame, height_width, prepare


def on_gpu(**changes: Any) -> Any:
    """An object that says it lies at address 4096."""
    described = {"shape": (48, 64, 3), "typestr": "|u1", "data": (4096, False), "version": 3, **changes}
    return SimpleNamespace(__cuda_array_interface__=described)


def test_host_frames_become_bgr8() -> None:
    frame = prepare(np.zeros((4, 5), np.float32))
    assert isinstance(frame, np.ndarray)
    assert frame.shape == (4, 5, 3)
    assert frame.dtype == np.uint8
    assert height_width(frame) == (4, 5)


@pytest.mark.parametrize(
    ("changes", "pitch", "stream"),
    [
        ({}, 192, None),
        ({"strides": None, "stream": None}, 192, None),
        ({"strides": (256, 3, 1), "stream": 1}, 256, 1),  # rows that are padded, or a part of a wider frame
        ({"stream": 0x7F0000001234}, 192, 0x7F0000001234),
    ],
)
def test_gpu_frames_stay_where_they_are(changes: dict[str, Any], pitch: int, stream: int | None) -> None:
    owner = on_gpu(**changes)
    assert prepare(owner) == DeviceFrame((48, 64), 4096, pitch, stream, owner)


@pytest.mark.parametrize(
    "changes",
    [
        {"typestr": "<f4"},
        {"shape": (48, 64, 4)},
        {"shape": (48, 64)},
        {"shape": (0, 64, 3)},
        {"strides": (192, 6, 2)},
        {"strides": (1, 48, 3072)},
        {"strides": (100, 3, 1)},
        {"strides": (-192, 3, 1)},
        {"mask": object()},
        {"stream": 0},
        {"data": None},
    ],
)
def test_other_memory_is_refused_in_one_line(changes: dict[str, Any]) -> None:
    with pytest.raises(GcposeError, match="a frame on the GPU") as caught:
        prepare(on_gpu(**changes))
    assert "\n" not in str(caught.value)


def test_other_backends_say_that_they_take_none(tiny: Any) -> None:
    with PoseEstimator(tiny, threads=1) as estimator:
        for frames in (on_gpu(), [on_gpu()]):
            with pytest.raises(GcposeError, match="lies on the GPU, where backend onnxruntime does not take it"):
                estimator(frames)
