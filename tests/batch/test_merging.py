"""One table a source: the same whatever the cutting, with one tracker's numbers."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.dataset
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gcpose_trt.batch import merging
from gcpose_trt.batch.merging import FRAMES_KEY, merge
from gcpose_trt.batch.schema import COORDINATES, POSES, VERSION
from gcpose_trt.batch.segment_file import write_segment
from gcpose_trt.batch.types import Finished, SegmentPoses, SourceFailure
from gcpose_trt.errors import GcposeError
from gcpose_trt.pose.skeleton import COCO17
from gcpose_trt.pose.tracking import Tracker
from gcpose_trt.pose.types import PoseFrame
from tests.batch.segment_samples import RECIPE, SIZE, crowd, cut, image_spec, plan_of, segment, video_spec
from tests.video.sinks.common import full_disk

SPEC = video_spec()


def rows(path: Path) -> list[dict[str, Any]]:
    return pq.read_table(path, partitioning=None).to_pylist()


def merged(segments: Sequence[SegmentPoses], out: Path) -> Finished:
    done = merge(plan_of(SPEC, len(segments)), RECIPE, iter(segments), out)
    assert isinstance(done, Finished)
    return done


def poses_of(row: dict[str, Any]) -> np.ndarray:
    return np.array([[row[f"{joint}_{part}"] for part in ("x", "y", "score")] for joint in COCO17.names], np.float32)


def test_rows_are_what_one_tracker_says(tmp_path: Path) -> None:
    people, tracker = crowd(60), Tracker()
    done = merged(cut(SPEC.id, people, [20, 21, 40], start=7.0), tmp_path / "part.parquet")
    found = rows(tmp_path / "part.parquet")
    start = 7.0
    expected = []
    for frame, poses in enumerate(people):
        seconds = float((start + np.arange(60) / 10)[frame]) - start
        followed = tracker.update(poses, seconds)
        assert followed.ids is not None
        for person in range(len(poses)):
            number = int(followed.ids[person])
            expected.append((frame, seconds, person, number if number >= 0 else None))
    assert [(row["frame"], row["time"], row["person"], row["track"]) for row in found] == expected
    assert len({row["track"] for row in found} - {None}) == done.tracks > 1
    flat = [(poses, person) for poses in people for person in range(len(poses))]
    for row, (poses, person) in zip(found, flat, strict=True):
        box = np.array([row["box_x1"], row["box_y1"], row["box_x2"], row["box_y2"]], np.float32)
        assert np.array_equal(box, poses.boxes[person])
        assert np.array_equal(poses_of(row), poses.keypoints[person])
        assert np.float32(row["score"]) == poses.scores[person]
        assert (row["source"], row["file"], row["model"]) == (SPEC.uri, None, RECIPE.model_hash)
    assert (done.frames, done.people, done.size, done.warnings) == (60, len(found), SIZE, ())
    assert done.seconds == pytest.approx(5.9)
    assert done.sha256 == hashlib.sha256((tmp_path / "part.parquet").read_bytes()).hexdigest()


@settings(deadline=None, max_examples=12, derandomize=True)
@given(st.lists(st.integers(0, 30), max_size=5).map(sorted), st.integers(0, 3))
def test_borders_leave_no_trace(tmp_path_factory: pytest.TempPathFactory, borders: list[int], seed: int) -> None:
    folder = tmp_path_factory.mktemp("merging")
    people = crowd(30, seed)
    whole = merged(cut(SPEC.id, people, []), folder / "whole.parquet")
    parts = merged(cut(SPEC.id, people, borders), folder / "parts.parquet")
    assert replace(parts, sha256=whole.sha256) == whole
    a, b = (pq.read_table(folder / name, partitioning=None) for name in ("whole.parquet", "parts.parquet"))
    assert a.equals(b)


def test_row_groups_go_by_people_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(merging, "ROWS", 10)
    people = crowd(40)
    groups = []
    for borders in ([], [7, 8, 30]):
        merged(cut(SPEC.id, people, borders), tmp_path / "part.parquet")
        file = pq.ParquetFile(tmp_path / "part.parquet")
        frames = [file.read_row_group(n, ["frame"])["frame"].to_pylist() for n in range(file.num_row_groups)]
        assert all(len(group) >= 10 for group in frames[:-1])
        # The people of a frame stay together.
        assert all(a[-1] < b[0] for a, b in pairwise(frames))
        groups.append(frames)
    assert groups[0] == groups[1]
    assert len(groups[0]) > 5


def test_bytes_depend_on_the_input_alone(tmp_path: Path) -> None:
    segments = cut(SPEC.id, crowd(30), [10])
    merged(segments, tmp_path / "a/part.parquet")
    merged(segments, tmp_path / "elsewhere/b.parquet")
    assert (tmp_path / "a/part.parquet").read_bytes() == (tmp_path / "elsewhere/b.parquet").read_bytes()


def test_from_the_store_s_files(tmp_path: Path) -> None:
    segments = cut(SPEC.id, crowd(30), [10, 20])
    paths = [tmp_path / f"{part.segment}.parquet" for part in segments]
    for path, part in zip(paths, segments, strict=True):
        write_segment(path, part)
    first = merged(segments, tmp_path / "a.out")
    assert merge(plan_of(SPEC, 3), RECIPE, [str(path) for path in paths], tmp_path / "b.out") == first
    paths[1].write_bytes(b"PAR1")
    with pytest.raises(GcposeError, match=r"1\.parquet is damaged; run the same command again"):
        merge(plan_of(SPEC, 3), RECIPE, paths, tmp_path / "c.out")
    assert not (tmp_path / "c.out").exists()


def test_the_file_describes_itself_and_is_a_hive_partition(tmp_path: Path) -> None:
    part = tmp_path / f"poses/source_id={SPEC.id}/part-0.parquet"
    merged(cut(SPEC.id, crowd(10), [3]), part)
    merged(cut(SPEC.id, crowd(10, 1), [3]), tmp_path / "poses/source_id=other/part-0.parquet")
    file = pq.ParquetFile(part)
    assert file.schema_arrow.remove_metadata().equals(POSES.remove_metadata())
    assert file.schema_arrow.field("time").metadata[b"unit"] == b"s"
    about = file.metadata.metadata
    assert about[b"gcpose.schema"] == VERSION.encode()
    assert about[b"gcpose.coordinates"] == COORDINATES.encode()
    assert json.loads(about[FRAMES_KEY]) == [3, 7]
    assert file.metadata.row_group(0).column(0).compression == "ZSTD"
    table = pyarrow.dataset.dataset(tmp_path / "poses", partitioning="hive").to_table()
    assert set(table["source_id"].to_pylist()) == {SPEC.id, "other"}
    assert table.num_rows == sum(len(rows(path)) for path in (tmp_path / "poses").rglob("*.parquet"))


def test_without_people(tmp_path: Path) -> None:
    done = merged(cut(SPEC.id, [PoseFrame.empty()] * 4, [2]), tmp_path / "part.parquet")
    assert (done.frames, done.people, done.tracks) == (4, 0, 0)
    assert pq.read_table(tmp_path / "part.parquet").num_rows == 0


def test_without_tracking(tmp_path: Path) -> None:
    segments = cut(SPEC.id, crowd(10), [])
    done = merge(plan_of(SPEC, 1), replace(RECIPE, track=False), segments, tmp_path / "part.parquet")
    assert isinstance(done, Finished) and done.tracks == 0
    assert {row["track"] for row in rows(tmp_path / "part.parquet")} == {None}


def test_pictures_keep_their_places(tmp_path: Path) -> None:
    spec = image_spec(6)
    people = crowd(3)
    nan = np.full(2, np.nan)
    first = SegmentPoses(spec.id, 0, people[:2], [SIZE] * 2, np.array([0, 2]), nan, ("left out: 1.jpg; copy it",))
    second = SegmentPoses(spec.id, 1, people[2:], [SIZE], np.array([4]), nan[:1])
    done = merge(plan_of(spec, 2), RECIPE, [first, second], tmp_path / "part.parquet")
    assert isinstance(done, Finished)
    assert (done.frames, done.seconds, done.tracks, done.warnings) == (3, 0.0, 0, ("left out: 1.jpg; copy it",))
    found = {(row["frame"], row["file"], row["time"], row["track"]) for row in rows(tmp_path / "part.parquet")}
    assert found == {(n, spec.files[n], None, None) for n in (0, 2, 4)}


def test_a_failed_segment_among_good_ones(tmp_path: Path) -> None:
    people = crowd(20)
    parts = cut(SPEC.id, people, [10, 10])
    parts[1] = replace(parts[1], failure="the worker died 3 times; use fewer --workers")
    done = merged(parts, tmp_path / "part.parquet")
    assert done.frames == 20
    assert done.warnings == ("segment 2 of 3: the worker died 3 times; use fewer --workers",)
    assert json.loads(pq.ParquetFile(tmp_path / "part.parquet").metadata.metadata[FRAMES_KEY]) == [10, 0, 10]
    assert max(row["frame"] for row in rows(tmp_path / "part.parquet")) == 19


def test_nothing_read_is_a_failure_and_leaves_no_file(tmp_path: Path) -> None:
    broken = [segment(SPEC.id, n, [], failure=f"cannot read part {n}; copy it again") for n in (0, 1)]
    result = merge(plan_of(SPEC, 2), RECIPE, broken, tmp_path / "poses/part.parquet")
    assert result == SourceFailure(SPEC.uri, "cannot read part 0; copy it again", SPEC.id)
    empty = merge(plan_of(SPEC, 1), RECIPE, [segment(SPEC.id, 0, [])], tmp_path / "poses/part.parquet")
    assert isinstance(empty, SourceFailure) and "has no frames; " in empty.reason
    assert list((tmp_path / "poses").iterdir()) == []


def test_segments_out_of_order_or_missing_are_refused(tmp_path: Path) -> None:
    parts = cut(SPEC.id, crowd(10), [5])
    with pytest.raises(ValueError, match="segment 1 came in the place of 0"):
        merge(plan_of(SPEC, 2), RECIPE, parts[::-1], tmp_path / "part.parquet")
    with pytest.raises(ValueError, match="shorter"):
        merge(plan_of(SPEC, 2), RECIPE, parts[:1], tmp_path / "part.parquet")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("size", [100, 5000])
def test_full_disk(tmp_path: Path, size: int) -> None:
    with full_disk(size), pytest.raises(GcposeError, match=r"cannot write .*part.parquet \(File too large\); free"):
        merged(cut(SPEC.id, crowd(200), [20]), tmp_path / "part.parquet")
    assert list(tmp_path.iterdir()) == []


def test_addresses_that_are_no_utf8(tmp_path: Path) -> None:
    spec = replace(SPEC, uri="/videos/\udce4.mp4")
    merge(plan_of(spec, 1), RECIPE, cut(spec.id, crowd(3), []), tmp_path / "part.parquet")
    assert {row["source"] for row in rows(tmp_path / "part.parquet")} == {"/videos/\\udce4.mp4"}


@pytest.mark.parametrize(("promised", "told"), [(None, False), (60, False), (61, False), (90, True)])
def test_file_that_ends_early_is_told(tmp_path: Path, promised: int | None, told: bool) -> None:
    plan = replace(plan_of(SPEC, 2), frames=promised)
    done = merge(plan, RECIPE, iter(cut(SPEC.id, crowd(60), [30])), tmp_path / "part.parquet")
    assert isinstance(done, Finished)
    expected = (f"{SPEC.uri} ends early: read 60 of 90 frames; copy it again",)
    assert done.warnings == (expected if told else ())
