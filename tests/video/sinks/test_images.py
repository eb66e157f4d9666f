"""Annotated images: names, sizes, intervals."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

from gcpose_trt.errors import GcposeError
from gcpose_trt.video.frames import Frame, Result
from gcpose_trt.video.sinks import ImageSink
from tests.video.sinks.common import IMAGE, ONE, full_disk, result


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_one_image(tmp_path: Path) -> None:
    path = tmp_path / "new" / "out.png"
    with ImageSink(path, folder=False) as sink:
        assert sink.needs_picture
        sink.write(result(0, None, "a.bmp"))
    np.testing.assert_array_equal(cv2.imread(str(path)), IMAGE)


def test_the_picture_is_what_is_written(tmp_path: Path) -> None:
    frame = Frame(0, None, IMAGE, "a.png")
    with ImageSink(tmp_path / "own.png", folder=False) as sink:
        sink.write(Result(frame, ONE, picture=IMAGE + 100))
    assert cv2.imread(str(tmp_path / "own.png")).mean() == 190
    with pytest.raises(GcposeError, match="without a picture"), ImageSink(tmp_path / "no.png", folder=False) as sink:
        sink.write(Result(frame, ONE))
    assert names(tmp_path) == ["own.png"]


def test_a_folder_keeps_names_and_sizes(tmp_path: Path) -> None:
    with ImageSink(tmp_path / "out", folder=True) as sink:
        for index, name in enumerate(["x/1.jpg", "y/1.jpg", "2.png", "3.pgm"]):
            sink.write(result(index, None, name, image=IMAGE[: index + 1]))
    found = {path.name: cv2.imread(str(path)).shape[0] for path in (tmp_path / "out").iterdir()}
    assert found == {"1.jpg": 1, "1_2.jpg": 2, "2.png": 3, "3.png": 4}


def test_frames_of_a_clip_are_numbered(tmp_path: Path) -> None:
    with ImageSink(tmp_path / "out", folder=True, suffix=".PNG") as sink:
        for index in (0, 12, 1234567):
            sink.write(result(index, index / 10))
    assert names(tmp_path / "out") == ["frame_000000.PNG", "frame_000012.PNG", "frame_1234567.PNG"]


def test_one_picture_now_and_then(tmp_path: Path) -> None:
    with ImageSink(tmp_path / "out", folder=True, every=1.0) as sink:
        # The clock goes back at the end.
        for index, time in enumerate([0.0, 0.4, 0.9, 1.3, 1.4, 2.31, 0.5, 0.6]):
            sink.write(result(index, time))
    assert names(tmp_path / "out") == [f"frame_00000{index}.jpg" for index in (0, 3, 5, 6)]


def test_a_full_disk_leaves_no_half_image(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (99, 99, 3), np.uint8)
    sink = ImageSink(tmp_path / "out", folder=True)
    with pytest.raises(GcposeError, match="free some space"), sink, full_disk(2000):
        sink.write(result())
        sink.write(result(1, 0.1, image=noise))
    assert names(tmp_path / "out") == ["frame_000000.jpg"]


@pytest.mark.parametrize(
    "make",
    [
        lambda here: ImageSink(here / "file" / "a.png", folder=False),
        lambda here: ImageSink(here / "file", folder=True),
        lambda here: ImageSink(here / "a.txt", folder=False),
        lambda here: ImageSink(here / "a", folder=False),
        lambda here: ImageSink(here / "folder", folder=True, suffix=".gif"),
    ],
)
def test_unwritable(tmp_path: Path, make: Callable[[Path], ImageSink]) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(GcposeError):
        make(tmp_path)
    assert names(tmp_path) == ["file"]
