"""Where tracked people went in the last frames: lines that thin out and fade with age.

Bounded: so many frames back, so many people, whatever a tracker hands in.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from gcpose_trt.pose.drawing.labels import track_colour
from gcpose_trt.pose.drawing.skeletons import line_width
from gcpose_trt.pose.drawing.strokes import Image, draw_way
from gcpose_trt.pose.skeleton import COCO17, Colour
from gcpose_trt.pose.types import PoseFrame

_HIPS = (COCO17.names.index("left_hip"), COCO17.names.index("right_hip"))
_BODY = -1  # stands for the body's centre where others are joints
_MOST = 128  # people remembered at once
_CORNERS = 12  # of one line, about: a longer memory is drawn more coarsely
_STEP = 0.025  # body sizes between corners: a person who stands still leaves no blob
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
        self._now = 0
        self._tracks: dict[int, _Track] = {}

    def add(self, poses: PoseFrame) -> None:
        """Remember where the people of one more frame are. Those without an id leave no trail."""
        self._now += 1
        numbers = [] if poses.ids is None else poses.ids.tolist()
        for row, number in enumerate(numbers):
            if number >= 0 and np.isfinite(poses.boxes[row]).all():
                # Taken out and put in again: the first one is then who was not seen for longest.
                track = self._tracks.pop(number, None) or _Track(self.joints)
                self._tracks[number] = track
                track.add(self._now, poses.boxes[row], poses.keypoints[row], self.threshold)
        # Who is gone fades away from the far end.
        for track in self._tracks.values():
            track.forget(self._now - self.frames)
        stale = [number for number, track in self._tracks.items() if track.seen <= self._now - self.frames]
        for number in [*stale, *list(self._tracks)[: max(0, len(self._tracks) - _MOST)]]:
            self._tracks.pop(number, None)

    def draw(self, canvas: Image) -> None:
        """Draw the trails onto `canvas` (H, W, 3) BGR uint8."""
        for number, track in self._tracks.items():
            width = line_width(track.box, canvas.shape)
            for joint, line in track.lines.items():
                colour = track_colour(number) if joint == _BODY else COCO17.joint_colour(joint)
                thick = 1.2 if joint == _BODY else 0.8
                _draw(canvas, [*line.corners, line.latest], self._now, self.frames, width * thick, colour)

    def __len__(self) -> int:
        return len(self._tracks)


class _Corner(NamedTuple):
    frame: int
    x: float
    y: float


class _Line:
    """Corners of a way, oldest first, and where it ends now; x and y of a gap are NaN."""

    def __init__(self) -> None:
        self.corners: deque[_Corner] = deque()
        self.latest = _Corner(0, math.nan, math.nan)

    def add(self, place: _Corner, step: float) -> None:
        last = self.corners[-1] if self.corners else None
        # The comparison with NaN holds where a gap begins or ends.
        if last is None or not math.hypot(place.x - last.x, place.y - last.y) < step:
            self.corners.append(place)
        self.latest = place


class _Track:
    """One person: box, the frame of the last sight, and lines."""

    def __init__(self, joints: tuple[int, ...]) -> None:
        self.lines = {joint: _Line() for joint in (_BODY, *joints)}
        self.box = np.zeros(4, np.float32)
        self.seen = 0
        self._hips = (0.5, 0.55)  # where in the box they were last seen: a box's own centre jumps with the arms

    def add(self, now: int, box: NDArray[np.float32], keypoints: NDArray[np.float32], threshold: float) -> None:
        self.seen, self.box = now, box
        left, top, right, bottom = box.tolist()
        wide, tall = max(right - left, 1.0), max(bottom - top, 1.0)
        size = math.hypot(wide, tall)
        joints = keypoints.tolist()
        first, second = (joints[joint] for joint in _HIPS)
        if min(first[2], second[2]) >= threshold and all(map(math.isfinite, (*first, *second))):
            x, y = (first[0] + second[0]) / 2, (first[1] + second[1]) / 2
            self._hips = (x - left) / wide, (y - top) / tall
        else:
            x, y = left + self._hips[0] * wide, top + self._hips[1] * tall
        before = self.lines[_BODY].latest
        if math.hypot(x - before.x, y - before.y) > size:
            # Farther than a body from one frame to the next: lost from sight, or the number went to somebody else.
            self.lines = {joint: _Line() for joint in self.lines}
        for joint, line in self.lines.items():
            if joint == _BODY:
                line.add(_Corner(now, x, y), _STEP * size)
            else:
                x_joint, y_joint, score = joints[joint]
                seen = score >= threshold and math.isfinite(x_joint) and math.isfinite(y_joint)
                line.add(_Corner(now, x_joint, y_joint) if seen else _Corner(now, math.nan, math.nan), _STEP * size)

    def forget(self, until: int) -> None:
        for line in self.lines.values():
            while line.corners and line.corners[0].frame <= until:
                line.corners.popleft()


def _draw(canvas: Image, line: list[_Corner], now: int, frames: int, width: float, colour: Colour) -> None:
    step = max(1, frames // _CORNERS)
    # By the frame's number, so that the same corners are kept while the line grows; gaps are kept always.
    last = len(line) - 1
    kept = [c for place, c in enumerate(line) if place in (0, last) or c.frame % step == 0 or math.isnan(c.x)]
    if len(kept) < 3:
        return
    corners = np.array(kept, np.float64)
    freshness = 1 - (now - corners[:-1, 0]) / frames
    widths = width * (0.35 + 0.65 * freshness)
    draw_way(canvas, corners[:, 1:], widths, _FRESHEST * freshness, colour)
