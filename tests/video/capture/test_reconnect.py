"""Losses and returns, by a clock that the test turns."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable

import pytest

from gcpose_trt.errors import GcposeError
from gcpose_trt.video.capture.feed import HungError
from gcpose_trt.video.capture.reconnect import LONGEST_WAIT_S, ReconnectingCapture
from gcpose_trt.video.frames import Frame
from gcpose_trt.video.live_types import Reading, Status
from tests.video.capture.support import picture, take

LOST = Reading(Status.ERROR, message="street is gone; check it")


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


class Camera:
    """Gives what it is told, then is lost."""

    name, uri, kind, path, live, frames, rate = "street", "rtsp://street", "stream", None, True, None, 30.0
    reconnects = 0

    def __init__(self, *readings: Reading | int) -> None:
        self.warnings: list[str] = []
        self.closed = False
        self.released = True
        self._left = [self._frame(item) if isinstance(item, int) else item for item in readings]

    def _frame(self, index: int) -> Reading:
        return Reading(Status.OK, Frame(index, index / 10, picture(1), self.uri))

    def read(self, timeout: float) -> Reading:
        return self._left.pop(0) if self._left else LOST

    def close(self) -> None:
        self.closed = True


class Factory:
    """Opens cameras in turn; a text is an error."""

    def __init__(self, *cameras: Camera | str) -> None:
        self._left = list(cameras)
        self.opened = 0

    def __call__(self) -> Camera:
        self.opened += 1
        camera = self._left.pop(0) if self._left else "refused; check the address"
        if isinstance(camera, str):
            raise GcposeError(camera)
        return camera


def make(factory: Callable[[], Camera], clock: Clock, **options: bool) -> ReconnectingCapture:
    return ReconnectingCapture(factory, clock=clock, generator=random.Random(1), **options)


def test_the_first_failure_is_raised() -> None:
    with pytest.raises(GcposeError, match="refused"):
        make(Factory(), Clock())


def test_lost_and_found() -> None:
    clock, first = Clock(), Camera(0, 1, 4)
    first.warnings.append("damaged")
    factory = Factory(first, Camera(0, 1))
    capture = make(factory, clock)
    before = [take(capture).frame for _ in range(3)]
    lost = capture.read(0)
    assert lost.status is Status.TIMEOUT and first.closed
    assert lost.message.startswith("street is gone; check it; reconnecting in 0.")
    assert capture.read(0).status is Status.TIMEOUT and factory.opened == 1
    clock.now += 0.6
    after = [take(capture).frame for _ in range(2)]
    assert [frame.index for frame in before + after if frame] == [0, 1, 4, 5, 6]
    assert [frame.time_s for frame in before + after if frame] == pytest.approx([0, 0.1, 0.4, 1.0, 1.1])
    assert (capture.reconnects, factory.opened, capture.warnings) == (1, 2, ["damaged"])
    capture.close()


def fail_once(capture: ReconnectingCapture, clock: Clock) -> float:
    """Turn the clock to the next attempt and let it fail; return how long the wait was."""
    wait = capture._due - clock.now
    clock.now = capture._due
    assert "refused" in take(capture, lambda reading: "refused" in reading.message and capture._due > clock.now).message
    return wait


def test_waits_grow_and_a_frame_resets_them() -> None:
    clock = Clock()
    factory = Factory(Camera(0), *["refused; check the address"] * 7, Camera(0))
    capture = make(factory, clock)
    take(capture)
    capture.read(0)
    waits = [fail_once(capture, clock) for _ in range(7)]
    for wait, longest in zip(waits, [0.5, 1, 2, 4, 8, LONGEST_WAIT_S, LONGEST_WAIT_S], strict=True):
        assert 0.8 * longest <= wait <= longest
    clock.now = capture._due
    assert take(capture).frame is not None
    assert capture.read(0).status is Status.TIMEOUT
    assert capture._due - clock.now <= 0.5


def test_a_stream_that_opens_but_never_shows_anything_is_left_in_peace() -> None:
    clock = Clock()
    capture = make(Factory(Camera(0), Camera(), Camera()), clock)
    take(capture)
    capture.read(0)
    for longest in (1.0, 2.0):
        clock.now = capture._due
        take(capture, lambda reading: "reconnecting" in reading.message and capture._due > clock.now)
        assert 0.8 * longest <= capture._due - clock.now <= longest


@pytest.mark.parametrize("end_is_loss", [True, False])
def test_an_end_is_a_loss_or_an_end(end_is_loss: bool) -> None:
    capture = make(Factory(Camera(0, Reading(Status.END))), Clock(), end_is_loss=end_is_loss)
    take(capture)
    reading = capture.read(0)
    assert reading.status is (Status.TIMEOUT if end_is_loss else Status.END)
    if end_is_loss:
        assert reading.message.startswith("rtsp://street ended; reconnecting")


def test_a_timeout_is_not_a_loss() -> None:
    capture = make(Factory(Camera(Reading(Status.TIMEOUT, message="wait"), 0)), Clock())
    assert capture.read(0).message == "wait"
    assert capture.read(0).status is Status.OK


def test_a_device_that_hangs_is_not_opened_twice() -> None:
    clock, hung = Clock(), Camera(0)
    hung.released = False
    factory = Factory(hung, Camera(0))
    capture = make(factory, clock)
    take(capture)
    capture.read(0)
    clock.now += 60
    assert [capture.read(0.01).status for _ in range(3)] == [Status.TIMEOUT] * 3
    assert factory.opened == 1
    hung.released = True
    assert take(capture).frame is not None


def test_a_driver_that_hangs_while_opening_is_asked_only_once() -> None:
    clock, may_end = Clock(), threading.Event()
    thread = threading.Thread(target=may_end.wait, args=(30,))
    thread.start()
    cameras, hung = Factory(Camera(0), Camera(0)), []

    def factory() -> Camera:
        if cameras.opened == 1 and not hung:
            hung.append(1)
            raise HungError("camera did not answer; check it", thread)
        return cameras()

    capture = make(factory, clock)
    take(capture)
    capture.read(0)
    clock.now += 1
    take(capture, lambda reading: "did not answer" in reading.message)
    clock.now += 60
    assert [capture.read(0.01).status for _ in range(3)] == [Status.TIMEOUT] * 3
    assert cameras.opened == 1
    may_end.set()
    thread.join(30)
    assert take(capture).frame is not None


def test_a_slow_attempt_does_not_hold_up_the_reader_nor_closing() -> None:
    clock, may_open = Clock(), threading.Event()
    second = Camera(0)
    cameras = Factory(Camera(0), second)

    def factory() -> Camera:
        if cameras.opened:
            assert may_open.wait(30)
        return cameras()

    capture = make(factory, clock)
    take(capture)
    capture.read(0)
    clock.now += 1
    assert "reconnecting" in capture.read(0.01).message
    assert "reconnecting" in capture.read(0.01).message
    attempt = capture._attempt
    assert attempt is not None
    threading.Timer(0.05, capture.close).start()
    assert capture.read(60).status is Status.END
    may_open.set()
    attempt.join(30)
    assert second.closed  # what came too late is not left open


def test_a_factory_that_breaks_is_tried_again() -> None:
    clock, calls = Clock(), []

    def factory() -> Camera:
        calls.append(1)
        if len(calls) == 2:
            raise RuntimeError("two\nlines")
        return Camera(0)

    capture = make(factory, clock)
    take(capture)
    capture.read(0)
    clock.now += 1
    assert "(RuntimeError: two lines)" in take(capture, lambda reading: "RuntimeError" in reading.message).message
    clock.now += 2
    assert take(capture).frame is not None
