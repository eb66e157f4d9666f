"""A test pattern: drawn people who walk to and fro, for trials without a camera and for tests that know the truth."""

from __future__ import annotations

import threading
import time
import urllib.parse
from pathlib import Path

import numpy as np

from gcpose_trt.errors import GcposeError
from gcpose_trt.pose.types import PoseFrame
from gcpose_trt.video.capture.mannequin import Mannequin, draw_person, person_box
from gcpose_trt.video.capture.room import make_room
from gcpose_trt.video.capture.uri import Address
from gcpose_trt.video.frames import Frame, Image
from gcpose_trt.video.live_types import Reading, Status

_DEFAULTS = {"people": 2, "frames": 0, "seed": 1, "live": 1}
_RANGES = {"people": (0, 20), "frames": (0, 10**9), "seed": (0, 2**31), "live": (0, 1)}


class PatternCapture:
    """People drawn in front of a wall, as a `Capture`. A frame depends on its index, the seed and the size alone.

    Args:
        address: a pattern's; its query may have people (2), frames (0: no end), seed (1), live (1: a frame every
            1/fps s, and those that nobody takes are lost; 0: as fast as they are taken). Options size (640x480), fps
            (30) and loop are heeded.
        stream: see `Frame`.

    Raises:
        GcposeError: an unknown word in the query, or a number out of range.
    """

    kind = "pattern"
    path: Path | None = None
    reconnects = 0

    def __init__(self, address: Address, stream: int = 0) -> None:
        wanted = _parse_query(address.target)
        options = address.options
        self.name, self.uri, self._stream = address.name, address.shown, stream
        self.live = bool(wanted["live"])
        self.rate: float | None = options.fps or 30.0
        self._fps: float = options.fps or 30.0
        self._once = wanted["frames"] or None
        self.frames = None if self._once is None or options.loop < 0 else self._once * (options.loop + 1)
        self.warnings: list[str] = []
        self.width, self.height = options.size or (640, 480)
        random = np.random.default_rng(wanted["seed"])
        self._room = make_room(self.width, self.height, random)
        self._people = [
            Mannequin.random(random, number, wanted["people"], self.width, self.height)
            for number in range(wanted["people"])
        ]
        self._next = 0
        self._start: float | None = None
        self._closed = threading.Event()

    def read(self, timeout: float) -> Reading:
        """See `Capture.read`."""
        if self.live:
            now = time.perf_counter()
            self._start = now if self._start is None else self._start
            self._next = max(self._next, int((now - self._start) * self._fps))
            wait = self._start + self._next / self._fps - now
            if wait > timeout and not self._closed.wait(timeout):
                return Reading(Status.TIMEOUT, message=f"no picture of {self.uri} yet; wait for it")
            if wait > 0:
                self._closed.wait(wait)
        if self._closed.is_set() or (self.frames is not None and self._next >= self.frames):
            return Reading(Status.END)
        index, self._next = self._next, self._next + 1
        captured = time.perf_counter()
        image = self.draw(index)
        return Reading(Status.OK, Frame(index, index / self._fps, image, self.uri, self._stream, captured))

    def close(self) -> None:
        """See `Capture.close`."""
        self._closed.set()

    def draw(self, index: int) -> Image:
        """Return the picture of a frame, (H, W, 3) BGR uint8."""
        image = self._room.copy()
        time_s = self._time(index)
        for person in self._people:  # from the farthest
            draw_person(image, person, time_s)
        return image

    def truth(self, index: int) -> PoseFrame:
        """Return who is where in a frame, nearest first: ids 0, 1, ..., all scores 1, hidden joints too."""
        people = list(enumerate(self._people))[::-1]
        if not people:
            return PoseFrame.empty()
        time_s = self._time(index)
        keypoints = np.ones((len(people), 17, 3), np.float32)
        keypoints[..., :2] = [person.joints(time_s)[0] for _, person in people]
        boxes = np.array([person_box(person, time_s) for _, person in people], np.float32)
        limits = np.array([self.width, self.height] * 2, np.float32)
        return PoseFrame(
            np.clip(boxes, 0, limits),
            np.ones(len(people), np.float32),
            keypoints,
            np.array([number for number, _ in people], np.int64),
        )

    def _time(self, index: int) -> float:
        return (index % self._once if self._once else index) / self._fps


def _parse_query(query: str) -> dict[str, int]:
    values = dict(_DEFAULTS)
    for key, value in urllib.parse.parse_qsl(query, keep_blank_values=True):
        if key not in values:
            raise GcposeError(f"pattern:// has no {key!r}; choose {', '.join(values)}")
        low, high = _RANGES[key]
        if not value.isdecimal() or not low <= int(value) <= high:
            raise GcposeError(f"{key}={value} of pattern:// is out of range; choose a whole number {low} to {high}")
        values[key] = int(value)
    return values
