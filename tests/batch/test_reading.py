"""Segments as chunks of frames, of good files and of bad ones."""

from __future__ import annotations

import dataclasses
import random
from pathlib import Path

import cv2
import numpy as np
import pytest

import gcpose_trt.batch.reading as reading
from gcpose_trt.assets import SAMPLE
from gcpose_trt.batch.reading import read_segment
from gcpose_trt.batch.types import Chunk
from gcpose_trt.video.clips import VideoSource
from tests.batch.support_inputs import RECIPE, blank, chunks, plan
from tests.support.clips import corner_image, make_clip
from tests.video.segments.support import Recipe as ClipRecipe
from tests.video.segments.support import make, whole

GROUPS = {"preset": "veryfast", "x264-params": "keyint=10:min-keyint=10:scenecut=0:bframes=3:open-gop=1"}


def clip(tmp_path: Path, suffix: str = ".mp4") -> Path:
    return make(tmp_path / f"clip{suffix}", ClipRecipe(suffix, "libx264", GROUPS))


def pictures(folder: Path, count: int) -> None:
    for number in range(count):
        cv2.imwrite(str(folder / f"{number}.png"), np.full((8, 6 + number, 3), 20 * number, np.uint8))


def check_form(segment: list[Chunk]) -> None:
    assert [chunk.number for chunk in segment] == list(range(len(segment)))
    assert [chunk.last for chunk in segment] == [False] * (len(segment) - 1) + [True]
    assert all(len(chunk.images) == RECIPE.batch for chunk in segment[:-1])
    for chunk in segment:
        assert chunk.ordinals.dtype == np.int64 and chunk.times.dtype == np.float64
        assert len(chunk.images) == len(chunk.ordinals) == len(chunk.times)
        assert chunk.last or (chunk.warnings == () and chunk.failure is None)


def test_video(tmp_path: Path) -> None:
    path = clip(tmp_path)
    planned = plan(path)
    found = chunks(planned)
    assert len(found) == len(planned.segments) > 3
    for index, segment in enumerate(found):
        check_form(segment)
        assert {(chunk.source_id, chunk.segment) for chunk in segment} == {(planned.spec.id, index)}
        ordinals = np.concatenate([chunk.ordinals for chunk in segment])
        np.testing.assert_array_equal(ordinals, np.arange(len(ordinals)))
    images, times = whole(path)
    parts = [chunk for segment in found for chunk in segment]
    np.testing.assert_array_equal([image for chunk in parts for image in chunk.images], images)
    together = np.concatenate([chunk.times for chunk in parts])
    np.testing.assert_allclose(together - together[0], times, atol=1e-9)
    assert all(chunk.warnings == () and chunk.failure is None for chunk in parts)


def test_pictures(tmp_path: Path) -> None:
    pictures(tmp_path, 8)
    found = chunks(plan(tmp_path))
    assert [[chunk.ordinals.tolist() for chunk in segment] for segment in found] == [[[0, 1, 2]], [[3, 4, 5]], [[6, 7]]]
    assert [image.shape[1] for segment in found for image in segment[0].images] == list(range(6, 14))
    assert all(np.isnan(segment[0].times).all() for segment in found)


def test_a_bad_picture_leaves_a_hole(tmp_path: Path) -> None:
    pictures(tmp_path, 6)
    (tmp_path / "1.png").write_bytes(b"")
    (tmp_path / "4.png").unlink()
    planned = dataclasses.replace(plan(tmp_path))
    (tmp_path / "5.png").unlink()  # after planning
    recipe = dataclasses.replace(RECIPE, segment_images=6, batch=2)
    planned = dataclasses.replace(planned, segments=(dataclasses.replace(planned.segments[0], end=None),))
    (segment,) = chunks(planned, recipe)
    assert [chunk.ordinals.tolist() for chunk in segment] == [[0, 2], [3]]
    first, second = segment[-1].warnings
    assert "1.png is empty" in first
    assert "no file" in second and "5.png" in second
    assert segment[-1].failure is None


