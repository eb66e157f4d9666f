"""A live source that comes back after it was lost."""

from __future__ import annotations

import dataclasses
import random
import threading
import time
from collections.abc import Callable

from gcpose_trt.errors import GcposeError
from gcpose_trt.video.capture.feed import HungError, note
from gcpose_trt.video.frames import Frame
from gcpose_trt.video.live_types import Capture, Reading, Status

FIRST_WAIT_S = 0.5
LONGEST_WAIT_S = 15.0
_JITTER = 0.2  # many clients of a camera that starts again must not all come at once


class ReconnectingCapture:
    """A live capture, opened again after each loss, with waits that grow from 0.5 s to 15 s until a frame comes.

    The first connection is made at once, and its failure is raised: a wrong address should end the program. Later
    losses are TIMEOUT readings that say what happens. `Frame.index` and `Frame.time_s` go on rising.

    Args:
        factory: opens the capture; may block.
        end_is_loss: whether the END of what the factory opened is a loss, as of a stream that has no end of its own.
        clock: seconds that only rise.
        generator: random numbers for the jitter.

    Raises:
        GcposeError: the first connection fails.
    """

    def __init__(
        self,
        factory: Callable[[], Capture],
        end_is_loss: bool = True,
        clock: Callable[[], float] = time.monotonic,
        generator: random.Random | None = None,
    ) -> None:
        self._factory, self._end_is_loss, self._clock = factory, end_is_loss, clock
        self._random = generator or random.Random()
        self._changed = threading.Condition()
        self._inner: Capture | None = factory()
        first = self._inner
        self.name, self.uri, self.kind, self.live = first.name, first.uri, first.kind, first.live
        self.path, self.frames, self.rate = first.path, first.frames, first.rate
        self.warnings = list(first.warnings)
        self.reconnects = 0
        self._old: Capture | HungError | None = None
        self._attempt: threading.Thread | None = None
        self._closed = False
        self._wait_s, self._due = FIRST_WAIT_S, 0.0
        self._why = ""
        self._index, self._time_s, self._start_s = 0, 0.0, 0.0
        self._first_of_connection, self._lost_at_s = 0, 0.0

    def read(self, timeout: float) -> Reading:
        """See `Capture.read`."""
        deadline = self._clock() + timeout
        while True:
            with self._changed:
                inner = None if self._closed else self._inner
                if inner is None:
                    reading = self._await_connection(max(0.0, deadline - self._clock()))
                    if reading is not None:
                        return reading
                    continue
            reading = inner.read(max(0.0, deadline - self._clock()))
            lost = reading.status is Status.ERROR or (reading.status is Status.END and self._end_is_loss)
            for warning in inner.warnings:
                note(self.warnings, warning)
            if self._closed or not lost:
                return self._passed(reading)
            return self._lose(inner, reading.message)

    def close(self) -> None:
        """See `Capture.close`."""
        with self._changed:
            self._closed = True
            inner = self._inner
            self._changed.notify_all()
        if inner is not None:
            inner.close()

    def _passed(self, reading: Reading) -> Reading:
        if self._closed:
            return Reading(Status.END)
        if reading.frame is None:
            return reading
        self._wait_s = FIRST_WAIT_S
        return dataclasses.replace(reading, frame=self._renumbered(reading.frame))

    def _renumbered(self, frame: Frame) -> Frame:
        if frame.time_s is not None:
            self._time_s = self._start_s + frame.time_s
        self._index = self._first_of_connection + frame.index + 1
        return dataclasses.replace(frame, index=self._index - 1, time_s=None if frame.time_s is None else self._time_s)

    def _lose(self, inner: Capture, message: str) -> Reading:
        inner.close()
        with self._changed:
            self._old, self._inner = inner, None
            self._why = message or f"{self.uri} ended"
            self._lost_at_s = self._clock()
            self._schedule()
            return self._state()

    def _schedule(self) -> None:
        wait = self._wait_s * self._random.uniform(1.0 - _JITTER, 1.0)
        self._due = self._clock() + wait
        self._wait_s = min(2 * self._wait_s, LONGEST_WAIT_S)

    def _state(self) -> Reading:
        wait = self._due - self._clock()
        when = "now" if wait < 0.05 else f"in {wait:.1f} s"
        return Reading(Status.TIMEOUT, message=f"{self._why}; reconnecting {when}")

    def _await_connection(self, timeout: float) -> Reading | None:
        """Wait with the lock held; None when there is a connection to read from, or something to start."""
        if self._closed:
            return Reading(Status.END)
        wait = self._due - self._clock()
        if self._attempt is None and wait <= 0 and self._is_released():
            self._attempt = threading.Thread(target=self._connect, name=f"reconnect {self.name}", daemon=True)
            self._attempt.start()
        before = self._attempt
        span = timeout if before is not None else min(timeout, max(wait, 0.05))
        self._changed.wait_for(lambda: self._closed or self._attempt is not before, span)
        if self._closed:
            return Reading(Status.END)
        if self._inner is not None:
            return None
        failed = before is not None and self._attempt is None
        return self._state() if failed or span >= timeout else None

    def _is_released(self) -> bool:
        # A driver that hangs keeps its thread, and the device: a new one each time would pile up.
        return bool(getattr(self._old, "released", True))

    def _connect(self) -> None:
        inner, why = None, ""
        hung: HungError | None = None
        try:
            inner = self._factory()
        except GcposeError as error:
            why, hung = str(error), error if isinstance(error, HungError) else None
        except Exception as error:  # the reader would wait for ever
            why = " ".join(f"{self.uri} failed ({type(error).__name__}: {error})".split())
        with self._changed:
            self._attempt = None
            if inner is None:
                self._why, self._old = why, hung
                self._schedule()
            elif not self._closed:
                self._inner, self._old, inner = inner, None, None
                self.reconnects += 1
                self._first_of_connection = self._index
                self._start_s = self._time_s + (self._clock() - self._lost_at_s)
            self._changed.notify_all()
        if inner is not None:
            inner.close()
