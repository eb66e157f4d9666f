"""Ids and smoothing of one source's people."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Protocol

from gcpose_trt.pose.types import PoseFrame
from gcpose_trt.video.frames import Frame
from gcpose_trt.video.live.faults import Log, Quiet, as_gcpose_error

_RATE = 25.0  # frames a second of images, which have no times


class Following(Protocol):
    """A tracker: takes a source's poses in order and returns them with ids."""

    def update(self, poses: PoseFrame, time_s: float) -> PoseFrame: ...

    def reset(self) -> None: ...


class Smoothing(Following, Protocol):
    """A smoother of people with ids, of a `strength` of 0..1 that may change."""

    strength: float


def default_tracker() -> Following:
    """Return a new tracker."""
    from gcpose_trt.pose.tracking import Tracker

    return Tracker()


def default_smoother(strength: float) -> Smoothing:
    """Return a new smoother of a strength, 0..1."""
    from gcpose_trt.pose.smoothing import Smoother

    return Smoother(strength)


class TrackStage:
    """Gives the people of one source their ids and smooths their joints; forgets them when frames change size.

    Args:
        name: of the source.
        live: times are those of the capture, not of the clip.
        tracking: people get ids. Without, smoothing still follows people, but its ids are not shown.
        tracker_factory, smoother_factory: make new ones.
        log: gets a line when frames change size.
        quiet: gets a line if tracking fails.
    """

    def __init__(
        self,
        name: str,
        *,
        live: bool,
        tracking: bool,
        tracker_factory: Callable[[], Following],
        smoother_factory: Callable[[float], Smoothing],
        log: Log,
        quiet: Quiet,
    ) -> None:
        self._name, self._live, self._tracking = name, live, tracking
        self._new_tracker, self._new_smoother = tracker_factory, smoother_factory
        self._log, self._quiet = log, quiet
        self._tracker: Following | None = None
        self._smoother: Smoothing | None = None
        self._size: tuple[int, int] | None = None

    def __call__(self, frame: Frame, poses: PoseFrame, smooth: float) -> PoseFrame:
        """Return a frame's poses with ids, smoothed by `smooth`, 0..1."""
        self._look_at_size(frame)
        if not self._tracking and smooth <= 0:
            self._reset()
            return poses
        try:
            return self._follow(poses, self._time_of(frame), smooth)
        except Exception as error:
            self._reset()
            line = str(as_gcpose_error(error, f"tracking of {self._name} failed", "it starts again; report it"))
            self._quiet(("track", self._name), line)
            return poses

    def _follow(self, poses: PoseFrame, time_s: float, smooth: float) -> PoseFrame:
        if self._tracker is None:
            self._tracker = self._new_tracker()
        tracked = self._tracker.update(poses, time_s)
        if smooth > 0:
            if self._smoother is None:
                self._smoother = self._new_smoother(smooth)
            elif self._smoother.strength != smooth:
                self._smoother.strength = smooth
            tracked = self._smoother.update(tracked, time_s)
        elif self._smoother is not None:
            self._smoother.reset()
        return tracked if self._tracking else replace(tracked, ids=None)

    def _look_at_size(self, frame: Frame) -> None:
        size = (frame.image.shape[1], frame.image.shape[0])
        if self._size is not None and size != self._size:
            self._reset()
            self._log(f"frames of {self._name} are now {size[0]}x{size[1]}, not {self._size[0]}x{self._size[1]}")
        self._size = size

    def _reset(self) -> None:
        # The same ones go on: a new tracker would give old numbers to new people.
        for follower in (self._tracker, self._smoother):
            if follower is not None:
                follower.reset()

    def _time_of(self, frame: Frame) -> float:
        if self._live and frame.captured is not None:
            return frame.captured
        return frame.index / _RATE if frame.time_s is None else frame.time_s
