"""A few frames, from a folder or a clip."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from gcpose_trt.errors import GcposeError
from gcpose_trt.video import sampling
from gcpose_trt.video.sampling import read_frames
from tests.support.clips import make_clip


def save(path: Path, value: int) -> None:
    cv2.imwrite(str(path), np.full((8, 12, 3), value, np.uint8))


def test_images_are_spread_over_the_folder(tmp_path: Path) -> None:
    for number in range(10):
        save(tmp_path / f"{number}.png", number)
    (tmp_path / "notes.txt").write_text("not an image")
    assert [int(image[0, 0, 0]) for image in read_frames(tmp_path, 4)] == [0, 3, 6, 9]


def test_fewer_images_than_wanted(tmp_path: Path) -> None:
    save(tmp_path / "one.PNG", 7)
    assert [image.shape for image in read_frames(tmp_path, 4)] == [(8, 12, 3)]
    assert [image.shape for image in read_frames(tmp_path / "one.PNG", 4)] == [(8, 12, 3)]


def test_nothing_to_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(GcposeError, match="no file"):
        read_frames(tmp_path / "missing")
    with pytest.raises(GcposeError, match="no images in folder"):
        read_frames(tmp_path)
    (tmp_path / "broken.jpg").write_bytes(b"\xff\xd8 not a picture")
    with pytest.raises(GcposeError, match=r"broken\.jpg"):
        read_frames(tmp_path)
    monkeypatch.setattr(sampling, "SAMPLE_CLIP", tmp_path / "sample.mp4")
    with pytest.raises(GcposeError, match=r"sample clip .* is missing; .*--images"):
        read_frames()


@pytest.mark.parametrize("name", ["clip.mp4", "clip.mkv"])  # Matroska does not say how many frames there are
def test_frames_of_a_clip(tmp_path: Path, name: str) -> None:
    images = [np.full((48, 64, 3), 4 * index, np.uint8) for index in range(60)]
    frames = read_frames(make_clip(tmp_path / name, images), 3)
    assert [frame.shape for frame in frames] == [(48, 64, 3)] * 3
    values = [int(frame.mean()) for frame in frames]
    assert values[0] < 15
    assert values[1] - values[0] > 70
    assert values[2] - values[1] > 70
