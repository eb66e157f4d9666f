"""The drawn people: the same each time, where the truth says, and found by the shipped network."""

from __future__ import annotations

import itertools
import threading
import time

import numpy as np
import pytest

from gcpose_trt.errors import GcposeError
from gcpose_trt.video.capture import CaptureOptions, open_capture
from gcpose_trt.video.capture.pattern import PatternCapture
from gcpose_trt.video.live_types import Status
from tests.video.capture.support import drain


def pattern(query: str = "", options: CaptureOptions | None = None) -> PatternCapture:
    capture = open_capture(f"pattern://?live=0{query}", options)
    assert isinstance(capture, PatternCapture)
    return capture


def test_the_same_each_time() -> None:
    first, last = drain(pattern("&frames=3"))
    again, _ = drain(pattern("&frames=3"))
    other, _ = drain(pattern("&frames=3&seed=2"))
    assert last.status is Status.END and len(first) == 3
    assert first[0].image.shape == (480, 640, 3)
    for one, two, three in zip(first, again, other, strict=True):
        np.testing.assert_array_equal(one.image, two.image)
        assert (one.image != three.image).any()
    assert (first[0].image != first[1].image).any()
    assert [frame.time_s for frame in first] == [0, 1 / 30, 2 / 30]


def test_size_rate_and_loops() -> None:
    capture = open_capture("pattern://?frames=2&live=0#size=320x200&fps=10&loop=1")
    frames, _ = drain(capture)
    assert (capture.frames, capture.rate, capture.kind, capture.live) == (4, 10.0, "pattern", False)
    assert [frame.time_s for frame in frames] == pytest.approx([0, 0.1, 0.2, 0.3])
    assert frames[0].image.shape == (200, 320, 3)
    np.testing.assert_array_equal(frames[0].image, frames[2].image)


def test_people_are_where_the_truth_says() -> None:
    empty, capture = pattern("&people=0"), pattern("&people=3")
    assert len(empty.truth(0)) == 0
    for index in range(0, 300, 37):
        truth = capture.truth(index)
        assert truth.ids is not None and sorted(truth.ids.tolist()) == [0, 1, 2]
        drawn = (capture.draw(index) != empty.draw(index)).any(axis=2)
        for box, joints in zip(truth.boxes, truth.keypoints, strict=True):
            x1, y1, x2, y2 = box
            assert (joints[:, 0] >= x1).all() and (joints[:, 0] <= x2).all()
            assert (joints[:, 1] >= y1).all() and (joints[:, 1] <= y2).all()
            for x, y, _ in joints[5:]:
                assert drawn[int(y), int(x)]
    moved = np.abs(capture.truth(30).keypoints - capture.truth(0).keypoints)[..., :2].max()
    step = np.abs(capture.truth(31).keypoints - capture.truth(30).keypoints)[..., :2].max()
    assert moved > 10 and 0.1 < step < 20


def test_the_shipped_network_finds_them() -> None:
    from gcpose_trt import PoseEstimator

    capture = pattern("&people=2&seed=2")
    with PoseEstimator("mobile", threads=1) as estimator:
        for index in (0, 80):
            found, truth = estimator(capture.draw(index)), capture.truth(index)
            for box, joints in zip(truth.boxes, truth.keypoints, strict=True):
                misses = np.abs(found.keypoints[:, 5:, :2] - joints[None, 5:, :2]).max(axis=2)
                assert np.median(misses, axis=1).min() < 0.05 * (box[3] - box[1])


def test_live_frames_do_not_come_early() -> None:
    before = time.perf_counter()
    capture = open_capture("pattern://#fps=50")
    frames = []
    while len(frames) < 5:
        reading = capture.read(1)
        assert reading.frame is not None
        frames.append(reading.frame)
    assert capture.live
    assert all(later.index > frame.index for frame, later in itertools.pairwise(frames))
    assert all((frame.captured or 0) - before >= (frame.time_s or 0) - 1e-3 for frame in frames)
    capture.close()


def test_reading_ends_in_time_and_by_closing() -> None:
    capture = open_capture("pattern://#fps=0.01")
    assert capture.read(1).status is Status.OK
    reading = capture.read(0.01)
    assert reading.status is Status.TIMEOUT and reading.message
    threading.Timer(0.05, capture.close).start()
    assert capture.read(60).status is Status.END


@pytest.mark.parametrize("query", ["people=-1", "people=many", "people=21", "dogs=1", "live=2", "frames="])
def test_queries_that_are_refused(query: str) -> None:
    with pytest.raises(GcposeError, match="; choose"):
        open_capture(f"pattern://?{query}")
