"""Streams over HTTP and RTSP from servers on this machine: good ones, and all that goes wrong."""

from __future__ import annotations

import itertools
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from gcpose_trt.errors import GcposeError
from gcpose_trt.video.capture import CaptureOptions, open_capture
from gcpose_trt.video.live_types import Status
from tests.support.clips import make_clip
from tests.video.capture.support import (
    MjpegServer,
    RtspServer,
    drain,
    jpeg,
    picture,
    take,
    take_frame,
    transport_stream,
)

ONCE = CaptureOptions(reconnect=False, timeout_s=10)


@pytest.fixture
def hold() -> Iterator[threading.Event]:
    """What a server waits for that has nothing more to send."""
    event = threading.Event()
    yield event
    event.set()


def endless(hold: threading.Event, first: int = 0):  # type: ignore[no-untyped-def]
    def play(send) -> None:  # type: ignore[no-untyped-def]
        for number in itertools.count(first):
            send(picture(10 + number % 20 * 10))
            if hold.wait(0.01):
                return

    return play


def test_http_mjpeg(hold: threading.Event) -> None:
    with MjpegServer(endless(hold)) as server:
        capture = open_capture(server.address, ONCE, stream=3)
        frames = [take_frame(capture) for _ in range(5)]
        capture.close()
    assert (capture.kind, capture.live, capture.name, capture.frames) == ("stream", True, "127.0.0.1", None)
    assert frames[0].image.shape == (48, 64, 3)
    assert all(np.ptp(frame.image) <= 3 for frame in frames)
    assert (np.diff([frame.index for frame in frames]) > 0).all()
    assert (np.diff([frame.time_s or 0 for frame in frames]) > 0).all()
    assert (np.diff([frame.captured or 0 for frame in frames]) > 0).all()
    assert {frame.stream for frame in frames} == {3}


def test_a_late_reader_gets_the_newest(hold: threading.Event) -> None:
    sent = threading.Event()

    def play(send) -> None:  # type: ignore[no-untyped-def]
        for number in range(30):
            send(picture(8 * number))
        sent.set()
        for _ in range(3):  # what pushes the last through the decoder's own buffers
            send(picture(240))
        hold.wait()

    with MjpegServer(play) as server:
        capture = open_capture(server.address, ONCE)
        assert sent.wait(30)
        take(capture, lambda reading: reading.frame is not None and reading.frame.image.mean() > 230)
        frame = take(capture, lambda reading: reading.frame is not None).frame
        assert frame is not None and frame.index > 20
        capture.close()


def test_frames_change_size_in_mid_stream(hold: threading.Event) -> None:
    def play(send) -> None:  # type: ignore[no-untyped-def]
        for size in itertools.cycle([(64, 48)] * 3 + [(96, 80)] * 3):
            send(picture(100, *size))
            if hold.wait(0.01):
                return

    with MjpegServer(play) as server:
        capture = open_capture(server.address, ONCE)
        for shape in ((80, 96, 3), (48, 64, 3), (80, 96, 3)):
            reading = take(capture, lambda reading: reading.frame is not None and reading.frame.image.shape == shape)  # noqa: B023
            assert reading.frame is not None and abs(float(reading.frame.image.mean()) - 100) < 3
        capture.close()


def test_damaged_pictures_are_noted(hold: threading.Event) -> None:
    def play(send) -> None:  # type: ignore[no-untyped-def]
        random = np.random.default_rng(0)
        for number in itertools.count():
            send(random.bytes(500) if number % 3 == 2 else picture(120))
            if hold.wait(0.01):
                return

    with MjpegServer(play) as server:
        capture = open_capture(server.address, ONCE)
        for _ in range(6):
            take_frame(capture)
        take(capture, lambda reading: bool(capture.warnings))
        capture.close()
    assert len(capture.warnings) < 5
    assert "damaged" in capture.warnings[0] and "\n" not in capture.warnings[0]


def test_only_garbage_is_refused_or_an_error() -> None:
    def play(send) -> None:  # type: ignore[no-untyped-def]
        random = np.random.default_rng(0)
        for _ in range(300):
            send(random.bytes(800))

    with MjpegServer(play) as server, pytest.raises(GcposeError, match=r"; check"):
        capture = open_capture(server.address, ONCE)
        reading = take(capture, lambda reading: reading.status is not Status.TIMEOUT)
        assert reading.status in (Status.ERROR, Status.END)
        raise GcposeError(reading.message or "ended; check")


