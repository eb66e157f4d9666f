"""JSON lines and annotated images."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from gcpose_trt.errors import GcposeError
from gcpose_trt.pose import PoseFrame
from gcpose_trt.video.frames import Frame, Result
from gcpose_trt.video.sinks import ImageSink, JsonLinesSink, SinkGroup

ONE = PoseFrame([[1, 2, 30, 40]], [0.5], np.full((1, 17, 3), 0.25))
IMAGE = np.full((20, 30, 3), 90, np.uint8)


def plain(image: np.ndarray, poses: PoseFrame) -> np.ndarray:
    return image


def test_lines_are_complete_as_they_are_written(tmp_path: Path) -> None:
    path = tmp_path / "out.jsonl"
    with JsonLinesSink(path) as sink:
        for index, poses in enumerate([ONE, PoseFrame.empty()]):
            sink.write(Result(Frame(index, index / 3, IMAGE, "clip ü.mp4"), poses))
            records = [json.loads(line) for line in path.read_text().splitlines()]
            assert len(records) == index + 1
    assert records[0] == {
        "schema": 1,
        "source": "clip ü.mp4",
        "frame": 0,
        "time": 0.0,
        "people": [{"box": [1.0, 2.0, 30.0, 40.0], "score": 0.5, "keypoints": [[0.25, 0.25, 0.25]] * 17}],
    }
    assert (records[1]["time"], records[1]["people"]) == (0.333333, [])
    assert PoseFrame.from_dict(records[0]) == ONE


def test_images_have_no_time(tmp_path: Path) -> None:
    with JsonLinesSink(tmp_path / "out.jsonl") as sink:
        sink.write(Result(Frame(0, None, IMAGE, "a.png"), ONE))
    assert json.loads((tmp_path / "out.jsonl").read_text())["time"] is None


def test_ctrl_c_keeps_lines_and_an_error_does_not(tmp_path: Path) -> None:
    path = tmp_path / "out.jsonl"
    with pytest.raises(KeyboardInterrupt), JsonLinesSink(path) as sink:
        sink.write(Result(Frame(0, 0.0, IMAGE, "a"), ONE))
        raise KeyboardInterrupt
    assert len(path.read_text().splitlines()) == 1
    with pytest.raises(ZeroDivisionError), JsonLinesSink(path) as sink:
        raise ZeroDivisionError
    assert path.is_file(), "nothing was written, so the older file stays"
    with pytest.raises(ZeroDivisionError), JsonLinesSink(path) as sink:
        sink.write(Result(Frame(0, 0.0, IMAGE, "a"), ONE))
        raise ZeroDivisionError
    assert not path.exists()


def test_a_full_disk_is_one_line(tmp_path: Path) -> None:
    sink = JsonLinesSink(tmp_path / "out.jsonl")
    with pytest.raises(GcposeError, match="No space left"), sink, Path("/dev/full").open("wb", buffering=0) as full:
        sink._stream = full
        sink.write(Result(Frame(0, 0.0, IMAGE, "a"), ONE))


def test_one_image(tmp_path: Path) -> None:
    path = tmp_path / "new" / "out.png"
    with ImageSink(path, plain, folder=False) as sink:
        sink.write(Result(Frame(0, None, IMAGE, "a.bmp"), ONE))
    np.testing.assert_array_equal(cv2.imread(str(path)), IMAGE)


def test_a_folder_keeps_names_and_sizes(tmp_path: Path) -> None:
    names = ["x/1.jpg", "y/1.jpg", "2.png", "3.pgm"]
    with ImageSink(tmp_path / "out", plain, folder=True) as sink:
        for index, name in enumerate(names):
            sink.write(Result(Frame(index, None, IMAGE[: index + 1], name), ONE))
    found = {path.name: cv2.imread(str(path)).shape[0] for path in (tmp_path / "out").iterdir()}
    assert found == {"1.jpg": 1, "1_2.jpg": 2, "2.png": 3, "3.png": 4}


def test_unwritable(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    for make in (
        lambda: ImageSink(tmp_path / "file" / "a.png", plain, folder=False),
        lambda: ImageSink(tmp_path / "file", plain, folder=True),
        lambda: ImageSink(tmp_path / "a.txt", plain, folder=False),
        lambda: ImageSink(tmp_path / "a", plain, folder=False),
        lambda: JsonLinesSink(tmp_path / "file" / "a.jsonl"),
        lambda: JsonLinesSink(tmp_path),
        lambda: JsonLinesSink(Path("/proc/out.jsonl")),
    ):
        with pytest.raises(GcposeError):
            make()
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_a_group_leaves_all_its_sinks_alike(tmp_path: Path) -> None:
    paths = [tmp_path / "a.jsonl", tmp_path / "b.jsonl"]
    with SinkGroup([JsonLinesSink(path) for path in paths]) as group:
        group.write(Result(Frame(0, 0.0, IMAGE, "a"), ONE))
    assert paths[0].read_text() == paths[1].read_text() != ""
    with pytest.raises(ZeroDivisionError), SinkGroup([JsonLinesSink(path) for path in paths]) as group:
        group.write(Result(Frame(0, 0.0, IMAGE, "a"), ONE))
        raise ZeroDivisionError
    assert list(tmp_path.iterdir()) == []
