"""Ids that stay with people."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gcpose_trt.errors import GcposeError
from gcpose_trt.pose import PoseFrame
from gcpose_trt.pose.tracking import Tracker, TrackerOptions

SHAPE = np.random.default_rng(5).uniform(0.05, 0.95, (17, 2))


def people(*centres: tuple[float, float], scores: list[float] | None = None, height: float = 200.0) -> PoseFrame:
    """Return upright people around these centres; best first is up to the caller."""
    half = np.array([0.2 * height, 0.5 * height])
    middle = np.asarray(centres, np.float64).reshape(-1, 2)
    corner = middle - half
    joints = corner[:, None] + SHAPE * 2 * half
    keypoints = np.concatenate([joints, np.full((len(middle), 17, 1), 0.5)], axis=2)
    return PoseFrame(np.hstack([corner, middle + half]), scores or [0.9] * len(middle), keypoints)


def ids(tracker: Tracker, poses: PoseFrame, time_s: float) -> list[int]:
    found = tracker.update(poses, time_s)
    assert found.ids is not None
    np.testing.assert_array_equal(found.boxes, poses.boxes)
    np.testing.assert_array_equal(found.keypoints, poses.keypoints)
    np.testing.assert_array_equal(found.scores, poses.scores)
    return found.ids.tolist()


@pytest.mark.parametrize("rate", [5, 10, 30, 120])
def test_people_who_cross_keep_their_ids(rate: int) -> None:
    tracker = Tracker()
    for frame in range(4 * rate):
        time_s = frame / rate
        walk = 150 * (time_s - 2)
        centres = [(500 + walk, 300), (500 - walk, 330)]
        order = (1, 0) if frame % 2 else (0, 1)
        found = ids(tracker, people(*(centres[row] for row in order)), time_s)
        assert found == [row + 1 for row in order], time_s


def test_out_of_sight_and_back_further_on() -> None:
    tracker = Tracker()
    for frame in range(30):
        assert ids(tracker, people((100 + 6 * frame, 300)), frame / 30) == [1]
    for frame in range(30, 50):
        assert ids(tracker, PoseFrame.empty(), frame / 30) == []
    assert ids(tracker, people((100 + 6 * 50, 300)), 50 / 30) == [1]


def test_away_too_long_is_somebody_new() -> None:
    tracker = Tracker()
    assert ids(tracker, people((300, 300)), 0) == [1]
    for frame in range(1, 40):
        tracker.update(PoseFrame.empty(), frame / 30)
    assert len(tracker) == 0
    assert ids(tracker, people((300, 300)), 40 / 30) == [2]


def test_uncertain_people_are_forgotten_sooner() -> None:
    tracker = Tracker()
    for frame in range(10):
        tracker.update(people((200, 300), (800, 300), scores=[0.9, 0.45]), frame / 10)
    assert len(tracker) == 2
    tracker.update(PoseFrame.empty(), 0.9 + 0.8)
    assert len(tracker) == 1


def test_certain_people_have_an_id_at_once_and_others_when_seen_again() -> None:
    tracker = Tracker()
    both = people((200, 300), (800, 300), scores=[0.9, 0.5])
    assert [ids(tracker, both, frame / 30) for frame in range(5)] == [[1, -1]] * 3 + [[1, 2]] * 2
    slow = Tracker()
    assert [ids(slow, both, frame / 5) for frame in range(2)] == [[1, -1], [1, 2]]


def test_a_short_ghost_never_has_an_id() -> None:
    tracker = Tracker()
    for frame in range(60):
        ghost = [(800, 300)] if frame % 10 == 0 else []
        found = ids(tracker, people((200, 300), *ghost, scores=[0.9, 0.5][: 1 + len(ghost)]), frame / 30)
        assert found == [1] + [-1] * len(ghost)


def test_low_scores_continue_but_do_not_begin() -> None:
    tracker = Tracker()
    assert ids(tracker, people((200, 300), scores=[0.2]), 0) == [-1]
    assert len(tracker) == 0
    assert ids(tracker, people((200, 300), scores=[0.9]), 0.1) == [1]
    assert ids(tracker, people((200, 300), scores=[0.2]), 0.2) == [1]


def test_a_second_sight_of_somebody_is_nobody_new() -> None:
    tracker = Tracker()
    for frame in range(10):
        assert ids(tracker, people((200, 300), (203, 301)), frame / 30) == [1, -1]


def test_the_same_joints_in_another_box_are_nobody_new() -> None:
    tracker = Tracker()
    twice = people((200, 300), (200, 300))
    boxes = twice.boxes.copy()
    boxes[1, 2:] = boxes[1, :2] + 60
    for frame in range(10):
        assert ids(tracker, PoseFrame(boxes, twice.scores, twice.keypoints), frame / 30) == [1, -1]


def test_ids_are_never_used_again() -> None:
    tracker = Tracker()
    assert ids(tracker, people((200, 300)), 0) == [1]
    tracker.reset()
    assert ids(tracker, people((200, 300)), 0.1) == [2]


def test_time_that_jumps() -> None:
    tracker = Tracker()
    for frame in range(10):
        assert ids(tracker, people((300, 300)), 100 + frame / 30) == [1]
    assert ids(tracker, people((302, 300)), 99.9) == [1], "a clock put right"
    assert ids(tracker, people((304, 300)), 99.9) == [1], "no time at all"
    assert ids(tracker, people((304, 300)), 0) == [2], "a file that starts again"
    assert ids(tracker, people((304, 300)), 1e9) == [3]
    with pytest.raises(GcposeError, match="time is nan; give"):
        tracker.update(people((1, 1)), math.nan)
    assert ids(tracker, people((304, 300)), 1e9 + 0.04) == [3]


def test_slow_cameras_are_followed() -> None:
    tracker = Tracker()
    for second in range(0, 20, 2):
        assert ids(tracker, people((300 + second, 300)), second) == [1]


def test_people_without_a_place_are_left_alone() -> None:
    tracker = Tracker()
    poses = people((200, 300), (600, 300))
    boxes = poses.boxes.copy()
    boxes[1] = np.nan
    joints = poses.keypoints.copy()
    joints[0, 3] = np.nan
    for frame in range(5):
        assert ids(tracker, PoseFrame(boxes, poses.scores, joints, None), frame / 30) == [1, -1]
    assert ids(tracker, poses, 0.2) == [1, 2]


@settings(deadline=None, max_examples=12, derandomize=True)
@given(seed=st.integers(0, 2**32 - 1))
def test_whatever_comes_ids_are_unique_and_memory_is_bounded(seed: int) -> None:
    rng = np.random.default_rng(seed)
    tracker, time_s = Tracker(), 0.0
    for _ in range(60):
        count = int(rng.integers(0, 8))
        centres = [tuple(place) for place in rng.uniform(0, 600, (count, 2))]
        time_s += float(rng.choice([0.03, 0.03, 0.2, 0.0, -0.5, -50, 60]))
        scores = np.sort(rng.uniform(0, 1, count))[::-1].tolist()
        found = [number for number in ids(tracker, people(*centres, scores=scores), time_s) if number != -1]
        assert len(set(found)) == len(found)
        assert all(number >= 1 for number in found)
        assert len(tracker) < 400
    for frame in range(1, 50):
        tracker.update(PoseFrame.empty(), time_s + frame / 30)
    assert len(tracker) == 0


@pytest.mark.parametrize(
    "option", [{"min_similarity": 2}, {"max_gap_s": -1}, {"noise": math.inf}, {"joints": math.nan}]
)
def test_options_out_of_range(option: dict) -> None:
    with pytest.raises(GcposeError, match=r"tracker option .* choose"):
        TrackerOptions(**option)
