"""Webcams, with a stand-in for OpenCV's device: what is asked of it, and what is said when it fails."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from gcpose_trt.errors import GcposeError
from gcpose_trt.video.capture import open_capture
from gcpose_trt.video.capture.camera import open_camera
from gcpose_trt.video.capture.feed import FeedCapture
from gcpose_trt.video.capture.uri import parse
from gcpose_trt.video.live_types import Status
from tests.video.capture.support import drain, picture


class Webcam:
    """As cv2.VideoCapture: gives `pictures`; None among them is a failed read."""

    def __init__(self, pictures: list[np.ndarray | None], opens: bool = True, codecs: bool = True) -> None:
        self.pictures, self.opens, self.codecs = list(pictures), opens, codecs
        self.asked: list[tuple[int, float]] = []
        self.released = False

    def __call__(self, device: str, backend: int) -> Webcam:
        self.device = device
        assert backend == cv2.CAP_V4L2
        return self

    def isOpened(self) -> bool:  # noqa: N802
        return self.opens

    def set(self, key: int, value: float) -> bool:
        self.asked.append((key, value))
        return self.codecs or key != cv2.CAP_PROP_FOURCC

    def get(self, key: int) -> float:
        return 24.0 if key == cv2.CAP_PROP_FPS else 0.0

    def read(self) -> tuple[bool, Any]:
        image = self.pictures.pop(0) if self.pictures else None
        return image is not None, image

    def release(self) -> None:
        self.released = True


@pytest.fixture
def node(tmp_path: Path) -> Path:
    """What stands for /dev/video0."""
    path = tmp_path / "video0"
    path.touch()
    return path


def asked(webcam: Webcam, key: int) -> list[float]:
    return [value for name, value in webcam.asked if name == key]


def test_frames_of_a_camera(node: Path) -> None:
    webcam = Webcam([picture(10), None, None, picture(20), picture(30)])
    address = parse(f"v4l2://{node}#size=320x240&fps=15&codec=yuyv")
    capture = FeedCapture(address.name, address.shown, lambda: open_camera(address, open_capture=webcam))
    frames, last = drain(capture)
    assert (capture.kind, capture.live, capture.rate, capture.name) == ("camera", True, 24.0, "video0")
    # A reader who was late got the newest two.
    assert frames[-1].image.mean() == 30 and frames[-1].index == 2
    assert last.status is Status.ERROR and last.message.startswith(f"{node} gives no pictures; plug it in again")
    assert webcam.device == str(node)
    keys = [key for key, _ in webcam.asked]
    assert keys.index(cv2.CAP_PROP_FOURCC) < keys.index(cv2.CAP_PROP_FRAME_WIDTH)
    assert asked(webcam, cv2.CAP_PROP_FOURCC) == [int.from_bytes(b"YUYV", "little")]
    assert asked(webcam, cv2.CAP_PROP_FRAME_WIDTH) == [320] and asked(webcam, cv2.CAP_PROP_FRAME_HEIGHT) == [240]
    assert asked(webcam, cv2.CAP_PROP_FPS) == [15]


@pytest.mark.parametrize(("size", "codecs"), [("640x480", []), ("1280x720", [int.from_bytes(b"MJPG", "little")])])
def test_large_pictures_come_compressed(node: Path, size: str, codecs: list[int]) -> None:
    webcam = Webcam([])
    open_camera(parse(f"v4l2://{node}#size={size}"), open_capture=webcam)
    assert asked(webcam, cv2.CAP_PROP_FOURCC) == codecs


def test_a_codec_that_the_camera_lacks_is_a_warning(node: Path) -> None:
    device = open_camera(parse(f"v4l2://{node}#codec=mjpg"), open_capture=Webcam([], codecs=False))
    assert device.warnings == [f"{node} has no mjpg; its own format is used"]


def test_unplugged(node: Path) -> None:
    device = open_camera(parse(f"v4l2://{node}"), open_capture=Webcam([picture(1)]))
    assert device.grab().image.mean() == 1
    node.unlink()
    with pytest.raises(GcposeError, match="is gone; plug the camera in again"):
        device.grab()


def test_a_link_is_followed(tmp_path: Path, node: Path) -> None:
    link = tmp_path / "usb-Cam"
    link.symlink_to(node)
    webcam = Webcam([])
    open_camera(parse(f"v4l2://{link}"), open_capture=webcam)
    assert webcam.device == str(node)


def test_missing_says_which_there_are(tmp_path: Path) -> None:
    with pytest.raises(GcposeError, match=r"there is no .*/video\* at all; choose one, or pattern://"):
        open_camera(parse("v4l2:///dev/video-none"), tmp_path, Webcam([]))
    for number in (10, 2):
        (tmp_path / f"video{number}").touch()
    with pytest.raises(GcposeError, match=r"there are .*/video2, .*/video10; choose"):
        open_camera(parse("v4l2:///dev/video-none"), tmp_path, Webcam([]))


def test_in_use_or_not_a_camera(node: Path) -> None:
    webcam = Webcam([], opens=False)
    with pytest.raises(GcposeError, match="another program may use it"):
        open_camera(parse(f"v4l2://{node}"), open_capture=webcam)
    assert webcam.released


def test_no_permission(node: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "access", lambda *_: False)  # root may do all, so it is said here that it may not
    with pytest.raises(GcposeError, match=r"sudo usermod -aG video"):
        open_camera(parse(f"v4l2://{node}"), open_capture=Webcam([]))


def test_codecs_that_opencv_does_not_decode(node: Path) -> None:
    with pytest.raises(GcposeError, match="not h264; give #codec=mjpg"):
        open_camera(parse(f"v4l2://{node}#codec=h264"), open_capture=Webcam([]))


def test_what_is_no_camera_ends_at_once(node: Path) -> None:
    with pytest.raises(GcposeError, match="does not open as a camera"):
        open_capture(f"v4l2://{node}")
    with pytest.raises(GcposeError, match="no camera /dev/video987"):
        open_capture("987")
