"""Annotated clips: MP4 with H.264, which browsers play, encoded by PyAV."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import Any

import av
import cv2
from av.video.reformatter import Colorspace

from gcpose_trt.errors import GcposeError
from gcpose_trt.files import check_writable
from gcpose_trt.pose.types import PoseFrame
from gcpose_trt.video.frames import Image, Result, completes

CLOCK = 90_000  # ticks a second: MPEG's own, fine enough for any frame rate and any wobble in it
_BT709 = 1  # ISO/IEC 23091-2's number for the colours of HD video
# In order of quality. The options of x264 keep few frames waiting, for the sake of memory.
_ENCODERS: dict[str, dict[str, str]] = {
    "libx264": {"preset": "veryfast", "crf": "21"},
    "libopenh264": {"rc_mode": "quality"},
    "h264_v4l2m2m": {},
    "h264_nvenc": {"preset": "p4", "cq": "23"},
}

Draw = Callable[[Image, PoseFrame], Image]


class Mp4Sink:
    """Writes frames, with the people drawn on them, into one MP4 at the frames' own times.

    The file appears under its name once it is complete, which it also is after Ctrl-C: with the frames so far.

    Args:
        path: the file, *.mp4.
        rate: nominal frames a second.
        draw: makes the picture to be written from an image and its poses.

    Raises:
        GcposeError: the file cannot be written, or PyAV was built without an H.264 encoder.
    """

    needs_picture = False  # draws for itself

    def __init__(self, path: Path, rate: float, draw: Draw) -> None:
        self.path = check_writable(path)
        self._encoder = find_encoder()
        self._partial = path.with_name(f".{path.name}.{os.getpid()}.part")
        self._rate, self._draw = rate, draw
        self._container: Any = None
        self._stream: Any = None
        self._last_pts = -1
        self._size = (0, 0)

    def write(self, result: Result) -> None:
        """Encode one frame; the first one decides the size of the stream."""
        frame = result.frame
        picture = self._draw(frame.image, result.poses)
        with self._errors():
            if self._container is None:
                self._open(picture)
            image = fit_even(picture, self._size)
            video = av.VideoFrame.from_ndarray(image, format="bgr24")
            video = video.reformat(format="yuv420p", dst_colorspace=Colorspace.ITU709)
            time = frame.time_s if frame.time_s is not None else frame.index / self._rate
            # A muxer refuses times that stand still or go back; sources with a bad clock have such.
            self._last_pts = max(round(time * CLOCK), self._last_pts + 1)
            video.pts, video.time_base = self._last_pts, Fraction(1, CLOCK)
            self._container.mux(self._stream.encode(video))

    def _open(self, picture: Image) -> None:
        height, width = self._size = (picture.shape[0], picture.shape[1])
        # faststart puts the index first, so that a browser plays before it has everything.
        self._container = av.open(str(self._partial), "w", format="mp4", options={"movflags": "faststart"})
        rate = Fraction(self._rate).limit_denominator(1001)
        self._stream = self._container.add_stream(self._encoder, rate=rate, options=dict(_ENCODERS[self._encoder]))
        self._stream.height, self._stream.width = height + height % 2, width + width % 2
        self._stream.pix_fmt = "yuv420p"
        context = self._stream.codec_context
        context.time_base = Fraction(1, CLOCK)
        context.colorspace = context.color_primaries = context.color_trc = _BT709
        context.color_range = 1  # 16..235, what players expect of H.264

    def _finish(self) -> None:
        if self._container is None:
            return
        with self._errors():
            self._container.mux(self._stream.encode(None))
            self._container.close()
            os.replace(self._partial, self.path)

    def _discard(self) -> None:
        if self._container is not None:
            with contextlib.suppress(av.error.FFmpegError, OSError):
                self._container.close()
        self._partial.unlink(missing_ok=True)

    @contextlib.contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except (av.error.FFmpegError, OSError) as error:
            reason = getattr(error, "strerror", None) or str(error)
            raise GcposeError(
                f"cannot write {self.path} ({reason}); free some space or choose another folder"
            ) from error

    def __enter__(self) -> Mp4Sink:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if completes(kind):
                self._finish()
        finally:
            self._discard()


def find_encoder() -> str:
    """Return the name of the first H.264 encoder of this PyAV that opens.

    Raises:
        GcposeError: there is none.
    """
    for name, options in _ENCODERS.items():
        try:
            context: Any = av.CodecContext.create(name, "w")
            context.width, context.height, context.pix_fmt = 320, 240, "yuv420p"
            context.time_base, context.options = Fraction(1, 30), dict(options)
            context.open()  # an encoder in hardware is listed even where there is no such hardware
        except (av.error.FFmpegError, OSError, ValueError):
            continue
        return name
    raise GcposeError("this PyAV has no H.264 encoder; install the wheel from PyPI: pip install --force-reinstall av")


def fit_even(image: Image, size: tuple[int, int]) -> Image:
    """Return `image` at (h, w) rounded up to even sides, as 4:2:0 video needs them.

    An image of another size than (h, w) is resized first: a stream has one size.
    """
    height, width = size
    if image.shape[:2] != size:
        image = cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA)  # type: ignore[assignment]
    if height % 2 or width % 2:
        image = cv2.copyMakeBorder(image, 0, height % 2, 0, width % 2, cv2.BORDER_REPLICATE)  # type: ignore[assignment]
    return image
