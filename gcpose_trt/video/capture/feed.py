"""Sources that may block, read in a thread of their own so that nobody else waits for them."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from gcpose_trt.errors import GcposeError
from gcpose_trt.video.frames import Frame, Image
from gcpose_trt.video.live_types import Reading, Status

_AHEAD = 2  # frames kept for a reader who is late; more would only make a live picture old
_FAREWELL_S = 1.0  # how long closing waits for the thread
_WARNINGS = 20  # a stream that runs for days must not collect them without end


@dataclass(frozen=True)
class Grabbed:
    """A picture as it came.

    Attributes:
        image: (H, W, 3) BGR uint8.
        captured: `time.perf_counter()` when its data came.
        time_s: where it belongs in the source; None: when it came says that.
    """

    image: Image
    captured: float
    time_s: float | None = None


class Device(Protocol):
    """Something open that yields pictures, and may block while it does.

    Attributes:
        kind, live, frames, rate: as those of a `Capture`.
        warnings: see `note`.
    """

    kind: str
    live: bool
    frames: int | None
    rate: float | None
    warnings: list[str]

    def grab(self) -> Grabbed | None:
        """Return the next picture, None at the end; GcposeError where there is none. From the thread that opened."""
        ...

    def interrupt(self) -> None:
        """Make a `grab` under way end soon, where that can be done. From any thread."""
        ...

    def release(self) -> None:
        """Free it. From the thread that opened."""
        ...


class HungError(GcposeError):
    """A device's driver neither opens nor refuses; the thread that asked it still waits."""

    def __init__(self, message: str, thread: threading.Thread) -> None:
        super().__init__(message)
        self._thread = thread

    @property
    def released(self) -> bool:
        """Whether the thread has ended after all."""
        return not self._thread.is_alive()


class FeedCapture:
    """A device's frames, as a `Capture`. The newest frames win where the device is live.

    Args:
        name, uri: see `Capture`.
        open_device: opens the device; runs in the thread, may block.
        timeout_s: how long opening may take, and how long no frame may come before the device counts as dead.
        stream: see `Frame`.

    Raises:
        GcposeError: it cannot be opened.
        HungError: it does not answer in time.
    """

    path: Path | None = None

    def __init__(
        self, name: str, uri: str, open_device: Callable[[], Device], timeout_s: float = 5.0, stream: int = 0
    ) -> None:
        self.name, self.uri, self.reconnects = name, uri, 0
        self._stream, self._timeout_s = stream, timeout_s
        self._changed = threading.Condition()
        self._frames: deque[Frame] = deque()
        self._device: Device | None = None
        self._last: Reading | None = None
        self._closed = False
        self._thread = threading.Thread(target=self._work, args=(open_device,), name=f"capture {name}", daemon=True)
        self._thread.start()
        try:
            device = self._wait_until_open()
        except BaseException:  # also Ctrl-C, after which nobody else could stop the thread
            self.close()
            raise
        self.kind, self.live = device.kind, device.live
        self.frames, self.rate = device.frames, device.rate
        self.warnings: list[str] = device.warnings

    @property
    def released(self) -> bool:
        """Whether the thread has ended, and the device is free again."""
        return not self._thread.is_alive()

    def read(self, timeout: float) -> Reading:
        """See `Capture.read`. A device that was silent for `timeout_s` is an ERROR."""
        with self._changed:
            self._changed.wait_for(lambda: self._frames or self._last or self._closed, timeout)
            if self._closed:
                return Reading(Status.END)
            if self._frames:
                self._heard = time.monotonic()
                frame = self._frames.popleft()
                self._changed.notify_all()
                return Reading(Status.OK, frame)
            if self._last is None and time.monotonic() - self._heard > self._timeout_s:
                message = f"{self.uri} sent no picture for {self._timeout_s:g} s; check it and its connection"
                self._last = Reading(Status.ERROR, message=message)
            return self._last or Reading(Status.TIMEOUT, message=f"no picture of {self.uri} yet; wait for it")

    def close(self) -> None:
        """See `Capture.close`."""
        with self._changed:
            self._closed = True
            self._frames.clear()
            self._changed.notify_all()
            device = self._device
        if device is not None:
            device.interrupt()
        if threading.current_thread() is not self._thread:
            self._thread.join(_FAREWELL_S)

    def _wait_until_open(self) -> Device:
        # A little longer than the device's own time limit, whose message says more.
        with self._changed:
            ready = self._changed.wait_for(lambda: self._device or self._last, self._timeout_s + 1.0)
            self._heard = time.monotonic()
            if self._device is None:
                self._closed = True
                late = f"{self.uri} did not answer within {self._timeout_s:g} s; check it and its connection"
                if ready and self._last:
                    raise GcposeError(self._last.message)
                raise HungError(late, self._thread)
            return self._device

    def _work(self, open_device: Callable[[], Device]) -> None:
        device = None
        try:
            device = open_device()
            with self._changed:
                self._device = device
                self._changed.notify_all()
            last = self._pump(device)
        except GcposeError as error:
            last = Reading(Status.ERROR, message=str(error))
        except Exception as error:  # a library's fault in this thread must reach the reader, not only stderr
            detail = " ".join(f"{type(error).__name__}: {error}".split())
            last = Reading(Status.ERROR, message=f"{self.uri} failed ({detail}); check it and try again")
        if device is not None:
            device.release()
        with self._changed:
            self._last = self._last or last
            self._changed.notify_all()

    def _pump(self, device: Device) -> Reading:
        start: float | None = None
        index = 0
        while not self._closed:
            grabbed = device.grab()
            if grabbed is None:
                break
            start = grabbed.captured if start is None else start
            time_s = grabbed.captured - start if grabbed.time_s is None else grabbed.time_s
            self._put(Frame(index, time_s, grabbed.image, self.uri, self._stream, grabbed.captured), device.live)
            index += 1
        return Reading(Status.END)

    def _put(self, frame: Frame, live: bool) -> None:
        with self._changed:
            if live and len(self._frames) >= _AHEAD:
                self._frames.popleft()
            self._changed.wait_for(lambda: len(self._frames) < _AHEAD or self._closed)
            if not self._closed:
                self._frames.append(frame)
                self._changed.notify_all()


def note(warnings: list[str], message: str) -> None:
    """Add a warning that is not there yet, unless there are very many."""
    if message not in warnings and len(warnings) < _WARNINGS:
        warnings.append(message)
