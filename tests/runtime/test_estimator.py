"""PoseEstimator on the synthetic model: geometry, options, batches, threads, life and death."""

from __future__ import annotations

import subprocess
import sys
import threading
from concurrent import futures
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gcpose_trt import PoseEstimator, PoseFrame
from gcpose_trt.assets import FOLDER
from gcpose_trt.errors import GcposeError
from gcpose_trt.runtime.estimator import Timing
from tests.support.bundles import SCORES, TEMPLATE, make_bundle


@pytest.fixture(scope="module")
def estimator(tiny: Path) -> PoseEstimator:
    return PoseEstimator(tiny, threads=1)


def scene(height: int, width: int, box: tuple[int, int, int, int], channels: tuple[int, ...] = (0,)) -> np.ndarray:
    frame = np.zeros((height, width, 3), np.uint8)
    x1, y1, x2, y2 = box
    for channel in channels:
        frame[y1:y2, x1:x2, channel] = 255
    return frame


@settings(max_examples=30, deadline=None)
@given(height=st.integers(40, 300), width=st.integers(40, 300), data=st.data())
def test_boxes_and_joints_are_in_frame_pixels(
    estimator: PoseEstimator, height: int, width: int, data: st.DataObject
) -> None:
    x1, y1 = data.draw(st.integers(0, width // 2)), data.draw(st.integers(0, height // 2))
    x2, y2 = data.draw(st.integers(x1 + 12, width)), data.draw(st.integers(y1 + 12, height))
    poses = estimator(scene(height, width, (x1, y1, x2, y2)))
    assert len(poses) == 1
    # One pixel of the 64-pixel input, on either side.
    slack = 1.5 * max(1.0, max(height, width) / 64)
    np.testing.assert_allclose(poses.boxes[0], [x1, y1, x2, y2], atol=slack)
    joints = poses.boxes[0, :2] + TEMPLATE * (poses.boxes[0, 2:] - poses.boxes[0, :2])
    np.testing.assert_allclose(poses.keypoints[0, :, :2], joints, atol=1e-3)
    assert poses.boxes.dtype == poses.keypoints.dtype == poses.scores.dtype == np.float32


def test_nobody(estimator: PoseEstimator) -> None:
    poses, timing = estimator.run(np.zeros((50, 70, 3), np.uint8))
    assert poses == PoseFrame.empty()
    assert timing.total >= timing.network > 0


@pytest.mark.parametrize("shape", [(1, 1, 3), (1, 500, 3), (500, 1, 3), (4320, 7680, 3)])
def test_frames_of_any_size(estimator: PoseEstimator, shape: tuple[int, int, int]) -> None:
    assert len(estimator(np.zeros(shape, np.uint8))) == 0
    poses = estimator(np.full(shape, 255, np.uint8))
    assert len(poses) == 2
    np.testing.assert_allclose(poses.boxes, [[0, 0, shape[1], shape[0]]] * 2, rtol=1e-6)


def test_padding_is_not_part_of_the_frame(tiny: Path) -> None:
    # A wide frame in a square input: the lower half of the input is padding.
    with PoseEstimator(tiny, size=(64, 64), threads=1) as estimator:
        frame = scene(100, 200, (50, 50, 150, 100))
        np.testing.assert_allclose(estimator(frame).boxes, [[50, 50, 150, 100]], atol=3.2)


def test_grey_16_bit_alpha_and_float_frames(estimator: PoseEstimator) -> None:
    grey = scene(60, 60, (20, 20, 40, 50))[..., 0]
    wanted = estimator(np.repeat(grey[..., None], 3, axis=2))
    opaque = np.dstack([grey] * 3 + [np.full_like(grey, 255)])
    for frame in (grey, grey.astype(np.uint16) * 257, opaque, grey.astype(np.float32) / 255):
        assert estimator(frame) == wanted


def test_min_score_and_max_people(tiny: Path) -> None:
    frame = scene(64, 64, (8, 8, 56, 56), channels=(0, 1, 2))
    for options, count in [
        ({}, 2),  # the model's own threshold is 0.3
        ({"min_score": 0.0}, 3),
        ({"min_score": 0.7}, 1),
        ({"min_score": 1.0}, 0),
        ({"min_score": 0, "max_people": 2}, 2),
        ({"max_people": 1}, 1),
    ]:
        with PoseEstimator(tiny, threads=1, **options) as estimator:
            np.testing.assert_allclose(estimator(frame).scores, SCORES[:count], rtol=1e-6)


def test_batches_give_what_single_frames_give(estimator: PoseEstimator) -> None:
    frames = [scene(100, 60, (5, 5, 50, 95)), np.zeros((30, 300, 3), np.uint8), scene(64, 64, (8, 8, 40, 40), (0, 1))]
    dim = frames[0] // 255 * 140  # another joint score: a wrong batch index would show
    frames = [*frames, dim] * 3  # more than one chunk
    singles = [estimator(frame) for frame in frames]
    batch = estimator(frames)
    assert isinstance(batch, list)
    assert [len(poses) for poses in batch] == [1, 0, 2, 1] * 3
    for one, other in zip(singles, batch, strict=True):
        np.testing.assert_allclose(one.boxes, other.boxes, atol=1e-4)
        np.testing.assert_allclose(one.keypoints, other.keypoints, atol=1e-4)
    stack = estimator(np.stack([frames[0], dim]))
    np.testing.assert_allclose([poses.keypoints[0, 0, 2] for poses in stack], [1, 140 / 255], atol=1e-6)
    assert estimator([]) == []


def test_fixed_size_and_batch(tmp_path: Path) -> None:
    model = make_bundle(tmp_path, size=[64, 96], batch=2)
    frames = [scene(128, 192, (20, 20, 100, 100)), np.zeros((50, 50, 3), np.uint8), scene(64, 96, (0, 0, 30, 30))]
    with PoseEstimator(model, threads=1) as estimator:
        estimator.warmup()
        poses = estimator(frames)
    np.testing.assert_allclose(poses[0].boxes, [[20, 20, 100, 100]])
    assert len(poses[1]) == 0
    np.testing.assert_allclose(poses[2].boxes, [[0, 0, 30, 30]])
    with PoseEstimator(model, size="64x96", threads=1) as estimator:
        assert len(estimator(frames[0])) == 1
    for size, asked in [("128x128", "128x128"), (640, "HxW")]:
        with pytest.raises(GcposeError, match=f"64x96 only.*gcpose-trt export mobile --size {asked}"):
            PoseEstimator(model, size=size)


def test_long_side(tiny: Path) -> None:
    frame = scene(1000, 500, (101, 203, 299, 707))
    with PoseEstimator(tiny, size=1000, threads=1) as exact, PoseEstimator(tiny, size=100, threads=1) as coarse:
        np.testing.assert_allclose(exact(frame).boxes, [[101, 203, 299, 707]])
        np.testing.assert_allclose(coarse(frame).boxes, [[101, 203, 299, 707]], atol=15)


def test_stream(estimator: PoseEstimator) -> None:
    frames = [scene(100, 60, (5, 5, 50, 95)), np.zeros((30, 300, 3), np.uint8), scene(64, 64, (8, 8, 40, 40), (0, 1))]
    results = list(estimator.stream(iter(frames)))
    assert [poses for poses, _ in results] == [estimator(frame) for frame in frames]
    assert all(timing.total >= timing.network > 0 for _, timing in results)


def test_timing_adds_and_divides() -> None:
    timing = Timing(1, 2, 3, 4) + Timing(1, 2, 3, 4)
    assert timing == Timing(2, 4, 6, 8)
    assert timing / 2 == Timing(1, 2, 3, 4)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"precision": "int4"}, "no precision is called 'int4'"),
        ({"precision": "fp16"}, "no convolution or matrix product in FP32 to cast"),
        ({"device": "cuda"}, "runs on the CPU, not on cuda"),
        ({"backend": "tensorrt"}, "is no folder of TensorRT engines; build them with: gcpose-trt build-engine"),
    ],
)
def test_options_that_do_not_go_together(tiny: Path, options: dict, words: str) -> None:
    with pytest.raises(GcposeError, match=words) as caught:
        PoseEstimator(tiny, **options)
    assert "\n" not in str(caught.value)


