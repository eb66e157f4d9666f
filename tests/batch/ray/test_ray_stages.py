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
from gcpose_trt.batch.inference import Inference
from gcpose_trt.batch.ray_streaming import Gathering, block_bytes
from gcpose_trt.batch.reading import read_segment
from gcpose_trt.batch.types import Chunk, ChunkPoses, Recipe, Segment, SegmentJob, SegmentPoses, SourcePlan, SourceSpec
from gcpose_trt.pose.types import PoseFrame
from gcpose_trt.runtime.preprocess import Placed, SizeRule, place_ahead, size_of
from tests.batch.ray.clips import make_clip

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


RULE = SizeRule(long=192)  # of RECIPE


def test_resized_frames_travel() -> None:
    chunk = chunk_of((400, 300), (30, 40), (200, 500))
    ahead = replace(chunk, images=[place_ahead(image, RULE) for image in chunk.images])
    row = ray_stages.pack_chunk(ahead)
    assert len(row["pixels"]) == 3 * (192 * 144 + 30 * 40 + 77 * 192)
    again = ray_stages.unpack_chunk(row["head"], memoryview(row["pixels"]))
    assert isinstance(again, Chunk)
    for came, sent in zip(again.images, ahead.images, strict=True):
        assert size_of(came) == size_of(sent)
        assert isinstance(came, Placed) == isinstance(sent, Placed)
        pixels = [image.pixels if isinstance(image, Placed) else image for image in (came, sent)]
        assert np.array_equal(*pixels)


@pytest.fixture
def clip(tmp_path: Path) -> SourcePlan:
    make_clip(tmp_path / "clip.mp4", 5, skip=60, size=(640, 360))
    spec = SourceSpec("a", str(tmp_path / "clip.mp4"), "video", (), "0")
    return SourcePlan(spec, (Segment(0, None, None),), 5, 25.0, (360, 640))


def test_networks_find_the_same_in_frames_that_decoders_resized(clip: SourcePlan) -> None:
    packed, moved = ray_stages.pack_job(SegmentJob(clip, clip.segments[0], RECIPE))
    found: list[list[ChunkPoses]] = []
    sent = []
    with Inference(RECIPE) as infer:
        for rule in (None, RULE):
            rows = list(ray_stages.decode({"job": packed, "moved": moved}, rule))
            chunks = [ray_stages.unpack_chunk(**row) for row in rows]
            found.append([infer(chunk) for chunk in chunks if isinstance(chunk, Chunk)])
            sent.append(sum(len(row["pixels"]) for row in rows))
    assert sent == [5 * 360 * 640 * 3, 5 * 108 * 192 * 3]
    assert [len(chunk.poses) for chunk in found[0]] == [2, 2, 1]
    assert sum(len(poses) for chunk in found[0] for poses in chunk.poses) > 0
    for whole, resized in zip(*found, strict=True):
        assert resized.failure is None
        assert resized.sizes == whole.sizes == [(360, 640)] * len(whole.poses)
        for one, other in zip(whole.poses, resized.poses, strict=True):
            for name in ("boxes", "scores", "keypoints"):
                assert getattr(one, name).tobytes() == getattr(other, name).tobytes()


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (MemoryError(), "out of memory while decoding; use fewer --decoders"),
        (ValueError("two\nlines"), "ValueError: two lines; check the file, then run the same command again"),
    ],
)
def test_frames_that_cannot_be_resized_are_their_segments_failure(
    clip: SourcePlan, monkeypatch: pytest.MonkeyPatch, error: Exception, reason: str
) -> None:
    def fail(*_: Any) -> None:
        raise error

    monkeypatch.setattr(ray_stages, "place_ahead", fail)
    packed, moved = ray_stages.pack_job(SegmentJob(clip, clip.segments[0], RECIPE))
    rows = list(ray_stages.decode({"job": packed, "moved": moved}, RULE))
    found = [ray_stages.unpack_chunk(**row) for row in rows]
    assert [(type(one), one.failure, one.number, one.last) for one in found] == [
        (ChunkPoses, reason, number, number == 2) for number in range(3)
    ]


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


@pytest.mark.parametrize(
    ("frames", "rule", "networks", "mebibytes"),
    [
        (100_000, None, 8, 64),
        (100_000, RULE, 8, 64),
        (2_000, RULE, 8, 2_000 * 3 * 108 * 192 / 8 / 4 / 2**20 * 2),  # of each of two clips
        (2_000, RULE, 64, 4),
        (10, RULE, 1, 4),
        (10, SizeRule(long=9000), 1, 10 * 3 * 1080 * 1920 / 4 / 2**20 * 2),  # which would make more of them
        (None, RULE, 8, 64),
    ],
)
def test_little_work_is_spread_over_all_networks(
    frames: int | None, rule: SizeRule | None, networks: int, mebibytes: float
) -> None:
    spec = SourceSpec("a", "/a.mp4", "video", (), "0")
    plan = SourcePlan(spec, tuple(Segment(n, n, None) for n in range(5)), frames, 25.0, (1080, 1920))
    jobs = [SegmentJob(plan, segment, RECIPE) for segment in plan.segments] * 2
    assert block_bytes(jobs, rule, networks) == pytest.approx(mebibytes * 2**20, abs=1)


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
