"""The ONNX Runtime backend by itself: what it hands on, and how its errors read."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime as ort
import pytest

from gcpose_trt.errors import GcposeError
from gcpose_trt.runtime import bundle
from gcpose_trt.runtime.backends.onnxruntime_backend import OnnxRuntimeBackend
from tests.support.bundles import make_bundle


@pytest.fixture
def backend(tiny: Path) -> OnnxRuntimeBackend:
    return OnnxRuntimeBackend(bundle.find(tiny), threads=1)


def test_outputs(backend: OnnxRuntimeBackend) -> None:
    image = np.full((2, 32, 64, 3), 255, np.uint8)
    found = backend.detect(image, np.array([[32, 64], [20, 30]]))
    assert isinstance(found.p2, ort.OrtValue)
    assert found.p2.shape() == [2, 1, 8, 16]
    np.testing.assert_array_equal(found.boxes[:, 0], [[0, 0, 64, 32], [0, 0, 30, 20]])
    np.testing.assert_array_equal(found.count, [3, 3])
    # Boxes that are a view into a larger array, as slicing makes them.
    keypoints = backend.pose(found.p2, found.boxes[:, 0][::-1], np.array([1, 0]))
    assert keypoints.shape == (2, 17, 3)
    assert keypoints[0, :, 0].max() <= 30 < keypoints[1, :, 0].max()


def test_batch_limit(tmp_path: Path) -> None:
    model = make_bundle(tmp_path, size=[64, 64], batch=4)
    assert OnnxRuntimeBackend(bundle.find(model), threads=1).batch_limit == 4


def test_errors_of_the_library_are_one_line(backend: OnnxRuntimeBackend, capfd: pytest.CaptureFixture[str]) -> None:
    found = backend.detect(np.zeros((1, 32, 32, 3), np.uint8), np.array([[32, 32]]))
    with pytest.raises(GcposeError, match="cannot run the model") as caught:
        backend.pose(found.p2, np.zeros((2, 5), np.float32), np.zeros(2, np.int64))
    assert "\n" not in str(caught.value)
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize(
    "text", ["Failed to allocate memory for requested buffer of size 9999\nmore", "std::bad_alloc"]
)
def test_out_of_memory(backend: OnnxRuntimeBackend, monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    class Exhausted:
        def run_with_ort_values(self, *args: Any) -> None:
            raise RuntimeError(text)

    monkeypatch.setattr(backend, "_detector", Exhausted())
    with pytest.raises(GcposeError, match=r"out of memory.*choose a smaller size") as caught:
        backend.detect(np.zeros((1, 32, 32, 3), np.uint8), np.array([[32, 32]]))
    assert "\n" not in str(caught.value)
