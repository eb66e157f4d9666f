"""PoseEstimator on stand-in engines and a stand-in driver. Run by test_on_standins.py, in a process of its own.

The environment says which TensorRT and which binding of CUDA are to be found.
"""

from __future__ import annotations

import gc
import logging
import os
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gcpose_trt import PoseEstimator, PoseFrame
from gcpose_trt.errors import GcposeError
from tests.support.bundles import make_bundle
from tests.support.cuda_standin import count
from tests.support.engine_folders import from_bundle

GENERATION = os.environ["GCPOSE_TEST_GENERATION"]
LIVE = ("device", "pinned", "streams", "events", "graphs", "contexts", "pushed")
sys.setdlopenflags(os.RTLD_LAZY)  # pycuda refers to the whole driver, which the stand-in is not


def scene(height: int, width: int, box: tuple[int, int, int, int], channels: int = 1, level: int = 255) -> np.ndarray:
    """A frame with as many people as channels, all in one place."""
    frame = np.zeros((height, width, 3), np.uint8)
    x1, y1, x2, y2 = box
    frame[y1:y2, x1:x2, :channels] = level
    return frame


FRAMES = [
    scene(128, 192, (20, 20, 100, 100)),
    np.zeros((50, 50, 3), np.uint8),
    scene(64, 96, (0, 0, 30, 30), 3),
    scene(64, 96, (3, 3, 40, 30), 2, 200),
    scene(300, 200, (10, 50, 150, 250), 1, 140),
]


def close_to(found: list[PoseFrame], wanted: list[PoseFrame]) -> None:
    assert [len(poses) for poses in found] == [len(poses) for poses in wanted]
    for one, other in zip(found, wanted, strict=True):
        np.testing.assert_allclose(one.boxes, other.boxes, atol=1e-3)
        np.testing.assert_allclose(one.scores, other.scores, atol=1e-6)
        np.testing.assert_allclose(one.keypoints, other.keypoints, atol=1e-3)


def engines(tmp_path: Path, batch: int, **options: Any) -> tuple[Path, Path]:
    bundle = make_bundle(tmp_path / "bundle", size=[64, 96], batch=batch)
    return bundle, from_bundle(tmp_path / "engines", bundle, generation=GENERATION, **options)


@pytest.fixture(autouse=True)
def everything_is_freed() -> Iterator[None]:
    yield
    gc.collect()
    assert {what: count(what) for what in LIVE} == dict.fromkeys(LIVE, 0)


@pytest.mark.parametrize("batch", [1, 2, 3])
@pytest.mark.parametrize("buckets", [(1, 2, 3), (3,), (1, 3)])
def test_same_as_onnxruntime(tmp_path: Path, batch: int, buckets: tuple[int, ...]) -> None:
    bundle, folder = engines(tmp_path, batch, buckets=buckets)
    with PoseEstimator(bundle, threads=1, min_score=0) as reference:
        wanted = reference(FRAMES)
    with PoseEstimator(folder, min_score=0) as estimator:
        assert estimator.backend == "tensorrt"
        for _ in range(3):  # plain, captured, launched
            close_to(estimator(FRAMES), wanted)
        close_to([estimator(frame) for frame in FRAMES], wanted)
        estimator.warmup()
        close_to(estimator(FRAMES), wanted)
        assert estimator([]) == []


def test_more_people_than_the_largest_bucket_in_a_batch(tmp_path: Path) -> None:
    bundle, folder = engines(tmp_path, 3, buckets=(1, 2))
    frames = [FRAMES[2], FRAMES[2], FRAMES[3]]
    options = {"min_score": 0, "max_people": 3}  # eight people, two a launch
    with PoseEstimator(bundle, threads=1, **options) as reference, PoseEstimator(folder, **options) as estimator:
        for _ in range(3):
            close_to(estimator(frames), [reference(frame) for frame in [*frames, FRAMES[1]]][:3])
    with PoseEstimator(folder, min_score=0) as estimator:
        assert [len(poses) for poses in estimator(frames)] == [2, 2, 2], "as many as the engine was built for"


