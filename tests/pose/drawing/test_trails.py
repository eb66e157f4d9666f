"""Trails follow tracked people, fade, and stay small."""

from __future__ import annotations

import numpy as np

from gcpose_trt.pose import COCO17, PoseFrame
from gcpose_trt.pose.drawing import Painter, PaintOptions
from gcpose_trt.pose.drawing.labels import track_colour
from gcpose_trt.pose.drawing.trails import Trails
from tests.pose.drawing.people import people

ONLY = PaintOptions(skeletons=False, boxes=False, ids=False, hud=False)
BLACK = np.zeros((480, 640, 3), np.uint8)


def box_at(x: float) -> tuple[float, ...]:
    return x, 60, x + 120, 400


def hips_at(x: float) -> tuple[int, int]:
    """Return row and column of the hips of a person in `box_at(x)`."""
    return round(60 + 0.52 * 340), round(x + 60)


def test_a_walker_draws_a_line_in_her_colour_that_fades_backwards() -> None:
    painter = Painter(ONLY)
    for step in range(30):
        drawn = painter.paint(BLACK, people(box_at(20 + 10 * step), ids=[3]))
    row, newest = hips_at(20 + 10 * 29)
    brightness = [int(drawn[row - 3 : row + 4, newest - back].max()) for back in (10, 100, 200)]
    assert brightness[0] > brightness[1] > brightness[2] > 0
    shown = drawn[row, newest - 10].astype(float)
    np.testing.assert_allclose(shown / shown.max(), np.array(track_colour(3)) / max(track_colour(3)), atol=0.05)


def test_who_stands_still_leaves_no_blob() -> None:
    painter = Painter(ONLY)
    generator = np.random.default_rng(0)
    for _ in range(40):
        drawn = painter.paint(BLACK, people(box_at(200 + generator.uniform(-2, 2)), ids=[3]))
        assert not drawn.any()


def test_hips_that_come_and_go_do_not_make_the_line_jump() -> None:
    trails = Trails(32, (), 0.3)
    steady = Painter(ONLY)
    for step in range(20):
        poses = people(box_at(20 + 10 * step), ids=[3])
        hidden = poses.keypoints.copy()
        if step % 2:
            hidden[:, 11:13, 2] = 0
        trails.add(PoseFrame(poses.boxes, poses.scores, hidden, poses.ids))
        expected = steady.paint(BLACK, poses)
    canvas = BLACK.copy()
    trails.draw(canvas)
    assert np.abs(canvas.astype(int) - expected).max() <= 2


def test_a_number_that_jumps_to_somebody_else_draws_no_line_between_them() -> None:
    painter = Painter(ONLY)
    for x in [*range(0, 60, 10), *range(500, 520, 10)]:
        drawn = painter.paint(BLACK, people(box_at(x), ids=[3]))
    assert not drawn[:, 250:540].any()


def test_who_left_fades_away() -> None:
    painter = Painter(ONLY)
    for step in range(20):
        drawn = painter.paint(BLACK, people(box_at(20 + 10 * step), ids=[3]))
    sums = [int(drawn.sum())]
    for _ in range(40):
        sums.append(int(painter.paint(BLACK, PoseFrame.empty()).sum()))
    assert sums[0] > sums[10] > sums[20] > 0
    assert sums[-1] == 0


def test_joints_may_have_trails_with_gaps_where_they_were_not_seen() -> None:
    options = PaintOptions(
        skeletons=False, boxes=False, ids=False, hud=False, trail_joints=("left_wrist",), keypoint_threshold=0.3
    )
    painter = Painter(options)
    wrist = COCO17.names.index("left_wrist")
    for step in range(30):
        poses = people(box_at(20 + 10 * step), ids=[3])
        poses.keypoints[0, wrist, 2] = 0.0 if 10 <= step < 18 else 1.0
        drawn = painter.paint(BLACK, poses)
    row = round(60 + 0.54 * 340)
    start = 20 + 0.82 * 120
    strip = drawn[row : row + 6].max(axis=(0, 2))
    colour = drawn[row + 2, round(start + 270)]
    assert colour[0] > colour[2], "the left wrist has the left side's colour"
    assert not (drawn[row + 1, round(start + 105) : round(start + 160)] == colour).all(axis=1).any()
    assert strip[round(start + 200)] > 0


def test_memory_is_bounded_whatever_a_tracker_says() -> None:
    trails = Trails(8, (9, 10), 0.3)
    for frame in range(60):
        boxes = [box_at(float(x)) for x in range(0, 400, 4)]
        trails.add(people(*boxes, ids=range(frame * 100, frame * 100 + 100)))
        assert len(trails) <= 128
    for _ in range(10):
        trails.add(PoseFrame.empty())
    assert len(trails) == 0


def test_switched_off_trails_are_forgotten() -> None:
    painter = Painter(ONLY)
    for step in range(20):
        painter.paint(BLACK, people(box_at(20 + 10 * step), ids=[3]))
    painter.options = PaintOptions(skeletons=False, boxes=False, ids=False, hud=False, trails=False)
    assert not painter.paint(BLACK, people(box_at(220), ids=[3])).any()
    painter.options = ONLY
    assert not painter.paint(BLACK, people(box_at(230), ids=[3])).any()
