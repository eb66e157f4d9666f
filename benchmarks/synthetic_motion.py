"""Jitter against lag of smoothed joints, on one person who stands still, walks or waves, with known truth."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from benchmarks.synthetic_tracks import BODY
from gcpose_trt.pose import PoseFrame
from gcpose_trt.pose.smoothing import Smoother

Floats = NDArray[np.float64]

NOISE = 0.008  # standard deviation of joints, in sizes of the person
WALK = 1.0  # sizes a second: a walk across the picture
WAVE_HZ, WAVE = 1.0, 0.35  # of both arms, sizes


def jitter(joints: Floats) -> float:
    """Return the mean length of the second difference of joints (T, J, 2), in their unit; NaN joints do not count."""
    second = np.linalg.norm(np.diff(joints, n=2, axis=0), axis=2)
    return float(np.nanmean(second)) if np.isfinite(second).any() else 0.0


def behind(found: Floats, truth: Floats) -> float:
    """Return how far joints (T, J, 2) are behind the truth along its motion, on average, where it moves."""
    motion = np.gradient(truth, axis=0)
    length = np.linalg.norm(motion, axis=2)
    moves = length > 0.2 * length.max()
    lag: Floats = ((truth - found) * motion).sum(axis=2)[moves] / length[moves]
    return float(lag.mean())


def trial(strength: float, rate: float, height: float, seed: int = 0) -> dict[str, float]:
    """Return jitter of the still, and lag and error of those who move, in pixels and in sizes of the person.

    Args:
        strength: of the smoothing.
        rate: frames a second; four seconds are run and the first is left out.
        height: of the person in pixels.
        seed: of the noise: white, with a standard deviation of `NOISE` sizes on each coordinate of each joint.
    """
    body = (BODY - BODY.min(axis=0) + [0.05, 0.02]) * height
    size = float(np.sqrt(np.prod(body.max(axis=0) - body.min(axis=0) + 0.05 * height)))
    times = np.arange(round(4 * rate)) / rate
    still = np.repeat(body[None], len(times), axis=0)
    walk = still + np.stack([WALK * size * times, 0 * times], axis=1)[:, None]
    wave = still.copy()
    wave[:, 7:11, 1] += WAVE * size * np.sin(2 * np.pi * WAVE_HZ * times)[:, None]
    noise = np.random.default_rng(seed).normal(0, NOISE * size, still.shape)
    late = slice(round(rate), None)
    calm, walked, waved = (_smooth(strength, motion + noise, times, height)[late] for motion in (still, walk, wave))
    arms = np.s_[:, 7:11]
    pixels = {
        "jitter": jitter(calm),
        "walk_lag": behind(walked, walk[late]),
        "wave_lag": behind(waved[arms], wave[late][arms]),
        "wave_error": float(np.sqrt(((waved - wave[late])[arms] ** 2).sum(axis=2).mean())),
    }
    return {
        **{f"{name}_px": round(value, 3) for name, value in pixels.items()},
        **{f"{name}_sizes": round(value / size, 5) for name, value in pixels.items()},
    }


def _smooth(strength: float, joints: Floats, times: Floats, height: float) -> Floats:
    smoother, found = Smoother(strength), []
    for time_s, points in zip(times, joints, strict=True):
        box = np.concatenate([points.min(axis=0) - 0.025 * height, points.max(axis=0) + 0.025 * height])
        keypoints = np.hstack([points, np.ones((len(points), 1))])
        poses = smoother.update(PoseFrame(box[None], [1.0], keypoints[None], [1]), float(time_s))
        found.append(poses.keypoints[0, :, :2])
    return np.array(found, np.float64)
