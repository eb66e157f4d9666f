"""Frames for the check, from a folder or a clip."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

pytest.importorskip("torch", reason="torch is not installed; pip install 'gcpose-trt[export]'")
pytest.importorskip("onnxscript", reason="onnxscript is not installed; pip install 'gcpose-trt[export]'")

from gcpose_trt.errors import GcposeError
from gcpose_trt.export.frames import read_images, read_sample


def save(path: Path, value: int) -> None:
    cv2.imwrite(str(path), np.full((8, 12, 3), value, np.uint8))


def test_images_are_spread_over_the_folder(tmp_path: Path) -> None:
    for number in range(10):
        save(tmp_path / f"{number:02}.png", number)
    (tmp_path / "notes.txt").write_text("not an image")
    assert [int(image[0, 0, 0]) for image in read_images(tmp_path, 4)] == [0, 3, 6, 9]


def test_fewer_images_than_wanted(tmp_path: Path) -> None:
    save(tmp_path / "one.PNG", 7)
    (image,) = read_images(tmp_path, 4)
    assert image.shape == (8, 12, 3)


def test_folders_without_readable_images(tmp_path: Path) -> None:
    with pytest.raises(GcposeError, match=r"there is no folder .*--images"):
        read_images(tmp_path / "missing")
    with pytest.raises(GcposeError, match=r"has no images.*--images"):
        read_images(tmp_path)
    (tmp_path / "broken.jpg").write_bytes(b"\xff\xd8 not a picture")
    with pytest.raises(GcposeError, match=r"broken.jpg cannot be read.*--images"):
        read_images(tmp_path)


def test_frames_of_a_clip(tmp_path: Path) -> None:
    clip = tmp_path / "clip.avi"
    writer = cv2.VideoWriter(str(clip), cv2.VideoWriter.fourcc(*"MJPG"), 10, (64, 48))
    assert writer.isOpened()
    for value in range(0, 250, 25):
        writer.write(np.full((48, 64, 3), value, np.uint8))
    writer.release()
    frames = read_sample(clip, 3)
    assert [frame.shape for frame in frames] == [(48, 64, 3)] * 3
    assert frames[0].mean() < 10 < frames[1].mean() < 215 < frames[2].mean()


def test_clips_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(GcposeError, match=r"is missing.*--images"):
        read_sample(tmp_path / "none.mp4")
    (tmp_path / "empty.mp4").write_bytes(b"")
    with pytest.raises(GcposeError, match=r"cannot be decoded.*--images"):
        read_sample(tmp_path / "empty.mp4")
