"""How sources are named, and the options that go with them."""

from __future__ import annotations

import re
import urllib.parse
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from gcpose_trt.errors import GcposeError

GRAMMAR = """\
sources:
  0, v4l2:///dev/video0     a webcam, by number or by device
  csi://0                   a camera on a Jetson's CSI connector (nvarguscamerasrc)
  rtsp://, http(s)://       a stream, such as rtsp://user:password@camera/street; also rtmp, srt, udp
  clip.mp4, file:///a/b.mp4 a video, an image, a folder of images, or a quoted pattern such as 'photos/*.jpg'
  gst:PIPELINE              what a GStreamer pipeline yields, such as 'gst:v4l2src ! image/jpeg ! jpegdec'
  pattern://                people drawn walking, for trials without a camera;
                            pattern://?people=2&seed=1&frames=300&live=0 (live=0: as fast as they are taken)

options of one source, after a #, as in 'rtsp://camera/street#fps=15&flip=horizontal':
  size=640x480   asked of a camera; pictures of another size are scaled to it, before they are turned
  fps=15         asked of a camera; frames beyond it are left out
  flip=F         horizontal, vertical, rotate-90 (clockwise), rotate-180, rotate-270
  loop=N         files and patterns: play N times more; -1 for ever
  codec=C        mjpg or yuyv: asked of a webcam; h264, h265 or mjpg: what a gst: pipeline yields, to be decoded
  timeout=5      seconds without an answer after which a source is given up
  reconnect=no   a lost camera or stream ends instead of being tried again
"""

FLIPS = ("none", "horizontal", "vertical", "rotate-90", "rotate-180", "rotate-270")
CODECS = ("mjpg", "yuyv", "h264", "h265")
STREAM_SCHEMES = ("rtsp", "rtsps", "http", "https", "rtmp", "rtmps", "srt", "udp", "rtp", "tcp")
_DEVICES = "/dev/"


@dataclass(frozen=True)
class CaptureOptions:
    """How a source is opened and what is made of its pictures.

    Attributes:
        size: (width, height) in pixels, before a turn; None: as they come.
        fps: frames a second at most; None: all. Images have no rate and are all taken.
        flip: "none", "horizontal", "vertical", "rotate-90" (clockwise), "rotate-180" or "rotate-270".
        loop: how often files and patterns are played again; -1 for ever.
        codec: "mjpg", "yuyv", "h264" or "h265"; see `GRAMMAR`.
        timeout_s: seconds without an answer after which a source is given up.
        reconnect: whether a live source that was lost is tried again.

    Raises:
        GcposeError: a value is out of range.
    """

    size: tuple[int, int] | None = None
    fps: float | None = None
    flip: str = "none"
    loop: int = 0
    codec: str | None = None
    timeout_s: float = 5.0
    reconnect: bool = True

    def __post_init__(self) -> None:
        if self.size is not None and not all(1 <= side <= 16384 for side in self.size):
            raise GcposeError(f"the size {self.size[0]}x{self.size[1]} is out of range; choose one such as 640x480")
        if self.fps is not None and not 0 < self.fps <= 1000:
            raise GcposeError(f"{self.fps:g} frames a second are out of range; choose a number such as 15")
        if self.flip not in FLIPS:
            raise GcposeError(f"flip is {self.flip!r}; choose {', '.join(FLIPS)}")
        if self.loop < -1:
            raise GcposeError(f"loop is {self.loop}; choose how often to play again, or -1 for ever")
        if self.codec is not None and self.codec not in CODECS:
            raise GcposeError(f"codec is {self.codec!r}; choose {', '.join(CODECS)}")
        if not 0 < self.timeout_s <= 3600:
            raise GcposeError(f"a timeout of {self.timeout_s:g} s is out of range; choose seconds such as 5")


@dataclass(frozen=True)
class Address:
    """A source's name, taken apart.

    Attributes:
        scheme: "v4l2", "csi", "gst", "pattern", "file" or "stream".
        target: device, number, pipeline, query, path or address (with its password) to open.
        shown: for people, without passwords.
        name: short, usable as a file name.
        options: the flags, with those behind the # in their place.
    """

    scheme: str
    target: str
    shown: str
    name: str
    options: CaptureOptions


def parse(uri: str, options: CaptureOptions | None = None) -> Address:
    """Take a source's name apart; nothing is opened.

    Raises:
        GcposeError: no such kind of source, or an option's value is wrong.
    """
    if not uri.strip():
        raise GcposeError("the source is an empty name; give a camera, a stream, a file or pattern://")
    body, options = _split_options(uri, options or CaptureOptions())
    if body.isdecimal():
        return _camera(f"{_DEVICES}video{int(body)}", options)
    if body.startswith("gst:"):
        pipeline = body.removeprefix("gst:").removeprefix("//").strip()
        if not pipeline:
            raise GcposeError("gst: has no pipeline; give one such as 'gst:videotestsrc'")
        return Address("gst", pipeline, mask(body), "gst", options)
    scheme, separator, rest = body.partition("://")
    if not separator or not re.fullmatch(r"[A-Za-z][A-Za-z0-9+.-]*", scheme):
        return _file_or_device(body, options)
    maker = _MAKERS.get(scheme.lower())
    if maker is not None:
        return maker(rest, options)
    if scheme.lower() in STREAM_SCHEMES:
        return _stream(body, options)
    raise GcposeError(f"no source is called {scheme}://; give v4l2, csi, rtsp, http, file, gst: or pattern://")


