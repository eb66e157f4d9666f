"""Pipelines: through gst-launch-1.0 where it is installed, and the child processes behind it."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from gcpose_trt.errors import GcposeError
from gcpose_trt.video.capture import CaptureOptions, open_capture
from gcpose_trt.video.capture.feed import FeedCapture
from gcpose_trt.video.capture.gstreamer import OpenCvPipeline, open_pipeline, opencv_has_gstreamer, pipeline_of
from gcpose_trt.video.capture.opening import _ffmpeg
from gcpose_trt.video.capture.pipes import PipeDevice
from gcpose_trt.video.capture.uri import parse
from gcpose_trt.video.live_types import Status
from tests.video.capture.support import drain, picture, take, take_frame

needs_gstreamer = pytest.mark.skipif(
    shutil.which("gst-launch-1.0") is None, reason="gst-launch-1.0 is not installed: apt-get install gstreamer1.0-tools"
)


def gone(pid: int) -> bool:
    """Whether a child was ended and waited for."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    return False


@needs_gstreamer
@pytest.mark.parametrize("size", [(320, 240), (161, 121)])
def test_a_pipeline_through_the_program(size: tuple[int, int]) -> None:
    caps = f"video/x-raw,width={size[0]},height={size[1]},framerate=25/1"
    capture = open_capture(f"gst:videotestsrc is-live=true num-buffers=4 pattern=red ! {caps}", stream=1)
    frames, last = drain(capture)
    capture.close()
    assert (capture.kind, capture.live, capture.rate, capture.name) == ("stream", True, 25.0, "gst")
    assert last.status is Status.END and 2 <= len(frames) <= 4
    assert frames[0].image.shape == (size[1], size[0], 3) and frames[0].stream == 1
    assert np.abs(frames[0].image.reshape(-1, 3).mean(axis=0) - (0, 0, 255)).max() < 4


@needs_gstreamer
def test_the_process_ends_with_the_capture() -> None:
    capture = open_capture("gst:videotestsrc is-live=true", CaptureOptions(reconnect=False))
    assert isinstance(capture, FeedCapture) and isinstance(capture._device, PipeDevice)
    process = capture._device._process
    take_frame(capture)
    assert not gone(process.pid)
    capture.close()
    capture._thread.join(30)
    assert gone(process.pid)
    assert capture.read(1).status is Status.END


@needs_gstreamer
@pytest.mark.parametrize(
    ("pipeline", "message"),
    [
        ("nosuchsrc", 'no element "nosuchsrc"'),
        ("filesrc location=/nowhere ! decodebin", "Resource not found"),
        ("audiotestsrc num-buffers=1", "could not link"),
    ],
)
def test_pipelines_that_do_not_run(pipeline: str, message: str) -> None:
    with pytest.raises(GcposeError, match=message) as caught:
        open_capture(f"gst:{pipeline}")
    assert str(caught.value).endswith(f"; try it: gst-launch-1.0 {pipeline} ! fakesink")
    assert "\n" not in str(caught.value)


@needs_gstreamer
def test_compressed_pictures_are_decoded_when_asked() -> None:
    frames, last = drain(open_capture("gst:videotestsrc num-buffers=3 pattern=white ! jpegenc#codec=mjpg"))
    assert last.status is Status.END and frames[-1].image.mean() > 245


def test_pipelines_as_they_are_run() -> None:
    assert pipeline_of(parse("gst:a ! b")) == "a ! b"
    assert pipeline_of(parse("gst:a ! b ! appsink drop=true")) == "a ! b"
    assert pipeline_of(parse("gst:a ! b#codec=h264")) == "a ! b ! decodebin"
    csi = pipeline_of(parse("csi://1#size=1920x1080&fps=29.97"))
    assert csi.startswith("nvarguscamerasrc sensor-id=1 ! video/x-raw(memory:NVMM),width=1920,height=1080,")
    assert "framerate=29970/1000 ! nvvidconv ! " in csi
    assert "width=1280,height=720,framerate=30/1" in pipeline_of(parse("csi://0"))


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("  Video I/O:\n    GStreamer:                   YES (1.20.3)\n", True),
        ("  Video I/O:\n    GStreamer:                   NO\n    v4l/v4l2: YES\n", False),
        ("", False),
    ],
)
def test_what_opencv_was_built_with(text: str, answer: bool) -> None:
    assert opencv_has_gstreamer(text) is answer
    assert opencv_has_gstreamer() in (True, False)


def test_nothing_that_runs_pipelines() -> None:
    with pytest.raises(GcposeError, match="; install it: apt-get install gstreamer"):
        open_pipeline(parse("csi://0"), lambda: False, lambda name: None)
    with pytest.raises(GcposeError, match="check its quotes"):
        open_pipeline(parse("gst:a location='b"), lambda: False, lambda name: name)


