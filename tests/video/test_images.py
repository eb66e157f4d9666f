"""Image files: every kind of pixel, and every kind of damage."""

from __future__ import annotations

import struct
from pathlib import Path

import cv2
import numpy as np
import pytest

from gcpose_trt.errors import GcposeError
from gcpose_trt.video.images import ImageSource, list_images, read_image

RNG = np.random.default_rng(0)
IMAGE = cv2.GaussianBlur(RNG.integers(0, 256, (40, 60, 3), dtype=np.uint8), (9, 9), 0)


def save(path: Path, image: np.ndarray = IMAGE) -> Path:
    done, data = cv2.imencode(path.suffix, image)
    assert done
    path.write_bytes(data.tobytes())
    return path


def with_orientation(jpeg: bytes, orientation: int) -> bytes:
    """Return a JPEG with an EXIF segment that says how the camera was held."""
    entry = struct.pack("<HHIHH", 0x0112, 3, 1, orientation, 0)
    exif = b"Exif\0\0" + b"II*\0" + struct.pack("<I", 8) + struct.pack("<H", 1) + entry + struct.pack("<I", 0)
    return jpeg[:2] + b"\xff\xe1" + struct.pack(">H", len(exif) + 2) + exif + jpeg[2:]


@pytest.mark.parametrize(
    ("name", "image"),
    [
        ("colour.png", IMAGE),
        ("colour16.png", IMAGE.astype(np.uint16) * 257),
        ("colour.bmp", IMAGE),
        ("colour16.tif", IMAGE.astype(np.uint16) * 257),
        ("float.tiff", (IMAGE / 255).astype(np.float32)),
        ("alpha.png", np.dstack([IMAGE, np.full(IMAGE.shape[:2], 255, np.uint8)])),
        ("alpha16.png", np.dstack([IMAGE, np.full(IMAGE.shape[:2], 255, np.uint8)]).astype(np.uint16) * 257),
    ],
)
def test_lossless_formats(tmp_path: Path, name: str, image: np.ndarray) -> None:
    # Older OpenCV writes floating point in a format of its own precision.
    tolerance = 3 if image.dtype == np.float32 else 0
    np.testing.assert_allclose(read_image(save(tmp_path / name, image)).astype(int), IMAGE, atol=tolerance)


@pytest.mark.parametrize("name", ["grey.png", "grey.pgm"])
@pytest.mark.parametrize("factor", [1, 257])
def test_grey(tmp_path: Path, name: str, factor: int) -> None:
    grey = IMAGE[..., 0].astype(np.uint8 if factor == 1 else np.uint16) * factor
    image = read_image(save(tmp_path / name, grey.astype(np.uint16) if factor > 1 else grey))
    np.testing.assert_array_equal(image, np.repeat(IMAGE[..., :1], 3, axis=2))


def test_transparent_parts_are_white(tmp_path: Path) -> None:
    image = np.dstack([IMAGE, np.zeros(IMAGE.shape[:2], np.uint8)])
    assert (read_image(save(tmp_path / "clear.png", image)) == 255).all()


def test_names_in_any_script(tmp_path: Path) -> None:
    np.testing.assert_array_equal(read_image(save(tmp_path / "läufer 人 🏃.png")), IMAGE)


@pytest.mark.parametrize(("orientation", "turns"), [(1, 0), (3, 2), (6, 3), (8, 1)])
def test_photos_are_turned_upright(tmp_path: Path, orientation: int, turns: int) -> None:
    path = save(tmp_path / "photo.jpg", cv2.resize(IMAGE, (64, 32), interpolation=cv2.INTER_NEAREST))
    plain = read_image(path)
    path.write_bytes(with_orientation(path.read_bytes(), orientation))
    np.testing.assert_array_equal(read_image(path), np.rot90(plain, turns))


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".webp", ".bmp", ".tif"])
@pytest.mark.parametrize("keep", [0.6, 0.95])
def test_truncated(tmp_path: Path, suffix: str, keep: float) -> None:
    path = save(tmp_path / f"image{suffix}")
    data = path.read_bytes()
    path.write_bytes(data[: int(keep * len(data))])
    with pytest.raises(GcposeError, match=r"truncated|damaged"):
        read_image(path)


def test_a_thumbnail_does_not_hide_the_missing_end(tmp_path: Path) -> None:
    path = save(tmp_path / "photo.jpg")
    data = path.read_bytes()
    # The thumbnail's own end marker, in a segment before the picture.
    segment = b"\xff\xe2" + struct.pack(">H", len(data) + 2) + data
    whole = data[:2] + segment + data[2:]
    path.write_bytes(whole)
    assert read_image(path).shape == IMAGE.shape
    path.write_bytes(whole[:-200])
    with pytest.raises(GcposeError, match="truncated"):
        read_image(path)


@pytest.mark.parametrize("content", [b"", b"hello", b"\xff\xd8", b"\xff\xd8\xff", b"\x89PNG", RNG.bytes(100)])
def test_not_an_image(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "image.jpg"
    path.write_bytes(content)
    with pytest.raises(GcposeError, match=r"image\.jpg"):
        read_image(path)


def test_missing(tmp_path: Path) -> None:
    with pytest.raises(GcposeError, match="no file"):
        read_image(tmp_path / "nothing.png")


def test_folders_are_read_in_natural_order(tmp_path: Path) -> None:
    for name in ("10.png", "9.png", "b.PNG", "a.jpg"):
        save(tmp_path / name)
    (tmp_path / "notes.txt").write_text("x")
    (tmp_path / "folder.png").mkdir()
    assert [path.name for path in list_images(tmp_path)] == ["9.png", "10.png", "a.jpg", "b.PNG"]


def test_bad_images_of_a_folder_are_left_out(tmp_path: Path) -> None:
    save(tmp_path / "1.png")
    (tmp_path / "2.png").write_bytes(b"")
    save(tmp_path / "3.png", IMAGE[:1, :1])
    source = ImageSource(tmp_path, list_images(tmp_path))
    frames = list(source)
    assert [(frame.index, frame.time_s, frame.image.shape) for frame in frames] == [
        (0, None, (40, 60, 3)),
        (1, None, (1, 1, 3)),
    ]
    assert frames[1].source == str(tmp_path / "3.png")
    assert len(source.warnings) == 1
    assert "2.png is empty" in source.warnings[0]


def test_a_folder_of_bad_images_is_refused(tmp_path: Path) -> None:
    (tmp_path / "1.png").write_bytes(b"")
    with pytest.raises(GcposeError, match="none of the 1 images"):
        list(ImageSource(tmp_path, list_images(tmp_path)))
