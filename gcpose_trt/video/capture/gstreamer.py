"""GStreamer pipelines: through OpenCV where it was built with GStreamer, else through the program gst-launch-1.0.

Whatever a pipeline reads counts as live: pictures that nobody takes in time are left out.
"""

from __future__ import annotations

import re
import shlex
import shutil
import time
from collections.abc import Callable
from typing import Any

import cv2
import numpy as np

from gcpose_trt.errors import GcposeError
from gcpose_trt.video.capture.feed import Device, Grabbed
from gcpose_trt.video.capture.pipes import PipeDevice
from gcpose_trt.video.capture.uri import Address, CaptureOptions, mask

_PROGRAM = "gst-launch-1.0"
_INSTALL = (
    "apt-get install gstreamer1.0-tools gstreamer1.0-plugins-base gstreamer1.0-plugins-good gstreamer1.0-plugins-bad"
)
_CSI_REMEDY = (
    "it needs a Jetson, its camera on the CSI connector, and NVIDIA's plugins: apt-get install nvidia-l4t-gstreamer"
)


def pipeline_of(address: Address) -> str:
    """Return the GStreamer pipeline of a csi:// or gst: address, without a sink."""
    if address.scheme == "csi":
        return _csi_pipeline(int(address.target), address.options)
    pipeline = re.sub(r"\s*!\s*appsink\b[^!]*$", "", address.target).rstrip("! ")
    return f"{pipeline} ! decodebin" if address.options.codec in ("h264", "h265", "mjpg") else pipeline


def _csi_pipeline(number: int, options: CaptureOptions) -> str:
    # 1280x720 at 30 is a mode of every sensor that NVIDIA's drivers support; nvvidconv copies out of the camera's
    # memory, which only NVIDIA's elements read.
    width, height = options.size or (1280, 720)
    rate = _fraction(options.fps or 30.0)
    return (
        f"nvarguscamerasrc sensor-id={number}"
        f" ! video/x-raw(memory:NVMM),width={width},height={height},framerate={rate}"
        " ! nvvidconv ! video/x-raw,format=I420"
    )


def _fraction(rate: float) -> str:
    return f"{int(rate)}/1" if rate == int(rate) else f"{round(rate * 1000)}/1000"


def opencv_has_gstreamer(information: str | None = None) -> bool:
    """Say whether OpenCV was built with GStreamer, by what it says of itself.

    Args:
        information: `cv2.getBuildInformation()`; None asks for it.
    """
    text = cv2.getBuildInformation() if information is None else information
    return re.search(r"^\s*GStreamer:\s+YES\b", text, re.MULTILINE) is not None


def open_pipeline(
    address: Address,
    in_opencv: Callable[[], bool] = opencv_has_gstreamer,
    find_program: Callable[[str], str | None] = shutil.which,
) -> Device:
    """Open a csi:// or gst: address.

    Args:
        in_opencv: says whether OpenCV can run pipelines.
        find_program: returns where a program is, or None.

    Raises:
        GcposeError: nothing here runs pipelines, or this one does not run.
    """
    pipeline = pipeline_of(address)
    if in_opencv():
        return OpenCvPipeline(pipeline, address.shown)
    program = find_program(_PROGRAM)
    if program is None:
        raise GcposeError(
            f"{address.shown} needs GStreamer, which neither OpenCV was built with nor {_PROGRAM} is there for; "
            f"install it: {_INSTALL}"
        )
    try:
        words = shlex.split(pipeline)
    except ValueError as error:
        raise GcposeError(f"{address.shown} is not a pipeline ({error}); check its quotes") from error
    remedy = (
        _CSI_REMEDY if address.scheme == "csi" else f"try it: {_PROGRAM} {address.shown.partition(':')[2]} ! fakesink"
    )
    ending = "! videoconvert ! video/x-raw,format=I420,colorimetry=bt601 ! y4menc ! fdsink fd=1"
    return PipeDevice([program, "-q", *words, *ending.split()], address.shown, address.options.timeout_s, remedy)


class OpenCvPipeline:
    """A pipeline inside OpenCV, as a `Device`. Only the newest picture is kept.

    Args:
        pipeline: without a sink.
        shown: the source's name in messages.
        open_capture: stands in for `cv2.VideoCapture`.

    Raises:
        GcposeError: it does not run.
    """

    kind = "stream"
    live = True
    frames: int | None = None

    def __init__(self, pipeline: str, shown: str, open_capture: Callable[..., Any] | None = None) -> None:
        self._shown = shown
        self.warnings: list[str] = []
        ending = " ! videoconvert ! video/x-raw,format=BGR ! appsink drop=true max-buffers=1 sync=false"
        self._capture = (open_capture or cv2.VideoCapture)(pipeline + ending, cv2.CAP_GSTREAMER)
        if not self._capture.isOpened():
            self._capture.release()
            raise GcposeError(f"{shown} does not run; try it: {_PROGRAM} {mask(pipeline)} ! fakesink")
        rate = float(self._capture.get(cv2.CAP_PROP_FPS))
        self.rate: float | None = rate if 0 < rate <= 1000 else None

    def grab(self) -> Grabbed | None:
        """See `Device.grab`. OpenCV does not tell an end from a failure: both are an end."""
        taken, image = self._capture.read()
        if not taken or image is None:
            return None
        return Grabbed(np.asarray(image, np.uint8), time.perf_counter())

    def interrupt(self) -> None:
        """Do nothing: OpenCV gives up by itself after some seconds."""

    def release(self) -> None:
        """See `Device.release`."""
        self._capture.release()
