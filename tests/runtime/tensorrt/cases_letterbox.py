"""Frames of the host and of the GPU through the letterbox kernel. Run by test_on_standins.py with the CPU's kernels."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from gcpose_trt import PoseEstimator, PoseFrame
from gcpose_trt.errors import GcposeError
from gcpose_trt.runtime.cuda import Device, open_device
from tests.support.bundles import make_bundle
from tests.support.cuda_standin import count
from tests.support.deferred_kernels import defer
from tests.support.engine_folders import from_bundle

GENERATION = os.environ["GCPOSE_TEST_GENERATION"]
sys.setdlopenflags(os.RTLD_LAZY)  # pycuda refers to the whole driver, which the stand-in is not
defer()


def scene(height: int, width: int, box: tuple[int, int, int, int], channels: int = 1, level: int = 255) -> np.ndarray:
    frame = np.zeros((height, width, 3), np.uint8)
    x1, y1, x2, y2 = box
    frame[y1:y2, x1:x2, :channels] = level
    return frame


# The input is 64 x 96: as it is, smaller, larger by much, upright, a strip, nobody.
FRAMES = [
    scene(64, 96, (10, 5, 60, 50), 3),
    scene(30, 40, (4, 4, 30, 25), 2),
    scene(512, 768, (100, 200, 500, 400), 1),
    scene(700, 300, (50, 100, 250, 600), 3, 220),
    scene(10, 900, (30, 0, 700, 10), 1),
    np.zeros((1, 1, 3), np.uint8),
]


def close_to(found: list[PoseFrame], wanted: list[PoseFrame]) -> None:
    assert [len(poses) for poses in found] == [len(poses) for poses in wanted]
    for one, other, frame in zip(found, wanted, FRAMES, strict=False):
        pixel = 1.01 * max(1.0, frame.shape[0] / 64, frame.shape[1] / 96)  # of the input, in the frame
        np.testing.assert_allclose(one.boxes, other.boxes, atol=pixel)
        np.testing.assert_allclose(one.keypoints[..., :2], other.keypoints[..., :2], atol=pixel)
        np.testing.assert_allclose(one.keypoints[..., 2], other.keypoints[..., 2], atol=3 / 255)


@pytest.fixture
def device() -> Iterator[Device]:
    with open_device() as opened:
        yield opened
    assert count("device") == count("pinned") == count("contexts") == 0


def folders(tmp_path: Path, batch: int) -> tuple[Path, Path]:
    bundle = make_bundle(tmp_path / "bundle", size=[64, 96], batch=batch)
    return bundle, from_bundle(tmp_path / "engines", bundle, generation=GENERATION)


@pytest.mark.parametrize("batch", [1, 4])
def test_frames_of_the_host(tmp_path: Path, device: Device, batch: int) -> None:
    bundle, folder = folders(tmp_path, batch)
    with PoseEstimator(bundle, threads=1, min_score=0) as reference, PoseEstimator(folder, min_score=0) as estimator:
        wanted = reference(FRAMES)
        assert sum(len(poses) for poses in wanted) == 10
        for _ in range(3):
            close_to(estimator(FRAMES), wanted)


def on_gpu(device: Device, frame: np.ndarray, padding: int = 0, offset: int = 0, pending: bool = False) -> Any:
    """Put a frame into GPU memory of its own; with `pending` it gets there when its stream is waited for."""
    height, width, _ = frame.shape
    pitch = 3 * width + padding
    memory, pinned, stream = (
        device.allocate(offset + pitch * height),
        device.allocate_pinned(pitch * height),
        device.stream(),
    )
    pinned.bytes[:] = 77
    pinned.bytes.reshape(height, pitch)[:, : 3 * width] = frame.reshape(height, -1)
    with device.current():
        stream.to_device(memory.address + offset, pinned.bytes)
        if not pending:
            stream.synchronize()
    described = {
        "shape": frame.shape,
        "typestr": "|u1",
        "strides": (pitch, 3, 1) if padding else None,
        "data": (memory.address + offset, False),
        "version": 3,
        "stream": stream.address if pending else None,
    }
    return SimpleNamespace(__cuda_array_interface__=described)


@pytest.mark.parametrize("batch", [1, 3])
def test_frames_of_the_gpu_are_not_copied(tmp_path: Path, device: Device, batch: int) -> None:
    _, folder = folders(tmp_path, batch)
    with PoseEstimator(folder, min_score=0) as estimator:
        wanted = estimator(FRAMES)
        estimator.warmup()
        plain = [on_gpu(device, frame) for frame in FRAMES]
        before = count("cuMemcpyHtoDAsync")
        close_to(estimator(plain), wanted)
        batches = -(-len(FRAMES) // batch)
        assert count("cuMemcpyHtoDAsync") - before == batches if batch == 1 else True  # the sizes of the frames
        padded = [on_gpu(device, frame, padding=13, offset=7) for frame in FRAMES]
        close_to(estimator(padded), wanted)
        waiting = [on_gpu(device, frame, pending=True) for frame in FRAMES]
        close_to(estimator(waiting), wanted)
        mixed = [given if index % 2 else FRAMES[index] for index, given in enumerate(plain)]
        close_to(estimator(mixed), wanted)
        assert estimator(plain[0]) == wanted[0]


def test_out_of_memory_for_a_large_frame(tmp_path: Path, device: Device, monkeypatch: pytest.MonkeyPatch) -> None:
    _, folder = folders(tmp_path, 1)
    with PoseEstimator(folder, min_score=0) as estimator:
        wanted = estimator(FRAMES)
        monkeypatch.setenv("GCPOSE_STANDIN_MEMORY", str(count("bytes") + 1_000_000))
        for _ in range(4):  # no slot is lost
            with pytest.raises(
                GcposeError, match=r"out of GPU memory.*choose a smaller size or fewer people"
            ) as caught:
                estimator([FRAMES[0], np.zeros((2000, 2000, 3), np.uint8)])
            assert "\n" not in str(caught.value)
        close_to(estimator(FRAMES), wanted)


def test_a_gpu_frame_needs_the_kernel(tmp_path: Path, device: Device, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GCPOSE_PLUGINS", "")
    _, folder = folders(tmp_path, 1)
    with PoseEstimator(folder) as estimator:
        with pytest.raises(GcposeError, match="needs our letterbox kernel; build it with: gcpose-trt plugins build"):
            estimator(on_gpu(device, FRAMES[0]))
        assert len(estimator(FRAMES[0])) == 2
