"""How far poses are apart."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gcpose_trt.benchmark.sections.agreement import agreement, same_input
from gcpose_trt.pose.types import PoseFrame


def people(count: int, *, move: tuple[float, float] = (0, 0), score: float = 0.8, sure: float = 0.9) -> PoseFrame:
    """Return people who stand side by side, their joints moved."""
    left = 100.0 * np.arange(count)
    boxes = np.stack([left, np.zeros(count), left + 50, np.full(count, 120.0)], 1)
    joints = np.zeros((count, 17, 3))
    joints[..., 0] = left[:, None] + np.arange(17) + move[0]
    joints[..., 1] = 3.0 * np.arange(17) + move[1]
    joints[..., 2] = sure
    return PoseFrame(boxes.astype(np.float32), np.full(count, score, np.float32), joints.astype(np.float32))


def test_joints_are_compared_in_pixels() -> None:
    """All of the frame with two people lie five pixels from where they should."""
    found = agreement([people(2), people(0)], [people(2, move=(3, 4), score=0.7), people(0)], 0.3)
    assert (found["frames"], found["people"], found["missing"], found["extra"]) == (2, 2, 0, 0)
    assert found["joints"] == 34
    assert found["joint_pixels"] == pytest.approx({"median": 5.0, "p99": 5.0, "max": 5.0})
    assert found["score_difference"] == pytest.approx(0.1)


def test_people_that_only_one_found() -> None:
    """Three there, two here, and the other way round in the next frame."""
    found = agreement([people(3), people(1)], [people(2), people(4)], 0.3)
    assert (found["people"], found["missing"], found["extra"], found["joints"]) == (4, 1, 3, 51)
    assert found["joint_pixels"]["max"] == 0.0


def test_the_reference_decides_which_joints_count() -> None:
    """One that is unsure of everything does not get away with it; joints that nobody should see do not count."""
    assert agreement([people(1)], [people(1, move=(3, 4), sure=0.0)], 0.3)["joint_pixels"]["max"] == pytest.approx(5)
    found = agreement([people(1, sure=0.2)], [people(1)], 0.3)
    assert (found["joints"], found["joint_pixels"]) == (0, {"median": None, "p99": None, "max": None})
    assert found["score_difference"] == pytest.approx(0.0)


def test_nobody_to_compare() -> None:
    """Numbers that there are not are None."""
    found = agreement([people(0)], [people(2)], 0.3)
    assert (found["extra"], found["score_difference"], found["joint_pixels"]["median"]) == (2, None, None)


@settings(deadline=None, max_examples=30, derandomize=True)
@given(counts=st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4)), max_size=4))
def test_everybody_is_matched_missing_or_extra(counts: list[tuple[int, int]]) -> None:
    """And with itself, everybody agrees."""
    first, second = [people(a) for a, _ in counts], [people(b) for _, b in counts]
    found, back = agreement(first, second, 0.3), agreement(second, first, 0.3)
    assert found["people"] - found["missing"] == back["people"] - back["missing"]
    assert (found["missing"], found["extra"]) == (back["extra"], back["missing"])
    itself = agreement(first, first, 0.3)
    assert (itself["missing"], itself["extra"]) == (0, 0)
    assert itself["joint_pixels"]["max"] in (0.0, None)


@pytest.mark.parametrize(
    ("first", "second", "same"),
    [
        ("long side 512", "long side 512", True),
        ("long side 512", "288x512", True),
        ("long side 512", "512x512", True),  # more padding, the same pixels
        ("long side 512", "long side 448", False),
        ("short side 800, long side up to 512", "long side 512", True),
        ("its own way", "its own way", True),
        ("its own way", "long side 512", False),
    ],
)
def test_inputs_of_the_same_size(first: str, second: str, same: bool) -> None:
    """Said in other words by fixed inputs and by engines."""
    assert same_input(first, second, (720, 1280)) is same