def test_only_bad_pictures(tmp_path: Path) -> None:
    for number in range(2):
        (tmp_path / f"{number}.jpg").write_bytes(b"junk")
    ((chunk,),) = chunks(plan(tmp_path))
    assert (chunk.number, chunk.last, len(chunk.images), chunk.failure) == (0, True, 0, None)
    assert len(chunk.warnings) == 2


def test_truncated(tmp_path: Path) -> None:
    data = SAMPLE.read_bytes()
    path = tmp_path / "half.mp4"
    path.write_bytes(data[: len(data) // 3])
    found = chunks(plan(path, dataclasses.replace(RECIPE, segment_s=2.0)))
    count = sum(len(chunk.images) for segment in found for chunk in segment)
    with VideoSource(path) as source:
        assert len(list(source)) <= count < 100, "several threads lose some of the last frames before the end"
    last = found[-1][-1]
    assert [segment[-1].failure for segment in found] == [None] * len(found)
    if last.warnings:
        assert "is damaged" in last.warnings[0]


@pytest.mark.parametrize("suffix", [".mp4", ".ts", ".mkv"])
def test_damage_stays_in_its_segment(tmp_path: Path, suffix: str) -> None:
    path = clip(tmp_path, suffix)
    planned = plan(path)
    good = chunks(planned)
    data = bytearray(path.read_bytes())
    middle = len(data) // 2
    data[middle : middle + 300] = random.Random(1).randbytes(300)
    path.write_bytes(data)
    bad = chunks(planned)
    for segment in bad:
        check_form(segment)
    same = [_same(one, other) for one, other in zip(good, bad, strict=True)]
    assert same[0] and same[-1], "what is far from the damage is read as before"
    assert not all(same)
    times = np.concatenate([chunk.times for segment in bad for chunk in segment])
    assert (np.diff(times) > 0).all(), "nothing twice"
    assert chunks(planned)[len(bad) // 2][0].ordinals.tolist() == bad[len(bad) // 2][0].ordinals.tolist()


def _same(one: list[Chunk], other: list[Chunk]) -> bool:
    images = [image for chunk in one for image in chunk.images]
    others = [image for chunk in other for image in chunk.images]
    return len(images) == len(others) and all(map(np.array_equal, images, others))


def test_a_segment_of_which_nothing_is_left(tmp_path: Path) -> None:
    path = clip(tmp_path)
    planned = plan(path)
    path.write_bytes(path.read_bytes()[:2000])
    for segment in chunks(planned):
        (chunk,) = segment
        assert chunk.last and not chunk.images
        assert chunk.failure is not None
        assert str(path) in chunk.failure and "\n" not in chunk.failure


def test_a_segment_whose_data_is_zero(tmp_path: Path) -> None:
    path = make_clip(tmp_path / "clip.mp4", [corner_image()] * 30, movflags="faststart")
    planned = plan(path)
    blank(path)
    ((chunk,),) = chunks(planned)
    assert chunk.failure is not None
    assert "no frame" in chunk.failure and "; " in chunk.failure


def test_out_of_memory_is_no_damage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pictures(tmp_path, 1)

    def fail(*_: object) -> None:
        raise MemoryError

    planned = plan(tmp_path)
    monkeypatch.setattr(reading, "decode_image", fail)
    with pytest.raises(MemoryError):
        chunks(planned)


def test_one_group_at_a_time(tmp_path: Path) -> None:
    pictures(tmp_path, 3)
    planned = plan(tmp_path)
    steps = read_segment(planned, planned.segments[0], dataclasses.replace(RECIPE, batch=1))
    assert next(steps).ordinals.tolist() == [0]
    (tmp_path / "2.png").unlink()
    later = list(steps)
    assert [chunk.ordinals.tolist() for chunk in later] == [[1]], "2.png was not read ahead"
    assert later[-1].last and "2.png" in later[-1].warnings[0]
