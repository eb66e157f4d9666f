"""Calm joints: the One-Euro filter (Casiez, Roussel and Vogel, CHI 2012) for every joint of everybody followed.

What is still is smoothed much, what moves fast little, so that jitter goes and lag stays small.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from gcpose_trt.errors import GcposeError
from gcpose_trt.pose.types import KEYPOINTS, PoseFrame

Floats = NDArray[np.float64]

_FORGET_S = 1.0  # who was away this long starts anew
_SHORTEST_S = 1e-3  # two frames of one time stamp: a clock coarser than the camera
# The three constants of the filter were chosen from a table of jitter against lag that benchmarks/tracking.py prints.
_CUTOFF_HZ = 0.3  # of a still joint at strength 1
_RESPONSE = 10.0  # Hz that the cutoff rises for each size a second of speed, at strength 1
_SPEED_HZ = 0.7  # cutoff of the speed's own low-pass
_BOX = 3.0  # cutoffs of boxes are so much higher: they are smoothed lightly


class Smoother:
    """Takes the jitter out of the joints of people with an id.

    Speeds count in sizes of the person (square root of the box's area) a second, so that a strength does the same to
    somebody near and somebody far, and time in seconds, so that it does the same at any frame rate. Confidences stay as
    they are. A box is moved as one, and less than joints.

    The cutoff of a joint at strength s is (0.3 Hz + 10 Hz x speed) / s^2: at 0 nothing is changed at all.

    After a step back in time, or of more than a second without somebody, that person starts anew. Not for several
    threads at once, except that `strength` may be set from any.

    Args:
        strength: 0 (none) to 1 (most).

    Raises:
        GcposeError: the strength is out of range.
    """

    def __init__(self, strength: float) -> None:
        self.strength = strength
        self.reset()

    @property
    def strength(self) -> float:
        """How much is smoothed, 0 (nothing) to 1; may be set at any time."""
        return self._strength

    @strength.setter
    def strength(self, value: float) -> None:
        if not 0 <= value <= 1:
            raise GcposeError(f"smoothing strength {value} is out of range; choose a number from 0 to 1")
        self._strength = float(value)

    def __len__(self) -> int:
        """How many people are remembered."""
        return len(self._ids)

    def reset(self) -> None:
        """Forget everybody."""
        self._ids = np.zeros(0, np.int64)
        self._points = np.zeros((0, KEYPOINTS + 2, 2))  # joints, then two corners of the box
        self._velocity = np.zeros((0, KEYPOINTS + 2, 2))  # sizes a second
        self._times = np.zeros(0)

    def update(self, poses: PoseFrame, time_s: float) -> PoseFrame:
        """Smooth the people of one frame.

        Args:
            poses: as `Tracker.update` gives them; those without an id are left as they are.
            time_s: when the frame was taken, in seconds of any clock.

        Returns:
            The same people in the same order.

        Raises:
            GcposeError: the time is not finite.
        """
        if not math.isfinite(time_s):
            raise GcposeError(f"a frame's time is {time_s}; give seconds")
        strength = self._strength
        if strength == 0:
            self.reset()
            return poses
        rows = np.flatnonzero(poses.ids > 0) if poses.ids is not None else np.zeros(0, np.int64)
        if not len(rows):
            self._remember(np.zeros(0, np.int64), self._points[:0], self._velocity[:0], time_s)
            return poses
        assert poses.ids is not None
        keypoints, boxes = poses.keypoints.copy(), poses.boxes.copy()
        raw = np.concatenate([keypoints[rows, :, :2], boxes[rows].reshape(-1, 2, 2)], axis=1).astype(np.float64)
        ids = poses.ids[rows]
        smooth, velocity = self._filter(raw, ids, time_s, strength)
        self._remember(ids, smooth, velocity, time_s)
        keypoints[rows, :, :2] = smooth[:, :KEYPOINTS]
        boxes[rows] = smooth[:, KEYPOINTS:].reshape(-1, 4)
        return PoseFrame(boxes, poses.scores, keypoints, poses.ids)

    def _filter(self, raw: Floats, ids: NDArray[np.int64], time_s: float, strength: float) -> tuple[Floats, Floats]:
        """Return the smoothed points (N, 19, 2) and their velocities, in sizes a second, from the points as found."""
        before = _rows_of(ids, self._ids)
        known = before >= 0
        last, velocity = raw.copy(), np.zeros_like(raw)
        elapsed = np.full(len(raw), _FORGET_S)
        last[known], velocity[known] = self._points[before[known]], self._velocity[before[known]]
        elapsed[known] = time_s - self._times[before[known]]
        new = ~known | (elapsed < 0) | (elapsed > _FORGET_S)
        # A joint that was or is nowhere starts anew too, on its own.
        broken = new[:, None] | ~np.isfinite(raw).all(axis=2) | ~np.isfinite(last).all(axis=2)
        last[broken], velocity[broken] = raw[broken], 0
        dt = np.maximum(elapsed, _SHORTEST_S)[:, None]
        corners = raw[:, KEYPOINTS:]
        size = np.sqrt(np.maximum((corners[:, 1] - corners[:, 0]).prod(axis=1), 1.0))
        size = np.where(np.isfinite(size), size, 1.0)[:, None, None]
        found = (raw - last) / (size * dt[..., None])
        velocity = velocity + _weight(np.full_like(dt, _SPEED_HZ), dt)[..., None] * (found - velocity)
        speed = np.hypot(velocity[..., 0], velocity[..., 1])
        # One weight for both corners: a box stays a box.
        speed[:, KEYPOINTS:] = speed[:, KEYPOINTS:].mean(axis=1, keepdims=True)
        cutoff = (_CUTOFF_HZ + _RESPONSE * speed) / strength**2
        cutoff[:, KEYPOINTS:] *= _BOX
        smooth = last + _weight(cutoff, dt)[..., None] * (raw - last)
        smooth[broken], velocity[broken] = raw[broken], 0
        return smooth, velocity

    def _remember(self, ids: NDArray[np.int64], points: Floats, velocity: Floats, time_s: float) -> None:
        """Keep these people, and of the others those who may come back."""
        age = time_s - self._times
        stay = (_rows_of(self._ids, ids) < 0) & (age >= 0) & (age <= _FORGET_S)
        self._ids = np.concatenate([ids, self._ids[stay]])
        self._points = np.concatenate([points, self._points[stay]])
        self._velocity = np.concatenate([velocity, self._velocity[stay]])
        self._times = np.concatenate([np.full(len(ids), time_s), self._times[stay]])


def _rows_of(ids: NDArray[np.int64], among: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return for each id its row `among` others, or -1."""
    if not len(among):
        return np.full(len(ids), -1, np.int64)
    same = ids[:, None] == among
    return np.where(same.any(axis=1), same.argmax(axis=1), -1)


def _weight(cutoff: Floats, dt: Floats) -> Floats:
    """Return the weight of the new value in a low-pass with this cutoff in Hz after `dt` seconds."""
    turn = 2 * np.pi * cutoff * dt
    return turn / (1 + turn)
