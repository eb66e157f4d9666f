"""Opening whatever a user names as a source."""

from __future__ import annotations

import shutil

from gcpose_trt.errors import GcposeError
from gcpose_trt.video.capture.camera import open_camera
from gcpose_trt.video.capture.feed import Device, FeedCapture
from gcpose_trt.video.capture.files import FileCapture
from gcpose_trt.video.capture.gstreamer import open_pipeline
from gcpose_trt.video.capture.network import NetworkDevice, ProtocolMissingError
from gcpose_trt.video.capture.pattern import PatternCapture
from gcpose_trt.video.capture.pipes import PipeDevice
from gcpose_trt.video.capture.reconnect import ReconnectingCapture
from gcpose_trt.video.capture.transform import TransformedCapture
from gcpose_trt.video.capture.uri import Address, CaptureOptions, parse
from gcpose_trt.video.live_types import Capture


def open_capture(uri: str, options: CaptureOptions | None = None, stream: int = 0) -> Capture:
    """Open a source.

    Args:
        uri: see `gcpose_trt.video.capture.GRAMMAR`.
        options: those behind a # in `uri` win over them; None: the defaults.
        stream: which of several sources, for `Frame.stream`.

    Returns:
        A capture, to be closed.

    Raises:
        GcposeError: nothing is there, nobody answers within `timeout_s`, or it is no picture.

    Example:
        >>> capture = open_capture("pattern://?people=2&frames=3&live=0")
        >>> capture.read(timeout=1.0).frame.image.shape
        (480, 640, 3)
        >>> capture.close()
    """
    address = parse(uri, options)
    capture = _open(address, stream)
    wanted = address.options
    if wanted.flip == "none" and wanted.size is None and wanted.fps is None:
        return capture
    return TransformedCapture(capture, wanted)


def _open(address: Address, stream: int) -> Capture:
    if address.scheme == "file":
        return FileCapture(address, stream)
    if address.scheme == "pattern":
        return PatternCapture(address, stream)

    def connect() -> FeedCapture:
        return FeedCapture(
            address.name, address.shown, lambda: _open_device(address), address.options.timeout_s, stream
        )

    if not address.options.reconnect:
        return connect()
    # A pipeline may have an end of its own. A file on a web server has one, too, but that is known once it is open.
    first = connect()
    if not first.live:
        return first
    waiting = [first]
    return ReconnectingCapture(lambda: waiting.pop() if waiting else connect(), end_is_loss=address.scheme != "gst")


def _open_device(address: Address) -> Device:
    if address.scheme == "v4l2":
        return open_camera(address)
    if address.scheme in ("csi", "gst"):
        return open_pipeline(address)
    timeout_s = address.options.timeout_s
    try:
        return NetworkDevice(address.target, address.shown, timeout_s)
    except ProtocolMissingError as error:
        program = shutil.which("ffmpeg")
        if program is None:
            raise GcposeError(str(error)) from error
        return PipeDevice(_ffmpeg(program, address.target), address.shown, timeout_s)


def _ffmpeg(program: str, target: str) -> list[str]:
    return [
        *(program, "-nostdin", "-loglevel", "error", "-i", target, "-an"),
        *("-vf", "scale=out_color_matrix=bt601:out_range=tv", "-pix_fmt", "yuv420p", "-f", "yuv4mpegpipe", "-"),
    ]
