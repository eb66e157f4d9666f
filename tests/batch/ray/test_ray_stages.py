"""Rows of Ray Data, without Ray."""

from __future__ import annotations

import pickle
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from gcpose_trt.batch import ray_stages
from gcpose_trt.batch.ray_streaming import Gathering
from gcpose_trt.batch.reading import read_segment
from gcpose_trt.batch.types import Chunk, ChunkPoses, Recipe, Segment, SegmentJob, SegmentPoses, SourcePlan, SourceSpec
from gcpose_trt.pose.types import PoseFrame

RECIPE = Recipe("mobile", "0", "onnxruntime", "int8", "192", 0.5, 30, 1, 2, 30.0, 3, True, False)


def chunk_of(*sizes: tuple[int, int], number: int = 0, last: bool = True) -> Chunk:
    rng = np.random.default_rng(number)
    images = [rng.integers(0, 255, (*size, 3), np.uint8) for size in sizes]
    return Chunk("a", 0, number, last, images, np.arange(len(sizes)), np.arange(len(sizes)) / 25, ("w",), None)


@pytest.mark.parametrize("sizes", [[], [(4, 6)], [(4, 6), (4, 6)], [(4, 6), (3, 5), (1, 1)]])
def test_chunks_travel(sizes: list[tuple[int, int]]) -> None:
    chunk = chunk_of(*sizes)
    row = ray_stages.pack_chunk(replace(chunk, images=[image[:, ::-1][:, ::-1] for image in chunk.images]))
    again = ray_stages.unpack_chunk(row["head"], memoryview(row["pixels"]))
    assert isinstance(again, Chunk)
    assert len(again.images) == len(sizes)
    assert all(np.array_equal(a, b) for a, b in zip(again.images, chunk.images, strict=True))
    assert (again.source_id, again.last, again.warnings) == ("a", True, ("w",))
    assert np.array_equal(again.times, chunk.times)


@pytest.fixture
def pictures(tmp_path: Path) -> SourcePlan:
    import cv2

    files = []
    for number in range(8):
        files.append(tmp_path / f"{number}.png")
        cv2.imwrite(str(files[-1]), np.full((4 + number, 5, 3), number, np.uint8))
    files[4].write_bytes(b"damaged")
    spec = SourceSpec("a", str(tmp_path), "images", tuple(map(str, files)), "0")
    return SourcePlan(spec, (Segment(0, 0, 3), Segment(1, 3, 6), Segment(2, 6, 8)), 8, None, None)


@pytest.mark.parametrize("index", [0, 1, 2])
def test_pictures_are_counted_in_their_source(pictures: SourcePlan, index: int) -> None:
    segment = pictures.segments[index]
    packed, moved = ray_stages.pack_job(SegmentJob(pictures, segment, RECIPE))
    assert len(pickle.loads(packed).plan.spec.files) == segment.end - segment.start  # type: ignore[operator]
    rows = list(ray_stages.decode({"job": packed, "moved": moved}))
    found = [ray_stages.unpack_chunk(**row) for row in rows]
    wanted = list(read_segment(pictures, segment, RECIPE))
    for one, other in zip(found, wanted, strict=True):
        assert isinstance(one, Chunk)
        assert np.array_equal(one.ordinals, other.ordinals)
        assert all(np.array_equal(a, b) for a, b in zip(one.images, other.images, strict=True))
        assert (one.number, one.last, one.warnings) == (other.number, other.last, other.warnings)


def test_pictures_whose_folder_this_machine_lacks(pictures: SourcePlan) -> None:
    spec = replace(pictures.spec, files=("/nowhere/0.png",))
    packed, moved = ray_stages.pack_job(SegmentJob(replace(pictures, spec=spec), Segment(0, 0, 1), RECIPE))
    (row,) = ray_stages.decode({"job": packed, "moved": moved})
    found = ray_stages.unpack_chunk(**row)
    assert isinstance(found, ChunkPoses) and found.again
    assert str(found.failure).startswith("/nowhere is not there on the machine ")


class Broken:
    def __init__(self, recipe: Recipe, device: str | None) -> None:
        pass

    def __call__(self, chunk: Chunk) -> ChunkPoses:
        raise ValueError("two\nlines")


def test_an_error_of_the_network_is_its_segments_failure() -> None:
    rows = [ray_stages.pack_chunk(chunk_of((4, 6), number=0, last=False)), ray_stages.pack_chunk(chunk_of((4, 6)))]
    block = pa.table({name: [row[name] for row in rows] for name in ("head", "pixels")})
    found = [pickle.loads(row["poses"][0]) for row in ray_stages.Run(RECIPE, None, Broken)(block)]
    assert [poses.failure for poses in found] == [
        "ValueError: two lines; check the file, then run the same command again"
    ] * 2
    assert [(poses.number, poses.last, len(poses.ordinals)) for poses in found] == [(0, False, 0), (0, True, 0)]


def poses_of(number: int, last: bool = False, segment: int = 0, **more: Any) -> ChunkPoses:
    frames = [PoseFrame.empty()] * 2
    return ChunkPoses("a", segment, number, last, frames, [(1, 1)] * 2, np.arange(2) + 2 * number, np.zeros(2), **more)


def gather(chunks: list[ChunkPoses]) -> list[SegmentPoses]:
    gathering = Gathering({("a", 0)})
    return [segment for chunk in chunks for segment in gathering.add(chunk)]


@pytest.mark.parametrize("order", [[0, 1, 2], [2, 1, 0], [1, 1, 2, 2, 0, 0, 1, 2], [0, 2, 0, 1, 2, 1, 0]])
def test_segments_come_once_whatever_comes_twice(order: list[int]) -> None:
    (segment,) = gather([poses_of(number, last=number == 2) for number in order])
    assert segment.ordinals.tolist() == [0, 1, 2, 3, 4, 5]


def test_segments_that_are_not_whole_do_not_come() -> None:
    assert gather([poses_of(0), poses_of(2, last=True)]) == []
    assert gather([poses_of(0, last=True, segment=7)]) == []


def test_a_network_that_fails_in_the_middle_fails_the_segment() -> None:
    broken = replace(poses_of(0), poses=[], failure="out of memory; choose a smaller --batch")
    (segment,) = gather([broken, poses_of(1, last=True)])
    assert segment.failure == "out of memory; choose a smaller --batch"
    assert len(segment.poses) == len(segment.ordinals) == len(segment.sizes) == 0
