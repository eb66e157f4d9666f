"""Segments on disk: as they were, or not there."""

from __future__ import annotations

import random
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings

from gcpose_trt.batch.segment_file import DamagedSegmentError, read_segment, write_segment
from gcpose_trt.batch.types import SegmentPoses
from gcpose_trt.errors import GcposeError
from tests.batch.segment_samples import crowd, same, segment, segments
from tests.video.sinks.common import full_disk


def is_whole(path: Path, source_id: str, number: int) -> bool:
    try:
        found = read_segment(path)
    except DamagedSegmentError:
        return False
    return (found.source_id, found.segment) == (source_id, number)


@settings(deadline=None, max_examples=25, derandomize=True)
@given(segments())
def test_round_trip(tmp_path_factory: pytest.TempPathFactory, poses: SegmentPoses) -> None:
    path = tmp_path_factory.mktemp("segments") / "0.parquet"
    write_segment(path, poses)
    assert same(read_segment(path), poses)
    assert is_whole(path, poses.source_id, poses.segment)
    assert not is_whole(path, poses.source_id, poses.segment + 1)
    first = path.read_bytes()
    write_segment(path, poses)
    assert path.read_bytes() == first


def test_a_flipped_bit_anywhere_is_seen_or_harmless(tmp_path: Path) -> None:
    poses = segment("walk", 3, crowd(6), warnings=("a damaged frame",))
    path = tmp_path / "3.parquet"
    write_segment(path, poses)
    whole = path.read_bytes()
    chance = random.Random(0)
    refused = 0
    for _ in range(150):
        damaged = bytearray(whole)
        damaged[chance.randrange(len(whole))] ^= 1 << chance.randrange(8)
        path.write_bytes(damaged)
        try:
            assert same(read_segment(path), poses)
        except DamagedSegmentError as error:
            assert "3.parquet is damaged; run the same command again" in str(error)
            refused += 1
    assert refused > 40


def test_cut_short(tmp_path: Path) -> None:
    path = tmp_path / "0.parquet"
    write_segment(path, segment("walk", 0, crowd(6)))
    whole = path.read_bytes()
    for length in [*range(0, len(whole), 97), len(whole) - 1]:
        path.write_bytes(whole[:length])
        assert not is_whole(path, "walk", 0)


def test_another_file_and_none(tmp_path: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    pq.write_table(pa.table({"a": [1]}), tmp_path / "0.parquet")
    assert not is_whole(tmp_path / "0.parquet", "walk", 0)
    assert not is_whole(tmp_path / "1.parquet", "walk", 1)


def test_negative_zero_and_nan_survive(tmp_path: Path) -> None:
    poses = segment("walk", 0, crowd(2))
    poses = replace(poses, times=np.array([-0.0, np.nan]))
    write_segment(tmp_path / "0.parquet", poses)
    assert same(read_segment(tmp_path / "0.parquet"), poses)


def test_full_disk(tmp_path: Path) -> None:
    path = tmp_path / "0.parquet"
    write_segment(path, segment("walk", 0, crowd(1)))
    before = path.read_bytes()
    with (
        full_disk(1000),
        pytest.raises(GcposeError, match=r"cannot write .*0.parquet \(File too large\); free some space"),
    ):
        write_segment(path, segment("walk", 0, crowd(50)))
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]
