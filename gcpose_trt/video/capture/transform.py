"""What is made of a source's pictures before anyone sees them: another size, a turn, fewer of them."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np

from gcpose_trt.video.capture.uri import CaptureOptions
from gcpose_trt.video.frames import Frame, Image
from gcpose_trt.video.live_types import Capture, Reading, Status

_TURNS: dict[str, Callable[[Image], Image]] = {
    "horizontal": lambda image: image[:, ::-1],
    "vertical": lambda image: image[::-1],
    "rotate-90": lambda image: np.rot90(image, -1),
    "rotate-180": lambda image: image[::-1, ::-1],
    "rotate-270": lambda image: np.rot90(image),
}
# Of a frame's distance: a camera's frames do not come to the millisecond.
_EARLY = 0.25


class TransformedCapture:
    """Another capture's frames, scaled, then turned, and no more of them than asked for.

    Frames that are left out leave gaps in `Frame.index`.

    Args:
        inner: the capture; closed with this one.
        options: `size`, `flip` and `fps` are used.
    """

    def __init__(self, inner: Capture, options: CaptureOptions) -> None:
        self._inner, self._options = inner, options
        self.name, self.uri, self.kind, self.live = inner.name, inner.uri, inner.kind, inner.live
        self.path: Path | None = inner.path
        limited = options.fps is not None and inner.rate is not None and options.fps < inner.rate
        self.rate = options.fps if limited else inner.rate
        self.frames = None if limited else inner.frames
        self.warnings, self.reconnects = inner.warnings, inner.reconnects
        self._due: float | None = None

    def read(self, timeout: float) -> Reading:
        """See `Capture.read`."""
        deadline = time.monotonic() + timeout
        while True:
            reading = self._inner.read(max(0.0, deadline - time.monotonic()))
            self.reconnects = self._inner.reconnects
            if reading.frame is None:
                return reading
            if self._wanted(reading.frame):
                return Reading(Status.OK, self._made(reading.frame))
            if time.monotonic() >= deadline:
                return Reading(Status.TIMEOUT, message=f"no picture of {self.uri} yet; wait for it")

    def close(self) -> None:
        """See `Capture.close`."""
        self._inner.close()

    def _wanted(self, frame: Frame) -> bool:
        if self._options.fps is None or frame.time_s is None:
            return True
        step = 1.0 / self._options.fps
        if self._due is None:
            self._due = frame.time_s
        if frame.time_s < self._due - _EARLY * step:
            return False
        # From when it was due, so that the rate is met on average; after a gap, from now.
        late = frame.time_s > self._due + step
        self._due = (frame.time_s if late else self._due) + step
        return True

    def _made(self, frame: Frame) -> Frame:
        image = frame.image
        size, flip = self._options.size, self._options.flip
        if size is not None and image.shape[1::-1] != size:
            smaller = size[0] * size[1] < image.shape[0] * image.shape[1]
            how = cv2.INTER_AREA if smaller else cv2.INTER_LINEAR
            image = np.asarray(cv2.resize(image, size, interpolation=how), np.uint8)
        if flip != "none":
            image = np.ascontiguousarray(_TURNS[flip](image))
        return frame if image is frame.image else dataclasses.replace(frame, image=image)
