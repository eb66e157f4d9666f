"""Webcams, through OpenCV's V4L2.

OpenCV rather than PyAV, which has V4L2 too: OpenCV waits for a picture with `select` and gives up after some seconds,
where FFmpeg's V4L2 waits in the driver for as long as the camera says nothing and looks at no time limit; OpenCV takes
the camera's nearest mode where FFmpeg refuses one that is not there; and it goes on after a damaged MJPG picture.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2

from gcpose_trt.errors import GcposeError
from gcpose_trt.video.capture.feed import Grabbed, note
from gcpose_trt.video.capture.uri import Address, CaptureOptions
from gcpose_trt.video.images import natural_order

_FOURCC = {"mjpg": "MJPG", "yuyv": "YUYV"}
_TRIALS = 5  # pictures that may fail one after the other: a camera that wakes up sends some
# Raw pictures larger than this do not pass through USB 2 at 30 a second; nearly all webcams have MJPG for them.
_RAW_PIXELS = 640 * 480


def open_camera(
    address: Address, devices: Path = Path("/dev"), open_capture: Callable[..., Any] | None = None
) -> CameraDevice:
    """Open a v4l2:// address.

    Args:
        devices: the folder that is listed where the device is missing.
        open_capture: stands in for `cv2.VideoCapture`.

    Raises:
        GcposeError: no such camera, no permission, in use, or a codec that OpenCV does not decode.
    """
    device, options = Path(address.target), address.options
    if options.codec not in (None, *_FOURCC):
        raise GcposeError(
            f"webcams are read as mjpg or yuyv, not {options.codec}; "
            f"give #codec=mjpg, or 'gst:v4l2src device={device} ! ...#codec={options.codec}'"
        )
    if not device.exists():
        found = sorted((path for path in devices.glob("video*")), key=natural_order)
        there = f"there are {', '.join(map(str, found))}" if found else f"there is no {devices}/video* at all"
        raise GcposeError(f"no camera {device}, {there}; choose one, or pattern:// to try without a camera")
    if not os.access(device, os.R_OK | os.W_OK):
        raise GcposeError(
            f"no permission for {device}; run: sudo usermod -aG video $USER, log in again, "
            "or give pattern:// to try without a camera"
        )
    # By its real name, because OpenCV does not know those under /dev/v4l/by-id.
    return CameraDevice(str(device.resolve()), options, open_capture or cv2.VideoCapture)


class CameraDevice:
    """An open webcam, as a `Device`.

    Raises:
        GcposeError: it cannot be opened.
    """

    kind = "camera"
    live = True
    frames: int | None = None

    def __init__(self, device: str, options: CaptureOptions, open_capture: Callable[..., Any]) -> None:
        self._device = device
        self.warnings: list[str] = []
        self._capture = open_capture(device, cv2.CAP_V4L2)
        if not self._capture.isOpened():
            self._capture.release()
            raise GcposeError(
                f"{device} does not open as a camera: another program may use it, or it is only a camera's second "
                "device; close that program or choose another /dev/video*"
            )
        self._configure(options)
        rate = float(self._capture.get(cv2.CAP_PROP_FPS))
        self.rate: float | None = rate if 0 < rate <= 1000 else options.fps or 30.0

    def _configure(self, options: CaptureOptions) -> None:
        large = options.size is not None and options.size[0] * options.size[1] > _RAW_PIXELS
        codec = _FOURCC[options.codec] if options.codec else "MJPG" if large else None
        # The codec first: which sizes and rates there are depends on it.
        if (
            codec
            and not self._capture.set(cv2.CAP_PROP_FOURCC, int.from_bytes(codec.encode(), "little"))
            and options.codec
        ):
            note(self.warnings, f"{self._device} has no {options.codec}; its own format is used")
        if options.size is not None:
            self._capture.set(cv2.CAP_PROP_FRAME_WIDTH, options.size[0])
            self._capture.set(cv2.CAP_PROP_FRAME_HEIGHT, options.size[1])
        if options.fps is not None:
            self._capture.set(cv2.CAP_PROP_FPS, options.fps)
        self._capture.set(cv2.CAP_PROP_BUFFERSIZE, 2)  # the driver's queue is latency

    def grab(self) -> Grabbed:
        """See `Device.grab`."""
        for _ in range(_TRIALS):
            taken, image = self._capture.read()
            if taken and image is not None and image.size:
                return Grabbed(image, time.perf_counter())
            if not Path(self._device).exists():
                raise GcposeError(f"{self._device} is gone; plug the camera in again")
        raise GcposeError(f"{self._device} gives no pictures; plug it in again, or ask for another size or codec")

    def interrupt(self) -> None:
        """Do nothing: OpenCV gives up by itself after some seconds."""

    def release(self) -> None:
        """See `Device.release`."""
        self._capture.release()
