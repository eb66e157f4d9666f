"""The ONNX Runtime backend by itself: what it hands on, and how its errors read."""

from __future__ import annotations

import shutil
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


def test_half_precision_rounds() -> None:
    pytest.importorskip("onnx", reason="onnx is not installed; pip install 'gcpose-trt[export]'")
    paths = bundle.find("mobile")
    full, half = (OnnxRuntimeBackend(paths, 1, precision) for precision in ("fp32", "fp16"))
    assert half.info == full.info
    rng = np.random.default_rng(0)
    image = rng.integers(0, 256, (1, 8, 12, 3)).astype(np.uint8).repeat(16, 1).repeat(16, 2)
    size = np.array([[128, 192]])
    maps = [backend.detect(image, size).p2 for backend in (full, half)]
    assert maps[1].data_type() == "tensor(float16)"
    # The pyramid's part: rounded once, at the end, it would be within half a step of FP16 everywhere.
    a, b = (value.numpy()[:, :64].astype(np.float32) for value in maps)
    step = np.spacing(np.abs(a).astype(np.float16)).astype(np.float32)
    assert np.mean(np.abs(a - b) > 1.01 * step) > 0.1
    np.testing.assert_allclose(b, a, atol=0.02 * np.abs(a).max())
    people = np.array([[10, 10, 100, 120]], np.float32)
    keypoints = half.pose(maps[1], people, np.zeros(1, np.int64))
    assert keypoints.dtype == np.float32
    assert keypoints.shape == (1, 17, 3)


def test_unknown_precision(tiny: Path) -> None:
    with pytest.raises(GcposeError, match=r"cannot run in 'int4'; choose one of fp32, fp16, int8$"):
        OnnxRuntimeBackend(bundle.find(tiny), precision="int4")


def test_half_precision_of_a_broken_file(tiny: Path, tmp_path: Path) -> None:
    pytest.importorskip("onnx", reason="onnx is not installed; pip install 'gcpose-trt[export]'")
    broken = shutil.copytree(tiny, tmp_path / "broken")
    (broken / "pose.onnx").write_bytes(b"broken")
    with pytest.raises(GcposeError, match=r"pose\.onnx cannot be read as ONNX .*export the model again$"):
        OnnxRuntimeBackend(bundle.find(broken), precision="fp16")
