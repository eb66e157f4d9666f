"""The painter of a live stream: what its options switch, what it remembers, and that no input harms it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from gcpose_trt.errors import GcposeError
from gcpose_trt.pose import COCO17, PoseFrame
from gcpose_trt.pose.drawing import Painter, PaintOptions, draw_poses
from gcpose_trt.pose.drawing.labels import track_colour
from tests.pose.drawing.people import noise, people

NOTHING = PaintOptions(skeletons=False, boxes=False, ids=False, trails=False, hud=False)
BOX = (100, 60, 260, 460)
LINES = ("source\t30.0 FPS", "latency\t41 ms")


def changed(before: NDArray[np.uint8], after: NDArray[np.uint8]) -> NDArray[np.bool_]:
    return np.asarray((before != after).any(axis=2))


def test_each_option_draws_something_of_its_own_and_all_off_draw_nothing() -> None:
    image, poses = noise(480, 640), people(BOX, ids=[3])
    assert not changed(image, Painter(NOTHING).paint(image, poses, LINES)).any()
    marks = {
        name: changed(image, Painter(replace(NOTHING, **{name: True})).paint(image, poses, LINES))
        for name in ("skeletons", "boxes", "ids", "hud", "blur_heads")
    }
    for name, mark in marks.items():
        assert mark.any(), name
        for other in set(marks) - {name}:
            assert (mark != marks[other]).any(), (name, other)


def test_the_input_is_left_alone_and_the_result_is_its_own() -> None:
    image, poses = noise(480, 640), people(BOX, ids=[3])
    original, original_joints = image.copy(), poses.keypoints.copy()
    painter = Painter(PaintOptions(blur_heads=True))
    first = painter.paint(image, poses, LINES)
    kept = first.copy()
    painter.paint(image, people((300, 60, 460, 460), ids=[4]), LINES)
    np.testing.assert_array_equal(image, original)
    np.testing.assert_array_equal(poses.keypoints, original_joints)
    np.testing.assert_array_equal(first, kept)
    nobody = painter.paint(image, PoseFrame.empty())
    assert not np.shares_memory(nobody, image)


def test_a_read_only_picture_or_one_cut_out_of_another_is_painted() -> None:
    image = noise(480, 640)
    image.flags.writeable = False
    cut = noise(960, 1280)[::2, ::2]
    for picture in (image, cut):
        assert changed(picture, Painter().paint(picture, people(BOX), LINES)).any()


def test_without_ids_and_panel_people_look_as_on_single_pictures() -> None:
    image, poses = noise(480, 640), people((100, 160, 260, 460), ids=[3])
    untracked = PoseFrame(poses.boxes, poses.scores, poses.keypoints)
    expected = draw_poses(image, untracked)
    np.testing.assert_array_equal(Painter().paint(image, untracked), expected)


@pytest.mark.parametrize("ids", [None, [-1]])
def test_who_is_not_tracked_has_neither_number_nor_trail(ids: list[int] | None) -> None:
    painter = Painter(replace(NOTHING, ids=True, trails=True))
    image = noise(480, 640)
    for step in range(10):
        box = (100 + 10 * step, 60, 260 + 10 * step, 460)
        assert not changed(image, painter.paint(image, people(box, ids=ids))).any()


def test_boxes_and_tags_take_the_colour_of_the_number() -> None:
    image = np.full((480, 640, 3), 90, np.uint8)
    options = replace(NOTHING, boxes=True, ids=True)
    for number in (0, 1, 8):
        drawn = Painter(options).paint(image, people(BOX, ids=[number]))
        assert tuple(drawn[300, BOX[0]]) == track_colour(number)
    drawn = Painter(replace(options, ids=False)).paint(image, people(BOX, ids=[1]))
    assert tuple(drawn[300, BOX[0]]) == track_colour(None)


def test_options_count_from_the_next_frame() -> None:
    image, poses = noise(480, 640), people(BOX)
    painter = Painter(NOTHING)
    painter.paint(image, poses)
    painter.options = replace(painter.options, blur_heads=True)
    head = (slice(75, 110), slice(165, 195))
    hidden = painter.paint(image, poses)
    assert hidden[head].std() < 0.25 * image[head].std()
    painter.options = replace(painter.options, blur_heads=False)
    assert not changed(image, painter.paint(image, poses)).any()
    assert not changed(image, painter.paint(image, PoseFrame.empty())).any(), "nothing is held once switched off"


def test_a_lost_head_stays_hidden_for_some_frames_and_reset_forgets_it() -> None:
    image = noise(480, 640)
    painter = Painter(replace(NOTHING, blur_heads=True))
    first = changed(image, painter.paint(image, people(BOX)))
    hidden = [changed(image, painter.paint(image, PoseFrame.empty())) for _ in range(10)]
    np.testing.assert_array_equal(hidden[0], first)
    assert not hidden[-1].any(), "and not for ever"
    painter.paint(image, people(BOX))
    painter.reset()
    assert not changed(image, painter.paint(image, PoseFrame.empty())).any()


def test_a_picture_of_another_size_starts_anew() -> None:
    painter = Painter(PaintOptions(blur_heads=True))
    painter.paint(noise(480, 640), people(BOX, ids=[1]))
    image = noise(200, 300)
    assert not changed(image, painter.paint(image, PoseFrame.empty())).any()


@pytest.mark.parametrize(
    "wrong",
    [{"trail_joints": ("tail",)}, {"trail_frames": 1}, {"keypoint_threshold": 1.5}, {"certain": float("nan")}],
)
def test_options_out_of_range_are_refused_in_one_line(wrong: dict[str, object]) -> None:
    with pytest.raises(GcposeError, match="; choose ") as caught:
        PaintOptions(**wrong)  # type: ignore[arg-type]
    assert "\n" not in str(caught.value)


def test_track_colours_are_none_of_the_sides_and_dark_text_can_be_read_on_them() -> None:
    colours = {track_colour(number) for number in range(100)}
    assert len(colours) >= 6
    for colour in colours:
        blue, green, red = colour
        assert 0.114 * blue + 0.587 * green + 0.299 * red > 130
        for side in ("left", "right"):
            assert np.abs(np.subtract(colour, COCO17.colours[side])).max() > 60


@pytest.mark.parametrize("shape", [(1, 1), (1, 700), (3, 2), (17, 23), (240, 320), (2160, 3840)])
@pytest.mark.parametrize("count", [0, 1, 50])
def test_any_size_and_any_number_of_people(shape: tuple[int, int], count: int) -> None:
    height, width = shape
    generator = np.random.default_rng(count)
    corners = generator.uniform(-0.3, 1.0, (count, 2)) * (width, height)
    boxes = np.hstack([corners, corners + generator.uniform(0.01, 0.6, (count, 2)) * (width, height)])
    poses = people(*boxes.tolist(), ids=range(count)) if count else PoseFrame.empty()
    painter = Painter(PaintOptions(blur_heads=True, trail_joints=("left_wrist", "right_ankle")))
    for _ in range(2):
        drawn = painter.paint(np.zeros((height, width, 3), np.uint8), poses, LINES)
        assert drawn.shape == (height, width, 3)
        assert drawn.dtype == np.uint8


WILD = st.one_of(
    st.floats(-300, 600, width=32),
    st.sampled_from([np.nan, np.inf, -np.inf, 3e38, -3e38, 1e30, -1e7, 2.0**31, 2.0**15, 0.0, -0.0]),
)


@st.composite
def wild_poses(draw: st.DrawFn) -> PoseFrame:
    count = draw(st.integers(0, 3))
    numbers = draw(st.lists(WILD, min_size=55 * count, max_size=55 * count))
    values = np.array(numbers, np.float32).reshape(count, 55)
    keypoints = values[:, 4:].reshape(count, 17, 3).copy()
    keypoints[..., 2] = np.abs(keypoints[..., 2]) / 600  # mostly confidences; NaN and inf stay
    ids = draw(st.one_of(st.none(), st.lists(st.integers(-1, 2**62), min_size=count, max_size=count)))
    return PoseFrame(values[:, :4], values[:, 4] / 600, keypoints, ids)  # type: ignore[arg-type]


@settings(max_examples=30, deadline=None, derandomize=True)
@given(st.lists(wild_poses(), min_size=1, max_size=3), st.integers(1, 90), st.integers(1, 120))
def test_no_coordinates_do_harm(frames: list[PoseFrame], height: int, width: int) -> None:
    painter = Painter(PaintOptions(blur_heads=True, trail_joints=("left_wrist",), trail_frames=5))
    image = noise(height, width)
    for poses in frames:
        assert painter.paint(image, poses, LINES).shape == image.shape
    assert (image == noise(height, width)).all()
