"""Where tracked people went in the last frames: lines that thin out and fade with age.

Bounded: so many frames back, so many people, whatever a tracker hands in.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from gcpose_trt.pose.drawing.labels import track_colour
from gcpose_trt.pose.drawing.skeletons import line_width
from gcpose_trt.pose.drawing.strokes import Image, draw_strokes
from gcpose_trt.pose.skeleton import COCO17, Colour
from gcpose_trt.pose.types import PoseFrame

_HIPS = [COCO17.names.index("left_hip"), COCO17.names.index("right_hip")]
_BODY = -1  # stands for the body's centre where others are joints
_MOST = 128  # people remembered at once
_SEGMENTS = 16  # of one line: a longer memory is drawn more coarsely
_FRESHEST = 0.85  # opacity at the person


class Trails:
    """The recent ways of the people of one stream.

    Args:
        frames: how far back they reach.
        joints: joints that get a trail besides the body's centre, such as the wrists, by index in `COCO17.names`.
        threshold: joints below this confidence leave a gap.
    """

    def __init__(self, frames: int, joints: Sequence[int], threshold: float) -> None:
        self.frames, self.joints, self.threshold = frames, tuple(joints), threshold
        self._tracks: dict[int, _Track] = {}

    def add(self, poses: PoseFrame) -> None:
        """Remember where the people of one more frame are. Those without an id leave no trail."""
        for track in self._tracks.values():
            track.seen = False
        for row in range(len(poses)) if poses.ids is not None else ():
            number = int(poses.ids[row])  # type: ignore[index]  # the line above asked
            if number >= 0:
                track = self._tracks.setdefault(number, _Track(self.frames, self.joints))
                track.add(poses.boxes[row], poses.keypoints[row], self.threshold)
        # Who is gone fades away from the far end.
        for track in self._tracks.values():
            if not track.seen:
                track.forget_one()
        self._tracks = {number: track for number, track in self._tracks.items() if track.alive}
        for number in sorted(self._tracks, key=lambda number: self._tracks[number].seen)[: len(self._tracks) - _MOST]:
            del self._tracks[number]

    def draw(self, canvas: Image) -> None:
        """Draw the trails onto `canvas` (H, W, 3) BGR uint8."""
        for number, track in self._tracks.items():
            width = 1.2 * line_width(track.box, canvas.shape)
            for joint, places in track.places.items():
                colour = track_colour(number) if joint == _BODY else COCO17.joint_colour(joint)
                _draw(canvas, places, width if joint == _BODY else 0.7 * width, colour, self.frames)

    def __len__(self) -> int:
        return len(self._tracks)


class _Track:
    """One person's last places: (x, y) a frame, NaN where nobody knows."""

    def __init__(self, frames: int, joints: tuple[int, ...]) -> None:
        self.places = {joint: deque[tuple[float, float]](maxlen=frames) for joint in (_BODY, *joints)}
        self.box = np.zeros(4, np.float32)
        self.seen = False
        self._hips = (0.5, 0.55)  # where in the box the hips were last seen: a box alone jumps less than its centre

    @property
    def alive(self) -> bool:
        return bool(self.places[_BODY])

    def add(self, box: NDArray[np.float32], keypoints: NDArray[np.float32], threshold: float) -> None:
        self.seen, self.box = True, box
        left, top, right, bottom = box.tolist()
        wide, tall = right - left, bottom - top
        hips = keypoints[_HIPS]
        if (hips[:, 2] >= threshold).all() and np.isfinite(hips).all() and wide > 0 and tall > 0:
            x, y = hips[:, :2].astype(np.float64).mean(axis=0).tolist()
            self._hips = (x - left) / wide, (y - top) / tall
        else:
            x, y = left + self._hips[0] * wide, top + self._hips[1] * tall
        known = self.places[_BODY]
        if known and not math.hypot(x - known[-1][0], y - known[-1][1]) < math.hypot(wide, tall):
            # Farther than a body in one frame: the number went to somebody else, or people were lost from sight.
            for places in self.places.values():
                places.clear()
        for joint, places in self.places.items():
            if joint == _BODY:
                places.append((x, y))
            else:
                x_joint, y_joint, score = keypoints[joint].tolist()
                places.append((x_joint, y_joint) if score >= threshold else (math.nan, math.nan))

    def forget_one(self) -> None:
        for places in self.places.values():
            if places:
                places.popleft()


def _draw(canvas: Image, places: deque[tuple[float, float]], width: float, colour: Colour, frames: int) -> None:
    # The newest first, so that the line's corners stay where they were while it grows.
    points = np.array(places, np.float64)[::-1]
    ages = np.arange(len(points))
    keep = np.zeros(len(points), bool)
    step = -(-frames // _SEGMENTS)
    keep[(len(points) - 1 - ages) % step == 0] = True
    keep[:1] = True
    points, ages = points[keep], ages[keep]
    if len(points) < 2:
        return
    with np.errstate(all="ignore"):
        moved = np.hypot(*(points[0] - points).T)
    if not np.nanmax(moved, initial=0) > 2 * width:
        return  # stands still: a blob would only hide the joint
    freshness = 1 - ages[1:] / frames
    ends = np.stack([points[:-1], points[1:]], axis=1)
    draw_strokes(canvas, ends, width * (0.35 + 0.65 * freshness), [colour] * len(ends), _FRESHEST * freshness, ink=0.0)
