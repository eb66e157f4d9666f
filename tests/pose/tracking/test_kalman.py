"""The filter against the textbook's matrices, and its independence of the frame rate."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gcpose_trt.pose.tracking.kalman import KalmanFilter


def started(tracks: int = 1) -> KalmanFilter:
    kalman = KalmanFilter(2)
    start = np.arange(2.0 * tracks).reshape(tracks, 2)
    kalman.append(start, np.full((tracks, 1), 4.0), np.full((tracks, 1), 9.0))
    return kalman


@settings(deadline=None, max_examples=30, derandomize=True)
@given(seed=st.integers(0, 2**32 - 1))
def test_same_as_with_matrices(seed: int) -> None:
    rng = np.random.default_rng(seed)
    kalman = started()
    state, covariance = np.array([kalman.position[0, 0], 0.0]), np.diag([4.0, 9.0])
    for _ in range(8):
        dt, agility, noise, measured = (
            rng.uniform(0.001, 1),
            rng.uniform(0.1, 50),
            rng.uniform(0.1, 9),
            rng.normal(0, 9),
        )
        move = np.array([[1, dt], [0, 1]])
        state = move @ state
        random_walk = agility * np.array([[dt**3 / 3, dt**2 / 2], [dt**2 / 2, dt]])
        covariance = move @ covariance @ move.T + random_walk
        gain = covariance[:, 0] / (covariance[0, 0] + noise)
        state = state + gain * (measured - state[0])
        covariance = (np.eye(2) - np.outer(gain, [1, 0])) @ covariance
        kalman.predict(dt, np.full((1, 1), agility))
        kalman.correct(np.array([0]), np.full((1, 2), measured), np.full((1, 1), noise))
    found = (kalman.position[0, 0], kalman.velocity[0, 0])
    np.testing.assert_allclose(found, state, rtol=1e-7)
    spread = (kalman.variance[0, 0], kalman.covariance[0, 0], kalman.velocity_variance[0, 0])
    np.testing.assert_allclose(spread, (covariance[0, 0], covariance[0, 1], covariance[1, 1]), rtol=1e-6)


def test_many_short_steps_are_one_long_step() -> None:
    many, one = started(2), started(2)
    for kalman in (many, one):
        kalman.predict(0.1, np.ones((2, 1)))
        kalman.correct(np.array([0, 1]), np.array([[3.0, 4], [5, 6]]), np.ones((2, 1)))
    for _ in range(10):
        many.predict(0.05, np.ones((2, 1)))
    one.predict(0.5, np.ones((2, 1)))
    for name in ("position", "velocity", "variance", "covariance", "velocity_variance"):
        np.testing.assert_allclose(getattr(many, name), getattr(one, name))


def test_learns_a_velocity() -> None:
    kalman = started()
    for step in range(1, 60):
        kalman.predict(0.04, np.full((1, 1), 0.1))
        kalman.correct(np.array([0]), np.array([[50.0, -20.0]]) * (0.04 * step), np.full((1, 1), 0.25))
    np.testing.assert_allclose(kalman.velocity, [[50, -20]], rtol=0.02)
    kalman.stop(np.full((1, 1), 7.0))
    assert (kalman.velocity == 0).all()
    assert (kalman.velocity_variance == 7).all()


def test_tracks_come_and_go() -> None:
    kalman = started(3)
    kalman.correct(np.array([2]), np.array([[100.0, 100]]), np.full((1, 1), 1e-9))
    np.testing.assert_allclose(kalman.position[:2], [[0, 1], [2, 3]])
    kalman.keep(np.array([False, True, True]))
    assert len(kalman) == 2
    assert kalman.position[1, 0] == pytest.approx(100)
    kalman.append(np.zeros((1, 2)), np.ones((1, 1)), np.ones((1, 1)))
    assert kalman.velocity.shape == (3, 2)
