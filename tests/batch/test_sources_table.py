"""A row a source, in the same order whoever was done first."""

from __future__ import annotations

from pathlib import Path

import pyarrow.parquet as pq
import pytest

from gcpose_trt.batch.schema import SOURCES, VERSION_KEY
from gcpose_trt.batch.sources_table import write
from gcpose_trt.batch.types import Finished, SourceFailure
from gcpose_trt.errors import GcposeError
from tests.batch.segment_samples import image_spec, video_spec
from tests.video.sinks.common import full_disk

WALK = Finished(video_spec(), 60, 5.9, (120, 160), 150, 4, "ab", ())
HOLIDAY = Finished(image_spec(3), 2, 0.0, (48, 64), 0, 0, "cd", ("left out: 1.jpg; copy it again",))
LOST = SourceFailure("s3://bucket/\udcff", "no such bucket; check its name")
BROKEN = SourceFailure("/videos/broken.mp4", "broken.mp4 is no video; leave it out", "broken-9")


def test_rows(tmp_path: Path) -> None:
    path = tmp_path / "sources.parquet"
    write(path, [WALK, LOST, HOLIDAY, BROKEN])
    table = pq.read_table(path)
    assert table.schema.remove_metadata().equals(SOURCES.remove_metadata())
    assert table.schema.metadata[VERSION_KEY] == b"gcpose.sources 1"
    found = table.to_pylist()
    assert [row["source"] for row in found] == [
        "/pictures/holiday",
        "/videos/broken.mp4",
        "/videos/walk.mp4",
        "s3://bucket/\\udcff",
    ]
    assert [row["state"] for row in found] == ["partial", "failed", "done", "failed"]
    expected = {"source_id": "walk-1f", "kind": "video", "frames": 60, "seconds": 5.9, "height": 120, "width": 160}
    assert expected.items() <= found[2].items()
    assert {"people": 150, "tracks": 4, "sha256": "ab", "reason": None}.items() <= found[2].items()
    assert found[0]["warnings"] == ["left out: 1.jpg; copy it again"]
    assert (found[1]["reason"], found[1]["source_id"], found[1]["frames"]) == (BROKEN.reason, "broken-9", 0)
    assert (found[3]["source_id"], found[3]["kind"], found[3]["sha256"]) == (None, None, None)


def test_order_does_not_matter(tmp_path: Path) -> None:
    write(tmp_path / "a", [WALK, LOST, HOLIDAY, BROKEN])
    write(tmp_path / "b", [BROKEN, HOLIDAY, LOST, WALK])
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_no_sources(tmp_path: Path) -> None:
    write(tmp_path / "a", [])
    assert pq.read_table(tmp_path / "a").num_rows == 0


def test_full_disk(tmp_path: Path) -> None:
    with full_disk(500), pytest.raises(GcposeError, match="free some space"):
        write(tmp_path / "a", [WALK])
    assert list(tmp_path.iterdir()) == []
