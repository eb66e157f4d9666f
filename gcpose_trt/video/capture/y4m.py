"""YUV4MPEG2, the plain stream of pictures that ffmpeg and GStreamer write to a pipe."""

from __future__ import annotations

import re
from collections.abc import Callable

import cv2
import numpy as np
from numpy.typing import NDArray

from gcpose_trt.errors import GcposeError
from gcpose_trt.video.frames import Image

_MAGIC = b"YUV4MPEG2"
_LINE = 1024
_SIDE = 16384


class Y4mReader:
    """Pictures of a YUV4MPEG2 stream (4:2:0, 8 bits, BT.601 limited range), whose size may change at a new header.

    Args:
        receive: returns some more bytes, at most so many; none at the end.
    """

    def __init__(self, receive: Callable[[int], bytes]) -> None:
        self._receive = receive
        self._buffer = bytearray()
        self._strides: tuple[int, int, int] | None = None
        self.size = (0, 0)
        self.rate: float | None = None

    def read_header(self) -> bool:
        """Read up to the first picture, so that `size` (width, height) and `rate` are known; False at the end.

        Raises:
            GcposeError: it is not such a stream.
        """
        while True:
            if not self._fill(len(_MAGIC)):
                return False
            if not self._buffer.startswith(_MAGIC):
                return True
            line = self._line()
            if line is None:
                return False
            self._parse(line)

    def read(self) -> Image | None:
        """Return the next picture, (H, W, 3) BGR uint8, or None at the end, also where that cuts a picture.

        Raises:
            GcposeError: it is not such a stream.
        """
        if not self.read_header():
            return None
        line = self._line()
        if line is None:
            return None
        if not self.size[0] or not line.startswith(b"FRAME"):
            raise GcposeError("what came through the pipe is not YUV4MPEG2; check the pipeline")
        strides = self._find_strides()
        data = strides and self._take(_length(strides, self.size[1]))
        return _to_bgr(data, strides, self.size) if data and strides else None

    def _parse(self, line: bytes) -> None:
        fields = {part[:1]: part[1:] for part in line.decode("ascii", "replace").split()[1:]}
        try:
            self.size = int(fields["W"]), int(fields["H"])
        except (KeyError, ValueError):
            self.size = (0, 0)
        if not all(1 <= side <= _SIDE for side in self.size) or not fields.get("C", "420").startswith("420"):
            raise GcposeError(f"a pipe yields pictures of an unknown form ({line[:80]!r}); check the pipeline")
        rate = re.fullmatch(r"(\d+):(\d+)", fields.get("F", ""))
        self.rate = int(rate[1]) / int(rate[2]) if rate and int(rate[1]) and int(rate[2]) else None
        self._strides = None

    def _find_strides(self) -> tuple[int, int, int] | None:
        """Return bytes a row of Y and of U and V, and the multiple that rows are padded to; None at the end."""
        if self._strides is None:
            width, height = self.size
            tight = (width, (width + 1) // 2, 1)
            # GStreamer before 1.24 writes its own memory's layout, with padding that the format does not have. The
            # two differ for most widths; what follows the first picture tells which it is.
            padded = (-(-width // 4) * 4, -(-((width + 1) // 2) // 4) * 4, 2)
            short, long = _length(tight, height), _length(padded, height)
            if short == long:
                self._strides = tight
            elif not self._fill(short):
                return None
            else:
                self._fill(short + 5)
                after = bytes(self._buffer[short : short + 5])
                self._strides = tight if after in (b"", b"FRAME", _MAGIC[:5]) else padded
        return self._strides

    def _line(self) -> bytes | None:
        """Return a line without its end; nothing where it is too long to be one, None where the stream ends in it."""
        while True:
            end = self._buffer.find(b"\n", 0, _LINE)
            if end >= 0:
                return self._take(end + 1)[:-1]
            if len(self._buffer) >= _LINE:
                return b""
            if not self._fill(len(self._buffer) + 1):
                return None

    def _fill(self, count: int) -> bool:
        while len(self._buffer) < count:
            data = self._receive(max(count - len(self._buffer), 1 << 16))
            if not data:
                return False
            self._buffer += data
        return True

    def _take(self, count: int) -> bytes:
        if not self._fill(count):
            return b""
        data = bytes(memoryview(self._buffer)[:count])
        del self._buffer[:count]
        return data


def _length(strides: tuple[int, int, int], height: int) -> int:
    luma, chroma, multiple = strides
    return luma * (-(-height // multiple) * multiple) + 2 * chroma * ((height + 1) // 2)


def _to_bgr(data: bytes, strides: tuple[int, int, int], size: tuple[int, int]) -> Image:
    width, height = size
    luma, chroma, multiple = strides
    rows, half = -(-height // multiple) * multiple, ((height + 1) // 2, (width + 1) // 2)
    values = np.frombuffer(data, np.uint8)
    if width % 2 == 0 and height % 2 == 0 and luma == width and chroma == half[1]:
        return _convert(values.reshape(height * 3 // 2, width))
    split = luma * rows
    planes = values[split:].reshape(2, half[0], chroma)[:, :, : half[1]]
    # OpenCV takes even sizes only: the last row and column are doubled, and cut off afterwards.
    picture = values[:split].reshape(rows, luma)[:height, :width]
    picture = np.pad(picture, ((0, height % 2), (0, width % 2)), mode="edge")
    even = np.concatenate((picture.ravel(), planes.ravel())).reshape(picture.shape[0] * 3 // 2, picture.shape[1])
    return np.ascontiguousarray(_convert(even)[:height, :width])


def _convert(planes: NDArray[np.uint8]) -> Image:
    image: Image = cv2.cvtColor(planes, cv2.COLOR_YUV2BGR_I420)  # type: ignore[assignment]
    return image
