"""What the tables say of themselves."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from gcpose_trt.batch.schema import COORDINATES, POSES, SOURCES, VERSION, VERSION_KEY, describe, text
from gcpose_trt.errors import MissingDependencyError
from gcpose_trt.pose.skeleton import COCO17


def test_a_person_is_one_flat_row() -> None:
    head = ["source", "frame", "time", "file", "person", "track", "box_x1", "box_y1", "box_x2", "box_y2", "score"]
    joints = [f"{joint}_{part}" for joint in COCO17.names for part in ("x", "y", "score")]
    assert POSES.names == [*head, *joints, "model"]
    assert [field.name for field in POSES if field.nullable] == ["time", "file", "track"]
    assert str(POSES.field("person").type) == "int16"
    assert {str(POSES.field(name).type) for name in joints} == {"float"}


def test_it_describes_itself() -> None:
    assert POSES.metadata == {VERSION_KEY: VERSION.encode(), b"gcpose.coordinates": COORDINATES.encode()}
    for field in [*POSES, *SOURCES]:
        assert field.metadata[b"description"]
    assert POSES.field("nose_x").metadata[b"unit"] == b"px"
    assert b"person's own side" in POSES.field("left_wrist_x").metadata[b"description"]


def test_markdown() -> None:
    lines = describe().splitlines()
    assert lines[:2] == ["| Column | Type | Unit | Meaning |", "|---|---|---|---|"]
    assert len(lines) == 2 + len(POSES)
    assert "| `time` | double, null | s | since the source's first frame; null for pictures |" in lines
    assert all(line.count("|") == 5 for line in lines)
    assert "`sha256`" in describe(SOURCES)


def test_names_that_are_no_utf8() -> None:
    assert text("größe\udcff") == "größe\\udcff"


def test_without_pyarrow(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    monkeypatch.delitem(sys.modules, "gcpose_trt.batch.schema")
    with pytest.raises(MissingDependencyError, match=r"a batch needs the package pyarrow: pip install .*\[batch\]"):
        import gcpose_trt.batch.schema  # noqa: F401


def test_page_of_the_documentation_has_the_columns() -> None:
    page = (Path(__file__).resolve().parents[2] / "docs" / "batch.md").read_text(encoding="utf-8")
    assert describe() in page
    assert describe(SOURCES) in page
    assert COORDINATES in page