def test_a_pipeline_inside_opencv() -> None:
    class Opened:
        pictures: list[Any]

        def __init__(self, pipeline: str, backend: int) -> None:
            assert pipeline.startswith("videotestsrc ! videoconvert ! ") and " ! appsink " in pipeline
            assert backend == cv2.CAP_GSTREAMER
            self.pictures, self.released = [picture(5), None], False

        def isOpened(self) -> bool:  # noqa: N802
            return True

        def get(self, _: int) -> float:
            return 30.0

        def read(self) -> tuple[bool, Any]:
            image = self.pictures.pop(0)
            return image is not None, image

        def release(self) -> None:
            self.released = True

    device = OpenCvPipeline("videotestsrc", "gst:videotestsrc", Opened)
    frames, last = drain(FeedCapture("gst", "gst:videotestsrc", lambda: device))
    assert len(frames) == 1 and last.status is Status.END
    assert device._capture.released

    class Refused(Opened):
        def isOpened(self) -> bool:  # noqa: N802
            return False

    with pytest.raises(GcposeError, match="try it: gst-launch") as caught:
        OpenCvPipeline(
            "videotestsrc",
            "gst:rtsp://u:geheim@h",
            lambda _, backend: Refused("videotestsrc ! videoconvert ! b ! appsink c", backend),
        )
    assert "\n" not in str(caught.value)


@pytest.fixture
def program(tmp_path: Path) -> Callable[[str], list[str]]:
    """Makes a command of some lines of Python."""

    def make(text: str) -> list[str]:
        path = tmp_path / "program.py"
        path.write_text(f"import os, sys, time\nout = sys.stdout.buffer\n{text}\n")
        return [sys.executable, "-S", "-E", str(path)]

    return make


FRAMES = "out.write(b'YUV4MPEG2 W8 H8 F30:1\\n' + (b'FRAME\\n' + bytes([128]) * 96) * 2); out.flush()\n"


def feed(command: list[str], timeout_s: float = 10.0) -> FeedCapture:
    return FeedCapture("pipe", "srt://camera", lambda: PipeDevice(command, "srt://camera", timeout_s), timeout_s)


def test_the_last_words_of_a_program_are_the_message(program: Callable[[str], list[str]]) -> None:
    words = "sys.stderr.write('first\\nlost   the camera at rtsp://u:geheim@h/\\n'); sys.exit(3)"
    frames, last = drain(feed(program(FRAMES + words)))
    assert len(frames) == 2
    assert (last.status, last.message) == (
        Status.ERROR,
        "lost srt://camera (lost the camera at rtsp://***@h/); check it",
    )
    with pytest.raises(GcposeError, match=r"ended at once \(lost the camera"):
        feed(program(words))


def test_a_program_that_says_nothing(program: Callable[[str], list[str]]) -> None:
    with pytest.raises(GcposeError, match=r"sent no picture for 0.5 s.*; check it"):
        feed(program("time.sleep(60)"), timeout_s=0.5)
    capture = feed(program(FRAMES + "time.sleep(60)"), timeout_s=2.0)
    device = capture._device
    assert isinstance(device, PipeDevice)
    assert take(capture, lambda reading: reading.status is Status.ERROR).message.startswith("srt://camera sent no")
    capture.close()
    capture._thread.join(30)
    assert gone(device._process.pid)


def test_a_program_that_does_not_want_to_end_is_killed(program: Callable[[str], list[str]]) -> None:
    stubborn = "import signal\nfor number in (2, 15): signal.signal(number, signal.SIG_IGN)\n"
    capture = feed(program(stubborn + FRAMES + "time.sleep(60)"))
    take_frame(capture)
    device = capture._device
    assert isinstance(device, PipeDevice)
    capture.close()
    capture._thread.join(30)
    assert gone(device._process.pid)


def test_garbage_from_a_program(program: Callable[[str], list[str]]) -> None:
    _, last = drain(feed(program(FRAMES + "out.write(os.urandom(5000))")))
    assert last.status is Status.ERROR and "not YUV4MPEG2" in last.message
    with pytest.raises(GcposeError, match="cannot start /nowhere/program"):
        feed(["/nowhere/program"])


@pytest.mark.skipif(shutil.which("ffmpeg") is None, reason="ffmpeg is not installed: apt-get install ffmpeg")
def test_ffmpeg_through_a_pipe() -> None:
    command = _ffmpeg("ffmpeg", "color=c=blue:size=62x46:rate=20:duration=0.2")
    command[command.index("-i") : command.index("-i")] = ["-f", "lavfi"]
    capture = feed(command, timeout_s=60.0)  # how fast a busy machine starts ffmpeg is not what is tested
    frames, last = drain(capture)
    assert last.status is Status.END and capture.rate == 20.0
    assert frames[-1].image.shape == (46, 62, 3)
    assert np.abs(frames[-1].image.reshape(-1, 3).mean(axis=0) - (255, 0, 0)).max() < 5
