"""The shipped model as a side, and one frame of the sample clip for it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from gcpose_trt.runtime.preprocess import SizeRule, fit, place
from gcpose_trt.video.sampling import read_frames


@pytest.fixture(scope="session")
def sample() -> tuple[Any, Any]:
    """Image (1, H, W, 3) uint8 with a person, a long side of 256, and its size (1, 2)."""
    frame = read_frames(wanted=1)[0]
    box = fit((frame.shape[0], frame.shape[1]), SizeRule(long=256))
    return place(frame, box)[None], np.array([box.content], np.int64)


@pytest.fixture(scope="session")
def onnx_side() -> Any:
    """`mobile` in ONNX Runtime."""
    pytest.importorskip("onnx", reason="onnx is not installed; pip install 'gcpose-trt[export]'")
    from gcpose_trt.compare.onnx_side import OnnxSide

    return OnnxSide("mobile", threads=1)
