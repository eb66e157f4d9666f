"""Annotated videos: what `gcpose-trt demo` draws, from the table."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from gcpose_trt.batch import merging
from gcpose_trt.batch.faults import StorageError
from gcpose_trt.batch.merging import merge
from gcpose_trt.batch.reading import read_segment
from gcpose_trt.batch.recipe import make_recipe
from gcpose_trt.batch.rendering import render
from gcpose_trt.batch.types import Finished, Recipe, Segment, SegmentPoses, SourcePlan, SourceSpec
from gcpose_trt.cli import main
from gcpose_trt.errors import GcposeError
from gcpose_trt.runtime.estimator import PoseEstimator
from tests.support.bundles import make_bundle
from tests.support.clips import read_clip
from tests.support.demos import walking
from tests.video.sinks.common import full_disk

FRAMES = 15


@pytest.fixture(scope="module")
def recipe(tmp_path_factory: pytest.TempPathFactory) -> Recipe:
    return replace(make_recipe(make_bundle(tmp_path_factory.mktemp("model"))), batch=4, annotate=True)


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return walking(tmp_path_factory.mktemp("clip") / "walk.mp4", FRAMES)


def plan_of(clip: Path) -> SourcePlan:
    spec = SourceSpec("walk-1", str(clip), "video", (), "1")
    return SourcePlan(spec, (Segment(0, None, None),), FRAMES, 10.0, (60, 80))


def estimated(plan: SourcePlan, recipe: Recipe) -> SegmentPoses:
    chunks = list(read_segment(plan, plan.segments[0], recipe))
    images = [image for chunk in chunks for image in chunk.images]
    with PoseEstimator(recipe.model, threads=1) as estimator:
        poses = [estimator(image) for image in images]
    ordinals, times = (np.concatenate([getattr(chunk, name) for chunk in chunks]) for name in ("ordinals", "times"))
    return SegmentPoses("walk-1", 0, poses, [image.shape[:2] for image in images], ordinals, times)


def tabled(plan: SourcePlan, recipe: Recipe, segments: Sequence[SegmentPoses], part: Path) -> Path:
    assert isinstance(merge(plan, recipe, segments, part), Finished)
    return part


def test_as_the_demo_draws(clip: Path, recipe: Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plan = plan_of(clip)
    monkeypatch.setattr(merging, "ROWS", 4)  # several row groups
    part = tabled(plan, recipe, [estimated(plan, recipe)], tmp_path / "part.parquet")
    assert render(plan, recipe, part, tmp_path / "annotated/walk.mp4") == ()
    demo = tmp_path / "demo.mp4"
    options = ["--source", str(clip), "--model", recipe.model, "--threads", "1", "--quiet"]
    assert main(["demo", *options, "--output", str(demo)]) == 0
    ours, times = read_clip(tmp_path / "annotated/walk.mp4")
    theirs, expected_times = read_clip(demo)
    plain, _ = read_clip(clip)
    assert times == expected_times
    assert len(ours) == FRAMES
    for mine, other, bare in zip(ours, theirs, plain, strict=True):
        assert np.array_equal(mine, other)
        assert np.abs(mine.astype(int) - bare).max() > 100, "something is drawn"
    assert list((tmp_path / "annotated").iterdir()) == [tmp_path / "annotated/walk.mp4"]


def test_segments_that_failed_are_left_out(clip: Path, recipe: Recipe, tmp_path: Path) -> None:
    """The numbers of frames go on as in the table, and the people stay on their own frames."""
    whole = plan_of(clip)
    found = estimated(whole, recipe)
    middle = SegmentPoses("walk-1", 1, [], [], found.ordinals[:0], found.times[:0], failure="the worker died; less")
    # Three segments of the same video; the middle one was never estimated.
    plan = replace(whole, segments=(Segment(0, None, None), Segment(1, None, None), Segment(2, None, None)))
    last = replace(found, segment=2, times=found.times + 3)
    part = tabled(plan, recipe, [found, middle, last], tmp_path / "part.parquet")
    assert render(plan, recipe, part, tmp_path / "out.mp4") == ()
    pictures, _ = read_clip(tmp_path / "out.mp4")
    assert len(pictures) == 2 * FRAMES
    once = tabled(whole, recipe, [found], tmp_path / "once.parquet")
    render(whole, recipe, once, tmp_path / "once.mp4")
    single, _ = read_clip(tmp_path / "once.mp4")
    for ours, theirs in zip(pictures[:FRAMES], single, strict=True):
        assert np.abs(ours.astype(int) - theirs).mean() < 2


def test_a_video_that_is_gone_or_shorter(clip: Path, recipe: Recipe, tmp_path: Path) -> None:
    plan = plan_of(clip)
    part = tabled(plan, recipe, [estimated(plan, recipe)], tmp_path / "part.parquet")
    shorter = plan_of(walking(tmp_path / "short.mp4", 9))
    (line,) = render(shorter, recipe, part, tmp_path / "short-out.mp4")
    assert f"short.mp4 could be drawn in part only, 9 of {FRAMES} frames; " in line
    assert len(read_clip(tmp_path / "short-out.mp4")[0]) == 9
    with pytest.raises(StorageError, match=r"no file .*gone\.mp4"):
        render(plan_of(tmp_path / "gone.mp4"), recipe, part, tmp_path / "gone-out.mp4")
    assert not (tmp_path / "gone-out.mp4").exists()


def test_more_frames_than_the_table_has(clip: Path, recipe: Recipe, tmp_path: Path) -> None:
    plan = plan_of(clip)
    found = estimated(plan, recipe)
    fewer = replace(found, poses=found.poses[:6], ordinals=found.ordinals[:6], times=found.times[:6])
    part = tabled(plan, recipe, [fewer], tmp_path / "part.parquet")
    assert render(plan, recipe, part, tmp_path / "out.mp4") == ()
    assert len(read_clip(tmp_path / "out.mp4")[0]) == 6


def test_a_damaged_table(clip: Path, recipe: Recipe, tmp_path: Path) -> None:
    plan = plan_of(clip)
    part = tabled(plan, recipe, [estimated(plan, recipe)], tmp_path / "part.parquet")
    part.write_bytes(part.read_bytes()[:-9])
    for path in (part, tmp_path / "missing.parquet"):
        with pytest.raises(GcposeError, match="is missing or damaged; run the same command again"):
            render(plan, recipe, path, tmp_path / "out.mp4")
    assert not (tmp_path / "out.mp4").exists()


def test_full_disk(clip: Path, recipe: Recipe, tmp_path: Path) -> None:
    plan = plan_of(clip)
    part = tabled(plan, recipe, [estimated(plan, recipe)], tmp_path / "part.parquet")
    with full_disk(1000), pytest.raises(GcposeError, match=r"cannot write .*out.mp4 .*; free some space"):
        render(plan, recipe, part, tmp_path / "annotated/out.mp4")
    assert list((tmp_path / "annotated").iterdir()) == []
