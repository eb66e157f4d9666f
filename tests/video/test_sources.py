"""What a user may name as a source, and what not."""

from __future__ import annotations

import os
from pathlib import Path

import cv2
import numpy as np
import pytest

from gcpose_trt.errors import GcposeError
from gcpose_trt.video.sources import open_source
from tests.support.clips import make_clip

IMAGE = np.full((20, 30, 3), 90, np.uint8)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("a1.png", "a2.png", "b1.jpg"):
        cv2.imwrite(str(tmp_path / name), IMAGE)
    make_clip(tmp_path / "clip.mp4", [np.full((32, 32, 3), 90, np.uint8)] * 3)
    return tmp_path


@pytest.mark.parametrize(
    ("uri", "kind", "names"),
    [
        ("clip.mp4", "video", ["clip.mp4"] * 3),
        ("a1.png", "image", ["a1.png"]),
        (".", "images", ["a1.png", "a2.png", "b1.jpg"]),
        ("a*.png", "images", ["a1.png", "a2.png"]),
        ("*1.*", "images", ["a1.png", "b1.jpg"]),
        ("b?.jpg", "images", ["b1.jpg"]),
    ],
)
def test_kinds(folder: Path, uri: str, kind: str, names: list[str]) -> None:
    with open_source(folder / uri if uri != "." else folder) as source:
        assert source.kind == kind
        frames = list(source)
    assert [Path(frame.source).name for frame in frames] == names
    assert all(frame.image.dtype == np.uint8 and frame.image.shape[2] == 3 for frame in frames)


def test_a_name_with_brackets_is_a_file_if_it_is_there(folder: Path) -> None:
    (folder / "a1.png").rename(folder / "a[1].png")
    with open_source(folder / "a[1].png") as source:
        assert source.kind == "image"
        assert len(list(source)) == 1


def test_content_counts_where_the_ending_says_nothing(folder: Path) -> None:
    (folder / "a1.png").rename(folder / "picture")
    (folder / "clip.mp4").rename(folder / "video")
    assert open_source(folder / "picture").kind == "image"
    with open_source(folder / "video") as source:
        assert source.kind == "video"


@pytest.mark.parametrize(
    "uri", ["nothing.mp4", "nothing*.jpg", "a*.mp4", "empty", "empty.mp4", "empty.png", "text.png"]
)
def test_refusals(folder: Path, uri: str) -> None:
    (folder / "empty").mkdir()
    (folder / "empty.mp4").write_bytes(b"")
    (folder / "empty.png").write_bytes(b"")
    (folder / "text.png").write_text("hello")
    with pytest.raises(GcposeError, match=r"no |empty|damaged") as caught:
        open_source(folder / uri)
    assert "\n" not in str(caught.value)


def test_no_name_and_no_file(tmp_path: Path) -> None:
    with pytest.raises(GcposeError, match="empty name"):
        open_source("")
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(GcposeError, match="not a regular file"):
        open_source(tmp_path / "pipe")
