"""The thread that reads what may block."""

from __future__ import annotations

import threading

import pytest

from gcpose_trt.errors import GcposeError
from gcpose_trt.video.capture.feed import FeedCapture, Grabbed, HungError, note
from gcpose_trt.video.live_types import Status
from tests.video.capture.support import drain, picture, take


class Device:
    """Yields what it has, then blocks, ends or breaks."""

    kind, frames, rate = "camera", None, 30.0

    def __init__(self, count: int, then: Exception | None = None, hold: threading.Event | None = None, live=True):  # type: ignore[no-untyped-def]
        self.warnings: list[str] = []
        self.live, self.interrupted, self.freed = live, threading.Event(), threading.Event()
        self._count, self._then, self._hold, self.given = count, then, hold, 0

    def grab(self) -> Grabbed | None:
        if self.given < self._count:
            self.given += 1
            return Grabbed(picture(self.given), self.given / 30)
        if self._hold is not None:
            self._hold.wait(30)
        if self._then is not None:
            raise self._then
        return None

    def interrupt(self) -> None:
        self.interrupted.set()
        if self._hold is not None:
            self._hold.set()

    def release(self) -> None:
        self.freed.set()


def feed(device: Device, timeout_s: float = 5.0) -> FeedCapture:
    return FeedCapture("camera", "v4l2:///dev/video0", lambda: device, timeout_s)


def test_a_device_that_is_not_live_loses_nothing() -> None:
    device = Device(20, live=False)
    frames, last = drain(feed(device))
    assert [frame.index for frame in frames] == list(range(20))
    assert frames[3].time_s == pytest.approx(0.1) and last.status is Status.END
    assert device.freed.wait(30)


def test_a_live_device_is_not_waited_for() -> None:
    hold = threading.Event()
    device = Device(20, hold=hold)
    capture = feed(device)
    while device.given < 20:
        pass
    hold.set()
    assert device.freed.wait(30)
    frames, last = drain(capture)
    assert [frame.index for frame in frames] == [18, 19] and last.status is Status.END


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (GcposeError("gone; plug it in"), "gone; plug it in"),
        (ValueError("a\nb"), "v4l2:///dev/video0 failed (ValueError: a b); check it and try again"),
    ],
)
def test_what_breaks_is_an_error_reading(error: Exception, message: str) -> None:
    device = Device(1, error, live=False)
    frames, last = drain(feed(device))
    assert len(frames) == 1
    assert (last.status, last.message) == (Status.ERROR, message)
    assert device.freed.wait(30)


def test_a_silent_device_times_out_then_counts_as_dead() -> None:
    hold = threading.Event()
    capture = feed(Device(0, hold=hold), timeout_s=0.2)
    assert capture.read(0.01).status is Status.TIMEOUT
    reading = take(capture, lambda reading: reading.status is Status.ERROR)
    assert reading.message == "v4l2:///dev/video0 sent no picture for 0.2 s; check it and its connection"
    assert not capture.released
    hold.set()
    capture.close()
    capture._thread.join(30)
    assert capture.released


def test_closing_ends_a_read_and_interrupts_the_device() -> None:
    device = Device(0, hold=threading.Event())
    capture = feed(device)
    threading.Timer(0.05, capture.close).start()
    assert capture.read(60).status is Status.END
    assert device.interrupted.wait(30) and device.freed.wait(30)
    capture.close()


def test_opening_that_fails_or_hangs() -> None:
    def refuse() -> Device:
        raise GcposeError("no camera; choose one")

    with pytest.raises(GcposeError, match="no camera; choose one"):
        FeedCapture("camera", "0", refuse)
    may_open, device = threading.Event(), Device(5)

    def hang() -> Device:
        may_open.wait(30)
        return device

    with pytest.raises(HungError, match=r"did not answer within 0\.1 s; check") as caught:
        FeedCapture("camera", "0", hang, timeout_s=0.1)
    assert not caught.value.released
    may_open.set()
    assert device.freed.wait(30)  # what opens too late is not left open
    caught.value._thread.join(30)
    assert caught.value.released


def test_warnings_do_not_pile_up() -> None:
    warnings: list[str] = []
    for number in range(100):
        note(warnings, "same")
        note(warnings, f"other {number}")
    assert warnings[0] == "same" and len(warnings) == 20
