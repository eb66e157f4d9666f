"""Heads cannot be recognised, wherever they are and however little is known of them."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from gcpose_trt.pose import PoseFrame
from gcpose_trt.pose.drawing import HeadBlur, blur_heads
from tests.pose.drawing.people import BODY, FACE, noise, people, standing

BOX = (100.0, 60.0, 260.0, 460.0)


def detail(image: NDArray[np.uint8], place: tuple[float, float], reach: float) -> float:
    """Return how much neighbouring pixels differ around a place, in grey levels."""
    x, y = place
    rows = slice(max(0, int(y - reach)), max(0, int(y + reach)) + 1)
    columns = slice(max(0, int(x - reach)), max(0, int(x + reach)) + 1)
    return float(np.abs(cv2.Laplacian(image[rows, columns], cv2.CV_64F)).mean())


def head_of(box: tuple[float, ...]) -> tuple[tuple[float, float], float]:
    """Return the middle of the eyes and ears of `people(box)`, and half the head's height."""
    x, y = BODY[FACE].mean(axis=0) * (box[2] - box[0], box[3] - box[1]) + box[:2]
    return (float(x), float(y)), 0.065 * (box[3] - box[1])


def test_nothing_but_a_few_averages_is_left_and_the_rest_of_the_picture_stays() -> None:
    image = noise(480, 640)
    original = image.copy()
    hidden = blur_heads(image, people(BOX))
    place, reach = head_of(BOX)
    assert detail(hidden, place, reach) < 0.03 * detail(image, place, reach)
    np.testing.assert_array_equal(hidden[200:], image[200:])
    np.testing.assert_array_equal(hidden[:, 300:], image[:, 300:])
    np.testing.assert_array_equal(image, original)


def test_faces_that_differ_in_their_features_alone_become_the_same() -> None:
    # Stripes as fine as a face's features, and their negative: nobody could tell which was there.
    place, reach = head_of(BOX)
    rows, columns = np.mgrid[:480, :640]
    wave = np.sin(2 * np.pi * (columns - place[0]) / (reach / 3)) * np.sin(2 * np.pi * (rows - place[1]) / (reach / 3))
    one, other = (np.repeat(np.uint8(128 + sign * 100 * wave)[..., None], 3, axis=2) for sign in (1, -1))
    first, second = blur_heads(one, people(BOX)), blur_heads(other, people(BOX))
    around = (slice(int(place[1] - reach), int(place[1] + reach)), slice(int(place[0] - reach), int(place[0] + reach)))
    apart = np.abs(first[around].astype(int) - second[around]).mean()
    assert apart < 0.15 * np.abs(one[around].astype(int) - other[around]).mean()


@pytest.mark.parametrize("unseen", ["face", "all but a shoulder", "all", "nan"])
def test_without_a_face_shoulders_or_the_box_say_where_the_head_is(unseen: str) -> None:
    keypoints = standing(BOX)
    hidden_joints = {"face": FACE, "all but a shoulder": [*range(5), *range(6, 17)], "all": slice(None), "nan": FACE}
    keypoints[hidden_joints[unseen], 2] = 0.02
    if unseen == "nan":
        keypoints[FACE] = np.nan
    image = noise(480, 640)
    hidden = blur_heads(image, PoseFrame([BOX], [0.9], [keypoints]))  # type: ignore[arg-type]
    place, reach = head_of(BOX)
    assert detail(hidden, place, reach) < 0.1 * detail(image, place, reach)
    np.testing.assert_array_equal(hidden[300:], image[300:])


def test_a_joint_gone_astray_hides_no_more_than_its_own_place_besides_the_head() -> None:
    keypoints = standing(BOX)
    keypoints[4, :2] = 560, 400
    image = noise(480, 640)
    hidden = blur_heads(image, PoseFrame([BOX], [0.9], [keypoints]))  # type: ignore[arg-type]
    place, reach = head_of(BOX)
    assert detail(hidden, place, reach) < 0.05 * detail(image, place, reach)
    assert (hidden != image).any(axis=2).mean() < 0.25


def test_who_lies_without_joints_is_hidden_at_both_ends() -> None:
    image = noise(480, 640)
    box = (100, 200, 500, 320)
    hidden = blur_heads(image, PoseFrame([box], [0.9], np.zeros((1, 17, 3))))  # type: ignore[arg-type]
    for x in (140, 460):
        assert detail(hidden, (x, 260), 30) < 0.1 * detail(image, (x, 260), 30)


def test_a_close_up_is_hidden_as_a_whole() -> None:
    keypoints = np.zeros((1, 17, 3), np.float32)
    keypoints[0, FACE] = [(320, 260, 0.9), (380, 200, 0.9), (260, 200, 0.9), (450, 220, 0.9), (190, 220, 0.9)]
    image = noise(480, 640)
    hidden = blur_heads(image, PoseFrame([(120, 0, 520, 480)], [0.9], keypoints))  # type: ignore[arg-type]
    assert detail(hidden, (320, 240), 150) < 0.03 * detail(image, (320, 240), 150)


@settings(max_examples=40, deadline=None, derandomize=True)
@given(st.floats(-250, 620), st.floats(-200, 460), st.floats(60, 500), st.floats(0.25, 1.0))
def test_heads_are_hidden_everywhere_also_at_the_borders(x: float, y: float, tall: float, slim: float) -> None:
    image = noise(480, 640)
    box = (x, y, x + 0.4 * tall * (0.5 + slim / 2), y + tall)
    hidden = blur_heads(image, people(box))
    (face_x, face_y), reach = head_of(box)
    left, top = max(0, int(face_x - 0.6 * reach)), max(0, int(face_y - 0.6 * reach))
    right, bottom = min(639, int(face_x + 0.6 * reach)), min(479, int(face_y + 0.6 * reach))
    if right - left < 3 or bottom - top < 3:
        return  # outside
    before, after = image[top:bottom, left:right], hidden[top:bottom, left:right]
    assert np.abs(np.diff(after.astype(int), axis=1)).mean() < 0.35 * np.abs(np.diff(before.astype(int), axis=1)).mean()


def test_a_head_that_moves_on_is_not_hidden_where_it_was() -> None:
    image = noise(480, 640)
    heads = HeadBlur(hold=4)
    steps = []
    for step in range(3):
        canvas = image.copy()
        heads.apply(canvas, people((100 + 8 * step, 60, 260 + 8 * step, 460)))
        steps.append(canvas)
    alone = blur_heads(image, people((116, 60, 276, 460)))
    np.testing.assert_array_equal(steps[-1], alone)


def test_one_of_two_people_lost_stays_hidden() -> None:
    image = noise(480, 640)
    heads = HeadBlur()
    both = people(BOX, (400, 60, 560, 460))
    heads.apply(image.copy(), both)
    canvas = image.copy()
    heads.apply(canvas, people(BOX))
    np.testing.assert_array_equal(canvas, blur_heads(image, both))