def test_engines_need_the_backend_for_them(tmp_path: Path) -> None:
    (tmp_path / "engine.json").write_text("{}")
    for backend in ("onnxruntime", "torch"):
        with pytest.raises(GcposeError, match=f"holds TensorRT engines, which backend {backend} cannot run"):
            PoseEstimator(tmp_path, backend)
    with pytest.raises(GcposeError, match="not the record of an engine"):
        PoseEstimator(tmp_path)


@pytest.mark.parametrize(
    ("options", "word"),
    [
        ({"min_score": -0.1}, "min_score"),
        ({"min_score": 1.1}, "min_score"),
        ({"min_score": float("nan")}, "min_score"),
        ({"max_people": 0}, "max_people"),
        ({"threads": 0}, "threads"),
        ({"size": 31}, "size"),
        ({"size": (100, 100)}, "multiples of 32"),
        ({"backend": "tensorflow"}, "backend"),
    ],
)
def test_options_out_of_range(tiny: Path, options: dict, word: str) -> None:
    with pytest.raises(GcposeError, match=word):
        PoseEstimator(tiny, **options)


def test_a_module_needs_the_torch_backend() -> None:
    with pytest.raises(GcposeError, match="use backend torch"):
        PoseEstimator(object(), backend="onnxruntime")