def test_graphs_are_used_and_launched(tmp_path: Path) -> None:
    _, folder = engines(tmp_path, 1)
    with PoseEstimator(folder, min_score=0) as estimator:
        estimator.warmup()
        assert len(estimator(FRAMES[2])) == 3
        before = count("cuGraphLaunch"), count("cuLaunchHostFunc")
        for _ in range(10):
            assert len(estimator(FRAMES[2])) == 3
        # Detector and pose are two graphs; nothing is launched by itself.
        assert count("cuGraphLaunch") - before[0] == 20
        assert count("cuLaunchHostFunc") == before[1]


def test_one_copy_of_the_results_a_frame(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GCPOSE_NO_CUDA_GRAPHS", "1")
    _, folder = engines(tmp_path, 1)
    with PoseEstimator(folder, min_score=0) as estimator:
        estimator(FRAMES[2])
        before = count("cuMemcpyDtoHAsync")
        estimator([FRAMES[2]] * 4)
        assert count("cuMemcpyDtoHAsync") - before == 4
        estimator(FRAMES[1])  # speculates on three, finds nobody: still one copy
        assert count("cuMemcpyDtoHAsync") - before == 5
        assert len(estimator(FRAMES[2])) == 3  # speculates on nobody, finds three: the pose half runs afterwards
        assert count("cuMemcpyDtoHAsync") - before == 7
        assert count("cuGraphLaunch") == 0 or count("graphs") == 0


def test_refused_capture_falls_back_and_says_so_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    bundle, folder = engines(tmp_path, 1)
    monkeypatch.setenv("GCPOSE_STANDIN_CAPTURE", "refuse")
    caplog.set_level(logging.INFO, "gcpose_trt")
    with PoseEstimator(bundle, threads=1, min_score=0) as reference, PoseEstimator(folder, min_score=0) as estimator:
        estimator.warmup()
        for _ in range(3):
            close_to(estimator(FRAMES), reference(FRAMES))
    assert [record.getMessage().split(":")[0] for record in caplog.records] == [
        "CUDA graphs are not used, kernels are launched one by one"
    ]


def test_min_score_and_max_people(tmp_path: Path) -> None:
    _, folder = engines(tmp_path, 1)
    for options, people in [({}, 2), ({"min_score": 0.7}, 1), ({"min_score": 1.0}, 0), ({"max_people": 1}, 1)]:
        with PoseEstimator(folder, **options) as estimator:
            assert [len(estimator(FRAMES[2])) for _ in range(3)] == [people] * 3


def test_stream_gives_every_frame_in_order(tmp_path: Path) -> None:
    bundle, folder = engines(tmp_path, 1)
    taken = []

    def source() -> Iterator[np.ndarray]:
        for index, frame in enumerate(FRAMES * 2):
            taken.append(index)
            yield frame

    with PoseEstimator(bundle, threads=1, min_score=0) as reference, PoseEstimator(folder, min_score=0) as estimator:
        results = estimator.stream(source())
        poses, timing = next(results)
        assert taken[-1] >= 1, "the next frame is taken before the poses of the first are given"
        assert timing.total >= timing.network > 0 and timing.upload > 0
        close_to([poses, *(found for found, _ in results)], reference(FRAMES * 2))
        # One that is not used up frees its slots too.
        unused = estimator.stream(source())
        next(unused)
        unused.close()
        close_to(estimator(FRAMES), reference(FRAMES))


def test_paused_streams_block_nobody(tmp_path: Path) -> None:
    _, folder = engines(tmp_path, 1)
    with PoseEstimator(folder, min_score=0) as estimator:
        paused = [estimator.stream(FRAMES * 2) for _ in range(3)]
        for stream in paused:
            next(stream)
        assert len(estimator(FRAMES[2])) == 3
        for stream in paused:
            assert len(list(stream)) == 2 * len(FRAMES) - 1


def test_threads_share_slots_where_there_is_no_room_for_more(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bundle, folder = engines(tmp_path, 1)
    with PoseEstimator(bundle, threads=1, min_score=0) as reference:
        wanted = [reference(frame) for frame in FRAMES]
    with PoseEstimator(folder, min_score=0) as estimator, ThreadPoolExecutor(5) as pool:
        estimator.warmup()
        estimator(FRAMES)  # memory for frames comes with the first one
        used = count("bytes")
        monkeypatch.setenv("GCPOSE_STANDIN_MEMORY", str(used + 20_000))
        for _ in range(4):
            close_to(list(pool.map(estimator, FRAMES)), wanted)
        assert count("bytes") == used, "what was begun for a slot is given back"


def test_threads_share_one_estimator(tmp_path: Path) -> None:
    bundle, folder = engines(tmp_path, 1)
    with PoseEstimator(bundle, threads=1, min_score=0) as reference:
        wanted = [reference(frame) for frame in FRAMES]
    with PoseEstimator(folder, min_score=0) as estimator, ThreadPoolExecutor(5) as pool:
        for _ in range(4):
            close_to(list(pool.map(estimator, FRAMES)), wanted)
        for found in pool.map(estimator, [FRAMES] * 5):
            close_to(found, wanted)


def test_two_estimators(tmp_path: Path) -> None:
    bundle, folder = engines(tmp_path, 1)
    other = from_bundle(tmp_path / "other", bundle, generation=GENERATION, buckets=(2, 3))
    with PoseEstimator(bundle, threads=1, min_score=0) as reference:
        wanted = reference(FRAMES)
    first, second = PoseEstimator(folder, min_score=0), PoseEstimator(other, min_score=0)
    close_to(first(FRAMES), wanted)
    close_to(second(FRAMES), wanted)
    with ThreadPoolExecutor(2) as pool:
        pool.submit(first.close).result()
    close_to(second(FRAMES), wanted)
    second.close()
    with pytest.raises(GcposeError, match="closed"):
        second(FRAMES)


def test_frames_that_are_no_frames(tmp_path: Path) -> None:
    _, folder = engines(tmp_path, 1)
    with PoseEstimator(folder, min_score=0) as estimator:
        for _ in range(4):  # no slot is lost
            with pytest.raises(GcposeError, match="a frame has shape"):
                estimator([FRAMES[0], FRAMES[0], np.zeros((3, 4, 5, 6), np.uint8), FRAMES[0]])
        assert len(estimator(FRAMES[2])) == 3


def test_out_of_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _, folder = engines(tmp_path, 1)
    monkeypatch.setenv("GCPOSE_STANDIN_MEMORY", "20000")
    with pytest.raises(GcposeError, match=r"out of GPU memory.*choose a smaller size or fewer people") as caught:
        PoseEstimator(folder)
    assert "\n" not in str(caught.value)


def test_halves_by_themselves(tmp_path: Path) -> None:
    from gcpose_trt.runtime import bundle as bundles
    from gcpose_trt.runtime.backends.onnxruntime_backend import OnnxRuntimeBackend
    from gcpose_trt.runtime.backends.tensorrt_backend import TensorRTBackend

    bundle, folder = engines(tmp_path, 2)
    reference, backend = OnnxRuntimeBackend(bundles.find(bundle), threads=1), TensorRTBackend(folder)
    image = np.random.default_rng(0).integers(0, 255, (2, 64, 96, 3)).astype(np.uint8)
    sizes = np.array([[64, 96], [40, 50]])
    wanted, found = reference.detect(image, sizes), backend.detect(image, sizes)
    np.testing.assert_array_equal(found.p2, wanted.p2.numpy())
    for name in ("boxes", "scores", "count"):
        np.testing.assert_array_equal(getattr(found, name), getattr(wanted, name))
    boxes, index = np.tile(wanted.boxes[1, :2], (4, 1)) + np.arange(8)[:, None], np.array([0, 1] * 4)
    boxes = boxes.astype(np.float32)
    np.testing.assert_allclose(backend.pose(found.p2, boxes, index), reference.pose(wanted.p2, boxes, index), rtol=1e-6)
    with pytest.raises(GcposeError, match=r"takes images of shape \(2, 64, 96, 3\)"):
        backend.detect(image[:1], sizes[:1])
    backend.close()
