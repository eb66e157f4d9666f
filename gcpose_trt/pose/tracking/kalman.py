"""A constant-velocity Kalman filter for many tracks at once, with real time steps."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


class KalmanFilter:
    """Positions and velocities of T tracks, each of C numbers that move independently of each other.

    Accelerations are white noise (Bar-Shalom, Li and Kirubarajan 2001, section 6.2.2): predicting twice by half a step
    gives what predicting once by a whole one gives, so the frame rate does not matter.

    Attributes:
        position: (T, C).
        velocity: (T, C) a second.
        variance: (T, C) of the position.
        covariance: (T, C) of position and velocity.
        velocity_variance: (T, C).
    """

    _FIELDS = ("position", "velocity", "variance", "covariance", "velocity_variance")

    def __init__(self, channels: int) -> None:
        self.position: Floats = np.zeros((0, channels))
        self.velocity: Floats = np.zeros((0, channels))
        self.variance: Floats = np.zeros((0, channels))
        self.covariance: Floats = np.zeros((0, channels))
        self.velocity_variance: Floats = np.zeros((0, channels))

    def __len__(self) -> int:
        return len(self.position)

    def predict(self, dt: float, agility: Floats) -> None:
        """Move all tracks on.

        Args:
            dt: seconds, at least 0.
            agility: (T, C) or (T, 1), spectral density of the acceleration: how much the variance of the velocity grows
                a second.
        """
        self.position = self.position + dt * self.velocity
        self.variance = (
            self.variance + 2 * dt * self.covariance + dt * dt * self.velocity_variance + dt * dt * dt / 3 * agility
        )
        self.covariance = self.covariance + dt * self.velocity_variance + dt * dt / 2 * agility
        self.velocity_variance = self.velocity_variance + dt * agility

    def correct(self, rows: NDArray[np.int64], measured: Floats, noise: Floats) -> None:
        """Take measured positions (R, C) of the tracks `rows` (R,), with variances `noise` (R, C) or (R, 1)."""
        variance, covariance = self.variance[rows], self.covariance[rows]
        total = variance + noise
        gain, velocity_gain = variance / total, covariance / total
        surprise = measured - self.position[rows]
        self.position[rows] += gain * surprise
        self.velocity[rows] += velocity_gain * surprise
        self.variance[rows] = (1 - gain) * variance
        self.covariance[rows] = (1 - gain) * covariance
        self.velocity_variance[rows] -= velocity_gain * covariance

    def append(self, measured: Floats, noise: Floats, velocity_noise: Floats) -> None:
        """Add tracks at `measured` (R, C) of unknown velocity, which has a variance of `velocity_noise` around 0."""
        still = np.zeros_like(measured)
        fresh = (measured, still, still + noise, still, still + velocity_noise)
        for name, values in zip(self._FIELDS, fresh, strict=True):
            setattr(self, name, np.concatenate([getattr(self, name), values]))

    def keep(self, rows: NDArray[np.bool_]) -> None:
        """Forget all tracks but `rows` (T,)."""
        for name in self._FIELDS:
            setattr(self, name, getattr(self, name)[rows])

    def stop(self, velocity_noise: Floats) -> None:
        """Forget all velocities: they are 0 with a variance of `velocity_noise` (T, C) or (T, 1)."""
        self.velocity = np.zeros_like(self.velocity)
        self.covariance = np.zeros_like(self.covariance)
        self.velocity_variance = np.zeros_like(self.velocity_variance) + velocity_noise