@pytest.mark.parametrize("frame", [np.zeros((0, 0, 3), np.uint8), np.zeros((4, 4, 7), np.uint8), np.zeros(5)])
def test_bad_frames(estimator: PoseEstimator, frame: np.ndarray) -> None:
    with pytest.raises(GcposeError, match="a frame"):
        estimator(frame)
    with pytest.raises(GcposeError, match="a frame"):
        estimator([frame])


def test_several_threads(tiny: Path) -> None:
    frames = [scene(40 + 7 * n, 150 - 5 * n, (n, n, 30 + n, 30 + n), (0, 1)[: 1 + n % 2]) for n in range(12)]
    with PoseEstimator(tiny, threads=1) as estimator:
        wanted = [estimator(frame) for frame in frames]
        with ThreadPoolExecutor(4) as pool:
            for _ in range(5):
                assert list(pool.map(estimator, frames)) == wanted


def test_closing_waits_for_calls(tiny: Path) -> None:
    estimator = PoseEstimator(tiny, threads=1)
    frame = scene(64, 64, (8, 8, 40, 40))
    inside, go_on = threading.Event(), threading.Event()
    backend = estimator._backend
    assert backend is not None
    detect = backend.detect

    def slow_detect(*args: object) -> object:
        inside.set()
        assert go_on.wait(10)
        return detect(*args)

    backend.detect = slow_detect  # type: ignore[method-assign, assignment]
    with ThreadPoolExecutor(2) as pool:
        call = pool.submit(estimator, frame)
        assert inside.wait(10)
        closing = pool.submit(estimator.close)
        with pytest.raises(futures.TimeoutError):
            closing.result(0.2)
        go_on.set()
        assert len(call.result(10)) == 1
        closing.result(10)
    with pytest.raises(GcposeError, match="closed"):
        estimator(frame)
    with pytest.raises(GcposeError, match="closed"):
        estimator.warmup()
    estimator.close()


def test_model_defaults_are_visible(estimator: PoseEstimator) -> None:
    assert (estimator.backend, estimator.rank, estimator.keypoint_threshold) == ("onnxruntime", "box", 0.05)
    assert (estimator.min_score, estimator.max_people) == (0.3, 3)


def test_timing_adds_up() -> None:
    one = Timing(1, 2, 3, 4)
    assert (one.network, one.total) == (5, 10)
    assert one + one == Timing(2, 4, 6, 8)


def test_no_torch_in_the_process(tiny: Path) -> None:
    code = (
        "import sys, numpy as np\n"
        "from gcpose_trt import PoseEstimator\n"
        f"with PoseEstimator({str(tiny)!r}, threads=1) as estimator:\n"
        "    print(len(estimator(np.full((20, 20, 3), 255, np.uint8))))\n"
        "print('torch' in sys.modules, 'onnx' in sys.modules)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["2", "False", "False"]


@pytest.mark.skipif(not (FOLDER / "mobile" / "detector.onnx").is_file(), reason="the shipped model is not built yet")
def test_the_shipped_model_finds_the_person_of_the_sample() -> None:
    import av

    from gcpose_trt.assets import SAMPLE

    with av.open(str(SAMPLE)) as container:
        frame = next(container.decode(video=0)).to_ndarray(format="bgr24")
    with PoseEstimator(threads=1) as estimator:
        assert len(estimator(np.zeros((1, 1, 3), np.uint8))) == 0
        poses = estimator(frame)
    # The man on the roof, as seen in the picture.
    overlap = np.minimum(poses.boxes[:, 2:], (400, 255)) - np.maximum(poses.boxes[:, :2], (310, 30))
    best = int(np.argmax(overlap.clip(0).prod(axis=1)))
    x1, y1, x2, y2 = poses.boxes[best]
    assert 300 < (x1 + x2) / 2 < 410
    assert 60 < (y1 + y2) / 2 < 220
    head, ankles = poses.keypoints[best, 0], poses.keypoints[best, 15:]
    assert head[1] < ankles[:, 1].min(), "the head is above the feet"