def test_a_stream_that_falls_silent_is_an_error(hold: threading.Event) -> None:
    def play(send) -> None:  # type: ignore[no-untyped-def]
        for _ in range(20):
            send(picture(50))
        hold.wait()

    with MjpegServer(play) as server:
        capture = open_capture(server.address, CaptureOptions(reconnect=False, timeout_s=0.5))
        reading = take(capture, lambda reading: reading.status is Status.ERROR)
        assert capture.read(0.1) == reading
        capture.close()
    assert "0.5 s" in reading.message and "; check" in reading.message and "\n" not in reading.message


def test_an_image_on_a_web_server(hold: threading.Event) -> None:
    with MjpegServer(endless(hold)) as server:
        server.files["/still.jpg"] = ("image/jpeg", jpeg(picture(77)))
        capture = open_capture(f"http://127.0.0.1:{server.port}/still.jpg")
        frames, last = drain(capture)
        capture.close()
    assert (capture.kind, capture.live, capture.rate) == ("image", False, None)
    assert len(frames) == 1 and last.status is Status.END
    assert abs(float(frames[0].image.mean()) - 77) < 2


def test_a_clip_on_a_web_server_is_a_file(tmp_path: Path, hold: threading.Event) -> None:
    clip = make_clip(tmp_path / "clip.mkv", [picture(10 * number) for number in range(20)])
    with MjpegServer(endless(hold)) as server:
        server.files["/clip.mkv"] = ("video/x-matroska", clip.read_bytes())
        capture = open_capture(f"http://127.0.0.1:{server.port}/clip.mkv")
        frames, last = drain(capture)
        capture.close()
    assert (capture.kind, capture.live, last.status) == ("video", False, Status.END)
    np.testing.assert_allclose([frame.image.mean() for frame in frames], 10 * np.arange(20), atol=4)
    np.testing.assert_allclose([frame.time_s or 0 for frame in frames], np.arange(20) / 10, atol=2e-3)


def test_a_stream_is_cut_and_returns(hold: threading.Event) -> None:
    cut = threading.Event()

    def play(send) -> None:  # type: ignore[no-untyped-def]
        while not cut.wait(0.01):
            send(picture(90))
        cut.clear()

    with MjpegServer(play) as server:
        capture = open_capture(server.address)
        before = take_frame(capture)
        cut.set()
        lost = take(capture, lambda reading: "reconnecting" in reading.message)
        assert lost.status is Status.TIMEOUT
        after = take_frame(capture)
        cut.set()
        capture.close()
    assert (capture.reconnects, server.connections) == (1, 2)
    assert after.index > before.index
    assert (after.time_s or 0) > (before.time_s or 0)


def test_rtsp_over_tcp() -> None:
    with RtspServer(transport_stream([picture(60)] * 60)) as server:
        capture = open_capture(server.address, ONCE)
        frames = [take_frame(capture) for _ in range(3)]
        capture.close()
    assert "TCP" in server.transports[0]
    assert abs(float(frames[0].image.mean()) - 60) < 4
    assert (capture.name, capture.live) == ("127.0.0.1", True)
    assert "geheim" not in capture.uri + frames[0].source + capture.name
    assert capture.uri.endswith("/street")


@pytest.mark.parametrize("scheme", ["rtsp", "http"])
def test_refused_and_silent_machines(scheme: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as mute:
        port = mute.getsockname()[1]
        with pytest.raises(GcposeError, match=r"no answer within 0.3 s; check") as caught:
            open_capture(f"{scheme}://user:geheim@127.0.0.1:{port}/x#timeout=0.3")
        assert "geheim" not in str(caught.value)
    with pytest.raises(GcposeError, match=r"[Rr]efused; check") as caught:
        open_capture(f"{scheme}://user:geheim@127.0.0.1:{port}/x")
    assert "geheim" not in str(caught.value) and "\n" not in str(caught.value)


def test_what_is_not_there(hold: threading.Event) -> None:
    with MjpegServer(endless(hold)) as server, pytest.raises(GcposeError, match="404"):
        open_capture(f"http://127.0.0.1:{server.port}/other")
    with pytest.raises(GcposeError, match=r"camera\.invalid is not known"):
        open_capture("rtsp://camera.invalid/street")


def test_closing_ends_a_read_under_way(hold: threading.Event) -> None:
    def play(send) -> None:  # type: ignore[no-untyped-def]
        for _ in range(20):
            send(picture(50))
        hold.wait()

    with MjpegServer(play) as server:
        capture = open_capture(server.address, CaptureOptions(timeout_s=30))
        while capture.read(0.3).frame is not None:
            pass
        threading.Timer(0.1, capture.close).start()
        assert capture.read(60).status is Status.END
        capture.close()
