"""One MP4 file being encoded."""

from __future__ import annotations

import contextlib
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
from av.video.reformatter import Colorspace, VideoReformatter

from gcpose_trt.errors import GcposeError
from gcpose_trt.video.frames import Image

CLOCK = 90_000  # ticks a second: MPEG's own, fine enough for any frame rate and any wobble in it
_BT709 = 1  # ISO/IEC 23091-2's number for the colours of HD video
# In order of quality. The options of x264 keep few frames waiting, for the sake of memory.
ENCODERS: dict[str, dict[str, str]] = {
    "libx264": {"preset": "veryfast", "crf": "21"},
    "libopenh264": {"rc_mode": "quality"},
    "h264_v4l2m2m": {},
    "h264_nvenc": {"preset": "p4", "cq": "23"},
}


class Encoding:
    """An MP4 that grows frame by frame. Only `finish` makes it readable.

    Args:
        path: the file; made anew.
        encoder: one of `ENCODERS`.
        rate: nominal frames a second.
        height, width: of the pictures; others are fitted in.
    """

    def __init__(self, path: Path, encoder: str, rate: float, height: int, width: int) -> None:
        self._size = (height, width)
        self._last_pts = -1
        # One for all frames, and without threads: making either anew takes longer than the conversion.
        self._reformatter = VideoReformatter()
        # faststart puts the index first, so that a browser plays before it has everything.
        self._container: Any = av.open(str(path), "w", format="mp4", options={"movflags": "faststart"})
        self._stream = _video_stream(self._container, encoder, rate, height, width)

    def write(self, picture: Image, seconds: float) -> None:
        """Encode one picture, (H, W, 3) BGR uint8, to be shown `seconds` after the first."""
        video = av.VideoFrame.from_ndarray(fit_even(picture, self._size), format="bgr24")
        video = self._reformatter.reformat(video, format="yuv420p", dst_colorspace=Colorspace.ITU709, threads=1)
        # A muxer refuses times that stand still or go back; sources with a bad clock have such.
        self._last_pts = max(round(seconds * CLOCK), self._last_pts + 1)
        video.pts, video.time_base = self._last_pts, Fraction(1, CLOCK)
        self._container.mux(self._stream.encode(video))

    def finish(self) -> None:
        """Encode what waits in the encoder, write the index and close the file."""
        self._container.mux(self._stream.encode(None))
        self._container.close()

    def abandon(self) -> None:
        """Close the file as it is."""
        with contextlib.suppress(av.error.FFmpegError, OSError):
            self._container.close()


def _video_stream(container: Any, encoder: str, rate: float, height: int, width: int) -> Any:
    nominal = Fraction(rate).limit_denominator(1001)
    stream = container.add_stream(encoder, rate=nominal, options=dict(ENCODERS[encoder]))
    stream.height, stream.width = height + height % 2, width + width % 2
    stream.pix_fmt = "yuv420p"
    context = stream.codec_context
    context.time_base = Fraction(1, CLOCK)
    context.colorspace = context.color_primaries = context.color_trc = _BT709
    context.color_range = 1  # 16..235, what players expect of H.264
    return stream


def is_write_error(error: Exception) -> bool:
    """Say whether an `Encoding` failed for want of space, rights or an encoder, and not for a mistake of ours."""
    return isinstance(error, (av.error.FFmpegError, OSError))


def find_encoder() -> str:
    """Return the name of the first H.264 encoder of this PyAV that opens.

    Raises:
        GcposeError: there is none.
    """
    for name, options in ENCODERS.items():
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

    An image of another size than (h, w) is first made to fit, with black beside or above and below it: a stream has one
    size.
    """
    height, width = size
    if image.shape[:2] != size:
        image = _fit(image, height, width)
    if height % 2 or width % 2:
        image = cv2.copyMakeBorder(image, 0, height % 2, 0, width % 2, cv2.BORDER_REPLICATE)  # type: ignore[assignment]
    return image


def _fit(image: Image, height: int, width: int) -> Image:
    scale = min(height / image.shape[0], width / image.shape[1])
    inner = max(1, round(image.shape[0] * scale)), max(1, round(image.shape[1] * scale))
    top, left = (height - inner[0]) // 2, (width - inner[1]) // 2
    canvas = np.zeros((height, width, 3), np.uint8)
    resized = cv2.resize(image, inner[::-1], interpolation=cv2.INTER_AREA)
    canvas[top : top + inner[0], left : left + inner[1]] = resized
    return canvas
