"""The table: its columns, its quotes, and what a reader makes of it."""

from __future__ import annotations

import csv
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from gcpose_trt.errors import GcposeError
from gcpose_trt.pose import PoseFrame
from gcpose_trt.video.sinks import CsvSink
from gcpose_trt.video.sinks.csv_table import COLUMNS
from tests.video.sinks.common import NOBODY, ONE, full_disk, result

TWO = PoseFrame(
    [[1, 2, 30, 40], [5, 6, 7, 8]], [0.9, 0.5], np.arange(102, dtype=np.float32).reshape(2, 17, 3) / 128, [4, 9]
)


def read(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as stream:
        return list(csv.DictReader(stream))


def test_one_row_a_person(tmp_path: Path) -> None:
    path = tmp_path / "out.csv"
    with CsvSink(path) as sink:
        sink.write(result(0, 0.0, 'a, "b"\nü.mp4', TWO, unix_time=1767225600.5))
        assert len(read(path)) == 2, "complete as soon as it is written"
        sink.write(result(1, 0.1, poses=NOBODY))
        sink.write(result(2, None))
    rows = read(path)
    assert len(rows) == 3
    assert all(len(row) == 10 + 3 * 17 for row in rows)
    assert (rows[0]["source"], rows[0]["id"], rows[1]["id"]) == ('a, "b"\nü.mp4', "4", "9")
    assert (rows[0]["unix_time"], rows[0]["time"]) == ("1767225600.500", "0.0")
    assert (rows[2]["frame"], rows[2]["time"], rows[2]["unix_time"], rows[2]["id"]) == ("2", "", "", "")
    assert [float(rows[1][name]) for name in ("score", "x1", "y1", "x2", "y2")] == [0.5, 5, 6, 7, 8]
    found = [float(rows[1][name]) for name in COLUMNS[10:]]
    np.testing.assert_allclose(found, TWO.keypoints[1].ravel(), atol=0.006)
    data = path.read_bytes()
    assert data.startswith(b"source,frame,time,unix_time,id,score,x1,y1,x2,y2,nose_x,nose_y,nose_score,left_eye_x,")
    assert data.count(b"\r\n") == 4, "the header and each row end as RFC 4180 says"


def test_names_that_are_not_utf8(tmp_path: Path) -> None:
    with CsvSink(tmp_path / "out.csv") as sink:
        sink.write(result(source=b"\xff.mp4".decode("utf-8", "surrogateescape")))
    assert read(tmp_path / "out.csv")[0]["source"] == "\\udcff.mp4"


def test_nobody_at_all_is_a_table_without_rows(tmp_path: Path) -> None:
    with CsvSink(tmp_path / "out.csv") as sink:
        sink.write(result(poses=NOBODY))
    assert (tmp_path / "out.csv").read_text().count("\n") == 1


def test_ends(tmp_path: Path) -> None:
    path = tmp_path / "out.csv"
    with pytest.raises(KeyboardInterrupt), CsvSink(path) as sink:
        sink.write(result())
        raise KeyboardInterrupt
    assert len(read(path)) == 1
    with pytest.raises(ZeroDivisionError), CsvSink(path) as sink:
        sink.write(result())
        raise ZeroDivisionError
    assert not path.exists()
    with pytest.raises(GcposeError, match="free some space"), CsvSink(path) as sink, full_disk(2000):
        for index in range(100):
            sink.write(result(index, poses=replace(ONE, ids=[index])))
    ids = [int(row["id"]) for row in read(path)]
    assert ids == list(range(len(ids)))
    assert ids
