"""JSON lines: the schema, complete at any time."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from gcpose_trt.errors import GcposeError
from gcpose_trt.pose import PoseFrame
from gcpose_trt.video.sinks import JsonLinesSink
from tests.video.sinks.common import NOBODY, ONE, full_disk, result


def test_lines_are_complete_as_they_are_written(tmp_path: Path) -> None:
    path = tmp_path / "out.jsonl"
    with JsonLinesSink(path) as sink:
        for index, poses in enumerate([ONE, NOBODY]):
            sink.write(result(index, index / 3, "clip ü.mp4", poses))
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


def test_what_live_sources_add(tmp_path: Path) -> None:
    path = tmp_path / "out.jsonl"
    tracked = replace(ONE, ids=[7])
    with JsonLinesSink(path, ["door", "yard"]) as sink:
        sink.write(result(3, 0.1, "rtsp://camera/2", tracked, stream=1, unix_time=1767225600.12345, latency_ms=41.678))
        sink.write(result(3, 0.1, "clip.mp4", latency_ms=900.0))
    live, clip = (json.loads(line) for line in path.read_text().splitlines())
    assert (live["stream"], live["unix_time"], live["latency_ms"]) == ("yard", 1767225600.123, 41.7)
    assert live["people"][0]["id"] == 7
    assert clip["stream"] == "door"
    assert not {"unix_time", "latency_ms"} & set(clip)


def test_images_have_no_time(tmp_path: Path) -> None:
    with JsonLinesSink(tmp_path / "out.jsonl") as sink:
        sink.write(result(0, None, "a.png"))
    assert json.loads((tmp_path / "out.jsonl").read_text())["time"] is None


def test_ctrl_c_keeps_lines_and_an_error_does_not(tmp_path: Path) -> None:
    path = tmp_path / "out.jsonl"
    with pytest.raises(KeyboardInterrupt), JsonLinesSink(path) as sink:
        sink.write(result())
        raise KeyboardInterrupt
    assert len(path.read_text().splitlines()) == 1
    with pytest.raises(ZeroDivisionError), JsonLinesSink(path) as sink:
        raise ZeroDivisionError
    assert path.is_file(), "nothing was written, so the older file stays"
    with pytest.raises(ZeroDivisionError), JsonLinesSink(path) as sink:
        sink.write(result())
        raise ZeroDivisionError
    assert not path.exists()


def test_a_full_disk_keeps_the_lines_before_it(tmp_path: Path) -> None:
    path = tmp_path / "out.jsonl"
    written = 0
    with pytest.raises(GcposeError, match="free some space") as caught, JsonLinesSink(path) as sink, full_disk(2000):
        for written in range(100):
            sink.write(result(written))
    assert "\n" not in str(caught.value)
    assert 1 < written < 99
    assert [json.loads(line)["frame"] for line in path.read_text().splitlines()] == list(range(written))


def test_a_disk_that_is_full_from_the_start_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(GcposeError, match="free some space"), JsonLinesSink(tmp_path / "a") as sink, full_disk(100):
        sink.write(result())
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("path", ["file/a.jsonl", ".", "/proc/out.jsonl"])
def test_unwritable(tmp_path: Path, path: str) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(GcposeError):
        JsonLinesSink(tmp_path / path)
    assert [path.name for path in tmp_path.iterdir()] == ["file"]