def mask(text: str) -> str:
    """Return an address or a pipeline without what may be a secret: user:password@, and values of queries."""
    # As far as the last @, because passwords with an @ or a / in them are often written as they are.
    text = re.sub(r"(?<=://)[^\s?'\"]*@", "***@", text)
    return re.sub(
        r"(?i)((?:pass(?:word|wd)?|psw|pwd|pw|token|key|auth|secret|sig(?:nature)?)=)[^&\s'\"]+", r"\1***", text
    )


def safe_name(text: str) -> str:
    """Return `text` as a short file name."""
    return re.sub(r"[^A-Za-z0-9._-]+", "_", text).strip("._-")[:40] or "source"


def _camera(device: str, options: CaptureOptions) -> Address:
    return Address("v4l2", device, f"v4l2://{device}", safe_name(Path(device).name), options)


def _v4l2(rest: str, options: CaptureOptions) -> Address:
    if rest.isdecimal():
        return _camera(f"{_DEVICES}video{int(rest)}", options)
    if not rest.startswith("/"):
        raise GcposeError(f"v4l2://{rest} names no device; give one such as v4l2:///dev/video0")
    return _camera(rest, options)


def _csi(rest: str, options: CaptureOptions) -> Address:
    if not rest.isdecimal():
        raise GcposeError(f"csi://{rest} names no camera; give its number, such as csi://0")
    return Address("csi", rest, f"csi://{rest}", f"csi{rest}", options)


def _pattern(rest: str, options: CaptureOptions) -> Address:
    path, _, query = rest.partition("?")
    if path.strip("/"):
        raise GcposeError(f"pattern://{rest} is not understood; give pattern:// or one such as pattern://?people=2")
    return Address("pattern", query, f"pattern://{rest}", "pattern", options)


def _file(rest: str, options: CaptureOptions) -> Address:
    host, slash, path = rest.partition("/")
    if host not in ("", "localhost"):
        raise GcposeError(f"file://{rest} is on another machine; give a path on this one, such as file:///a/b.mp4")
    return _file_or_device(urllib.parse.unquote(slash + path), options)


_MAKERS: dict[str, Callable[[str, CaptureOptions], Address]] = {
    "v4l2": _v4l2,
    "csi": _csi,
    "pattern": _pattern,
    "file": _file,
}


def _file_or_device(path: str, options: CaptureOptions) -> Address:
    if re.fullmatch(r"/dev/(video\d+|v4l/.+)", path):
        return _camera(path, options)
    return Address("file", path, path, safe_name(Path(path).stem or Path(path).resolve().name), options)


def _stream(uri: str, options: CaptureOptions) -> Address:
    try:
        host = urllib.parse.urlsplit(uri).hostname
        host and urllib.parse.urlsplit(uri).port  # raises on a port that is no number
    except ValueError:
        host = None
    if not host:
        raise GcposeError(f"{mask(uri)} names no machine; give an address such as rtsp://camera.local/stream")
    return Address("stream", uri, mask(uri), safe_name(host), options)


def _split_options(uri: str, options: CaptureOptions) -> tuple[str, CaptureOptions]:
    """Take the options off the end of a name; a # that no known options follow belongs to the name."""
    body, mark, text = uri.rpartition("#")
    pairs = [part.partition("=") for part in text.split("&")]
    known = mark and body and all(equals and key in _OPTIONS for key, equals, _ in pairs)
    if not known or ("://" not in uri and Path(uri).exists()):
        return uri, options
    changes: dict[str, Any] = {}
    for key, _, value in pairs:
        field, convert = _OPTIONS[key]
        try:
            changes[field] = convert(value)
        except ValueError:
            raise GcposeError(f"{key}={value} of a source is not understood; see gcpose-trt demo --help") from None
    return body, replace(options, **changes)


def parse_size(text: str) -> tuple[int, int]:
    """Return "640x480" as (640, 480), width first.

    Raises:
        ValueError: it does not look like that.
    """
    found = re.fullmatch(r"(\d{1,5})[xX](\d{1,5})", text)
    if not found:
        raise ValueError(text)
    return int(found[1]), int(found[2])


def _yes_no(text: str) -> bool:
    known = {"yes": True, "true": True, "1": True, "no": False, "false": False, "0": False}
    if text.lower() not in known:
        raise ValueError(text)
    return known[text.lower()]


_OPTIONS: dict[str, tuple[str, Callable[[str], Any]]] = {
    "size": ("size", parse_size),
    "fps": ("fps", float),
    "flip": ("flip", str),
    "loop": ("loop", int),
    "codec": ("codec", str),
    "timeout": ("timeout_s", float),
    "reconnect": ("reconnect", _yes_no),
}
