"""Smoothing: less jitter, little lag, the same near and far and at any frame rate."""

from __future__ import annotations

import math

import numpy as np
import pytest
from numpy.typing import NDArray

from gcpose_trt.errors import GcposeError
from gcpose_trt.pose import PoseFrame
from gcpose_trt.pose.smoothing import Smoother

SHAPE = np.random.default_rng(5).uniform(0.05, 0.95, (17, 2)) * (80, 200)


def person(joints: NDArray[np.float64], number: int = 1, scale: float = 1.0) -> PoseFrame:
    corner = joints.min(axis=0)
    box = np.concatenate([corner, corner + np.array([80, 200]) * scale])
    return PoseFrame(box[None], [0.9], np.hstack([joints, np.full((17, 1), 0.5)])[None], [number])


def smoothed(
    strength: float, joints: list[NDArray[np.float64]], rate: float = 30, scale: float = 1.0
) -> NDArray[np.float64]:
    smoother = Smoother(strength)
    return np.array(
        [
            smoother.update(person(points, scale=scale), frame / rate).keypoints[0, :, :2]
            for frame, points in enumerate(joints)
        ]
    )


def noisy(frames: int, scale: float = 1.0, seed: int = 0) -> list[NDArray[np.float64]]:
    noise = np.random.default_rng(seed).normal(0, 1.5, (frames, 17, 2))
    return [scale * (SHAPE + step) for step in noise]


def jitter(points: NDArray[np.float64]) -> float:
    return float(np.abs(np.diff(points, n=2, axis=0)).mean())


def test_strength_0_changes_nothing() -> None:
    smoother = Smoother(0)
    for frame, joints in enumerate(noisy(5)):
        poses = person(joints)
        assert smoother.update(poses, frame / 30) == poses
    assert len(smoother) == 0


def test_more_strength_less_jitter() -> None:
    still = noisy(100)
    levels = [jitter(smoothed(strength, still)[30:]) for strength in (0, 0.1, 0.3, 0.6, 1)]
    assert levels == sorted(levels, reverse=True)
    assert levels[2] < 0.75 * levels[0]
    assert levels[4] < 0.2 * levels[0]


def test_fast_motion_lags_little() -> None:
    walk = [SHAPE + np.array([10 * frame, 0]) for frame in range(60)]
    lag = walk[-1][:, 0] - smoothed(0.5, walk)[-1][:, 0]
    assert (lag > 0).all()
    assert (lag < 10).all(), "less than a frame behind"


def test_size_of_the_person_does_not_matter() -> None:
    near, far = smoothed(0.5, noisy(40, 4.0), scale=4.0), smoothed(0.5, noisy(40, 0.5), scale=0.5)
    np.testing.assert_allclose(near / 4, far / 0.5, rtol=1e-4)


def test_frame_rate_hardly_matters() -> None:
    def swing(rate: int) -> NDArray[np.float64]:
        times = np.arange(4 * rate) / rate
        motion = [SHAPE + np.array([40 * math.sin(2 * time), 0]) for time in times]
        return smoothed(0.6, motion, rate)[-rate :: rate // 15] - SHAPE

    assert np.abs(swing(120) - swing(30)).max() < 2.5


def test_the_untracked_are_left_alone_and_order_stays() -> None:
    smoother = Smoother(0.8)
    for frame in range(3):
        a, b = person(SHAPE + 5 * frame, -1), person(SHAPE + 300 + 5 * frame, 4)
        both = PoseFrame(
            np.concatenate([a.boxes, b.boxes]), [0.9, 0.8], np.concatenate([a.keypoints, b.keypoints]), [-1, 4]
        )
        found = smoother.update(both, frame / 30)
        np.testing.assert_array_equal(found.keypoints[0], both.keypoints[0])
        np.testing.assert_array_equal(found.boxes[0], both.boxes[0])
        assert (found.keypoints[1] == both.keypoints[1]).all() == (frame == 0)
        np.testing.assert_array_equal(found.keypoints[1, :, 2], both.keypoints[1, :, 2])
        assert found.ids is not None
        assert found.ids.tolist() == [-1, 4]
    nobody = PoseFrame(a.boxes, a.scores, a.keypoints)
    assert smoother.update(nobody, 1) == nobody


def test_vanished_people_are_freed_and_start_anew() -> None:
    smoother = Smoother(1)
    for number in range(1, 200):
        smoother.update(person(SHAPE, number), number / 30)
    assert len(smoother) < 40
    smoother.update(PoseFrame.empty(), 100)
    assert len(smoother) == 0
    smoother.update(person(SHAPE, 7), 101)
    moved = person(SHAPE + 500, 7)
    assert smoother.update(moved, 103) == moved
    back = person(SHAPE, 7)
    assert smoother.update(back, 50) == back, "time went back"


def test_joints_that_are_nowhere_do_not_spread() -> None:
    smoother = Smoother(0.7)
    broken = SHAPE.copy()
    broken[3] = np.nan
    boxed = person(SHAPE)
    for frame, joints in enumerate((SHAPE, broken, SHAPE + 1)):
        keypoints = np.hstack([joints, np.full((17, 1), 0.5)])[None]
        found = smoother.update(PoseFrame(boxed.boxes, boxed.scores, keypoints, [1]), frame / 30).keypoints[0]
        assert np.isfinite(found).all() == (frame != 1)
    np.testing.assert_allclose(found[3, :2], SHAPE[3] + 1, rtol=1e-6)
    assert np.abs(found[4, :2] - SHAPE[4] - 1).max() > 0.1


def test_boxes_stay_boxes() -> None:
    rng = np.random.default_rng(1)
    smoother = Smoother(1)
    for frame in range(200):
        corner = rng.uniform(0, 600, 2)
        box = np.concatenate([corner, corner + rng.uniform(0, 300, 2)])
        poses = PoseFrame(box[None], [0.9], np.zeros((1, 17, 3)), [1])
        found = smoother.update(poses, frame / 30).boxes[0]
        assert (found[2:] >= found[:2]).all()
        assert (found >= 0).all()


def test_strength_may_change_at_any_time() -> None:
    smoother = Smoother(1)
    smoother.update(person(SHAPE), 0)
    smoother.strength = 0
    moved = person(SHAPE + 50)
    assert smoother.update(moved, 0.1) == moved
    smoother.strength = 0.5
    assert smoother.strength == 0.5
    for wrong in (-0.1, 1.1, math.nan):
        with pytest.raises(GcposeError, match="choose a number from 0 to 1"):
            smoother.strength = wrong
    with pytest.raises(GcposeError, match="give seconds"):
        smoother.update(moved, math.inf)


def test_two_frames_of_one_time() -> None:
    smoother = Smoother(0.5)
    smoother.update(person(SHAPE), 3)
    found = smoother.update(person(SHAPE + 1), 3).keypoints[0, :, :2]
    assert np.isfinite(found).all()
    assert np.abs(found - SHAPE).max() < 0.5
