"""The stream of pictures in a pipe: sizes, padding, cuts, garbage."""

from __future__ import annotations

import io

import av
import cv2
import numpy as np
import pytest

from gcpose_trt.errors import GcposeError
from gcpose_trt.video.capture.y4m import Y4mReader


def reader(data: bytes, step: int = 1 << 16) -> Y4mReader:
    stream = io.BytesIO(data)
    return Y4mReader(lambda count: stream.read(min(count, step)))


def header(width: int, height: int, more: str = "F25:1 C420jpeg") -> bytes:
    return f"YUV4MPEG2 W{width} H{height} {more}\n".encode()


def ramp(width: int, height: int) -> np.ndarray:
    """A smooth coloured picture, which survives 4:2:0."""
    x, y = np.meshgrid(np.linspace(30, 220, width), np.linspace(30, 220, height))
    return np.stack((x, y, (x + y) / 2), axis=2).astype(np.uint8)


def planes(image: np.ndarray) -> list[np.ndarray]:
    """Y, U, V of 4:2:0, by PyAV, also for odd sizes."""
    frame = av.VideoFrame.from_ndarray(image, format="bgr24").reformat(
        format="yuv420p", dst_colorspace="ITU601", dst_color_range="MPEG"
    )
    height, width = image.shape[:2]
    sizes = [(height, width)] + [((height + 1) // 2, (width + 1) // 2)] * 2
    return [
        np.frombuffer(plane, np.uint8).reshape(-1, plane.line_size)[: size[0], : size[1]]
        for plane, size in zip(frame.planes, sizes, strict=True)
    ]


def packed(image: np.ndarray, pad: bool = False) -> bytes:
    """One picture, tight as the format says, or padded as GStreamer before 1.24 does."""
    parts = []
    for number, plane in enumerate(planes(image)):
        rows, columns = plane.shape
        if pad:
            full_rows = -(-image.shape[0] // 2) * 2 if number == 0 else rows
            plane = np.pad(plane, ((0, full_rows - rows), (0, -columns % 4)), mode="edge")
        parts.append(plane.tobytes())
    return b"FRAME\n" + b"".join(parts)


@pytest.mark.parametrize("pad", [False, True])
@pytest.mark.parametrize("size", [(64, 48), (65, 48), (64, 47), (63, 47), (50, 34), (1, 1), (161, 121)])
def test_pictures_of_every_size(size: tuple[int, int], pad: bool) -> None:
    image = ramp(*size)
    source = reader(header(*size) + 3 * packed(image, pad), step=1000)
    assert source.read_header() and source.size == size and source.rate == 25.0
    for _ in range(3):
        read = source.read()
        assert read is not None and read.shape == image.shape and read.flags.c_contiguous
        assert np.abs(read.astype(int) - image).mean() < 4
    assert source.read() is None


def test_the_size_changes() -> None:
    data = header(64, 48) + packed(ramp(64, 48)) + header(33, 20) + 2 * packed(ramp(33, 20)) + header(64, 48)
    source = reader(data + packed(ramp(64, 48)))
    shapes = []
    while (image := source.read()) is not None:
        shapes.append(image.shape)
    assert shapes == [(48, 64, 3), (20, 33, 3), (20, 33, 3), (48, 64, 3)]


def test_a_cut_picture_is_the_end() -> None:
    data = header(64, 48) + packed(ramp(64, 48))
    for cut in (0, 5, 20, len(header(64, 48)), len(data) - 1):
        assert reader(data[:cut]).read() is None
    assert reader(b"").read_header() is False


@pytest.mark.parametrize(
    "data",
    [
        *(header(64, 48) + b"GARBAGE\n" + bytes(9999), b"\0" * 5000, b"RIFF\nFRAME\n", header(0, 5), header(99999, 5)),
        *(
            header(64, 48, "C444") + bytes(9999),
            b"YUV4MPEG2 Wx Hy\n",
            b"YUV4MPEG2 \xff\xfe\n",
            header(4, 4) + b"F" * 9999,
        ),
    ],
)
def test_garbage_is_refused(data: bytes) -> None:
    with pytest.raises(GcposeError, match="; check the pipeline"):
        reader(data).read()


def test_colours_are_those_of_the_format() -> None:
    red = np.zeros((16, 16, 3), np.uint8)
    red[..., 2] = 200
    image = reader(header(16, 16) + packed(red)).read()
    assert image is not None
    assert np.abs(image.astype(int) - red).max() <= 6
    assert cv2.cvtColor(image, cv2.COLOR_BGR2HSV)[..., 0].max() <= 2
