"""Skeletons are where the joints are, as opaque as these are certain, on frames of any kind."""

from __future__ import annotations

import numpy as np
import pytest

from gcpose_trt.pose import COCO17, PoseFrame
from gcpose_trt.pose.drawing import draw_poses

LEFT_WRIST, RIGHT_WRIST = COCO17.names.index("left_wrist"), COCO17.names.index("right_wrist")


def one_person(joints: dict[int, tuple[float, float, float]], box: tuple[float, ...] = (20, 20, 180, 180)) -> PoseFrame:
    keypoints = np.zeros((1, 17, 3), np.float32)
    for joint, values in joints.items():
        keypoints[0, joint] = values
    return PoseFrame([box], [0.9], keypoints)


def test_a_joint_is_drawn_at_its_place_in_its_colour() -> None:
    frame = np.full((200, 200, 3), 90, np.uint8)
    drawn = draw_poses(frame, one_person({LEFT_WRIST: (60.5, 80.5, 1), RIGHT_WRIST: (140.5, 120.5, 1)}), boxes=False)
    assert tuple(drawn[80, 60]) == COCO17.colours["left"]
    assert tuple(drawn[120, 140]) == COCO17.colours["right"]
    changed = np.argwhere((drawn != frame).any(axis=2))
    near = np.minimum(np.abs(changed - (80, 60)).max(axis=1), np.abs(changed - (120, 140)).max(axis=1))
    assert near.max() < 10
    assert (frame == 90).all(), "the frame itself is left alone"


def test_discs_are_centred_to_a_fraction_of_a_pixel() -> None:
    frame = np.zeros((60, 60, 3), np.uint8)
    for place in (30.0, 30.25, 30.5, 30.75):
        drawn = draw_poses(frame, one_person({LEFT_WRIST: (place, 30.5, 1)}, (0, 0, 60, 60)), boxes=False)
        weight = drawn.max(axis=2).astype(float)
        centre = (weight.sum(axis=0) * (np.arange(60) + 0.5)).sum() / weight.sum()
        assert abs(centre - place) < 0.1


def test_doubtful_joints_fade_and_hopeless_ones_vanish() -> None:
    frame = np.zeros((200, 200, 3), np.uint8)

    def brightness(score: float) -> int:
        return int(draw_poses(frame, one_person({LEFT_WRIST: (100.5, 100.5, score)}), boxes=False)[100, 100].max())

    shown = [brightness(score) for score in (0.04, 0.06, 0.15, 0.3, 0.9)]
    assert shown[0] == 0
    assert 0 < shown[1] < shown[2] < shown[3] == shown[4] == max(COCO17.colours["left"])


def test_a_faint_limb_does_not_make_a_clear_one_transparent() -> None:
    # The left forearm is certain; the right one, drawn later, crosses it and is not.
    joints = {7: (100.5, 40.5, 1.0), 9: (100.5, 160.5, 1.0), 8: (40.5, 100.5, 0.06), 10: (160.5, 100.5, 0.06)}
    drawn = draw_poses(np.zeros((200, 200, 3), np.uint8), one_person(joints), boxes=False)
    assert tuple(drawn[100, 100]) == COCO17.colours["left"]


def test_lines_grow_with_the_person() -> None:
    def area(size: float) -> int:
        pose = one_person({LEFT_WRIST: (500.5, 500.5, 1)}, (500 - size, 500 - size, 500 + size, 500 + size))
        return int((draw_poses(np.zeros((1000, 1000, 3), np.uint8), pose, boxes=False).max(axis=2) > 0).sum())

    assert area(20) < area(150) < area(400)


def test_the_box_is_drawn_with_its_score() -> None:
    frame = np.full((200, 200, 3), 90, np.uint8)
    drawn = draw_poses(frame, one_person({}, (50, 60, 150, 160)))
    assert tuple(drawn[100, 50]) == tuple(drawn[160, 100]) == COCO17.colours["centre"]
    assert (drawn[100, 60:140] == 90).all(), "the inside stays free"
    assert (drawn[30:59, 45:90] != 90).any(), "the tag stands on the box"


@pytest.mark.parametrize("shape", [(1, 1), (1, 1, 1), (1, 1, 3), (7, 9, 4), (3, 4000, 3), (4320, 7680, 3)])
def test_any_frame(shape: tuple[int, ...]) -> None:
    height, width = shape[:2]
    box = (0, 0, width, height)
    drawn = draw_poses(np.zeros(shape, np.uint8), one_person({LEFT_WRIST: (width / 2, height / 2, 1)}, box))
    assert drawn.shape == (height, width, 3)
    assert drawn.dtype == np.uint8
    assert drawn.any()


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 1e30, -1e7])
def test_wild_coordinates_do_no_harm(value: float) -> None:
    frame = np.zeros((50, 60, 3), np.uint8)
    wild = one_person({LEFT_WRIST: (value, 20, 1), 7: (20, 20, 1)}, (value, 0, 40, 40))
    assert draw_poses(frame, wild).shape == frame.shape


def test_nobody_leaves_the_picture_as_it_is() -> None:
    frame = np.random.default_rng(0).integers(0, 256, (20, 30, 3), dtype=np.uint8)
    np.testing.assert_array_equal(draw_poses(frame, PoseFrame.empty()), frame)
