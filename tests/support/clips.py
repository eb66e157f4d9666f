"""Small videos made on the spot, and what a reader finds in one."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from av.video.reformatter import Colorspace
from numpy.typing import NDArray

Image = NDArray[np.uint8]


def make_clip(path: Path, images: Sequence[Image], times: Sequence[float] | None = None, **options: str) -> Path:
    """Encode images of one size as H.264, at 10 frames a second or at the given times in seconds."""
    height, width = images[0].shape[:2]
    with av.open(str(path), "w", options=options) as container:
        stream = container.add_stream("libx264", rate=10, options={"crf": "10", "preset": "ultrafast"})
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        stream.codec_context.time_base = Fraction(1, 1000)
        for index, image in enumerate(images):
            frame = av.VideoFrame.from_ndarray(image, format="bgr24")
            frame.pts = round(1000 * (times[index] if times is not None else index / 10))
            frame.time_base = Fraction(1, 1000)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def corner_image(height: int = 48, width: int = 64) -> Image:
    """Return a dark image whose top left quarter is white, which tells turns and mirrors apart."""
    image = np.zeros((height, width, 3), np.uint8)
    image[: height // 2, : width // 2] = 255
    return image


def set_display_matrix(path: Path, a: int, b: int, c: int, d: int) -> None:
    """Overwrite the display matrix in an MP4's track header (ISO/IEC 14496-12, 8.3.2)."""
    data = bytearray(path.read_bytes())
    start = data.index(b"tkhd") + 4
    assert data[start] == 0, "a version 0 header has 32-bit times, which the offset below counts on"
    matrix = struct.pack(">9i", a << 16, b << 16, 0, c << 16, d << 16, 0, 0, 0, 1 << 30)
    data[start + 40 : start + 40 + len(matrix)] = matrix
    path.write_bytes(data)


def read_clip(path: Path) -> tuple[list[Image], list[float]]:
    """Return all images (BGR) and their times in seconds."""
    with av.open(str(path)) as container:
        frames = list(container.decode(video=0))
        times = [float(frame.time or 0) for frame in frames]
        # Said outright, because PyAV before 17 reads every clip as standard definition.
        matrices = [Colorspace.ITU709 if frame.colorspace == 1 else Colorspace.ITU601 for frame in frames]
        pairs = zip(frames, matrices, strict=True)
        return [frame.reformat(format="bgr24", src_colorspace=matrix).to_ndarray() for frame, matrix in pairs], times
