"""The folder of a batch: what is recorded stays, what is damaged is done again, and nobody else's files are touched."""

from __future__ import annotations

import errno
import json
import os
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from gcpose_trt.batch.segment_file import read_segment
from gcpose_trt.batch.store import Store
from gcpose_trt.batch.types import SourceFailure
from gcpose_trt.errors import GcposeError
from tests.batch.segment_samples import RECIPE, image_spec, plan_of, same
from tests.batch.store_samples import PLAN, SEGMENTS, SPEC, finish, segments_done, tree


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store(tmp_path / "out") as opened:
        assert not opened.open(RECIPE)
        yield opened


def test_a_source_from_its_plan_to_its_record(store: Store) -> None:
    assert store.plan(SPEC.id) is None
    store.write_plan(PLAN)
    assert store.plan(SPEC.id) == PLAN
    assert segments_done(store, PLAN) == set()
    store.write_segment(SEGMENTS[2])
    store.write_segment(SEGMENTS[0])
    assert segments_done(store, PLAN) == {0, 2}
    assert same(read_segment(store.segment_paths(PLAN)[2]), SEGMENTS[2])
    assert store.finished(SPEC) is None
    done = finish(store)
    assert store.finished(SPEC) == done
    assert store.results() == [done]
    assert sorted(tree(store.folder)) == [
        ".batch/plans/walk-1f.json",
        ".batch/run.json",
        ".batch/sources/walk-1f.json",
        "poses/source_id=walk-1f/part-0.parquet",
    ]


def test_going_on(store: Store) -> None:
    store.write_plan(PLAN)
    store.write_segment(SEGMENTS[1])
    store.close()
    with Store(store.folder) as again:
        assert again.open(RECIPE)
        assert again.plan(SPEC.id) == PLAN
        assert segments_done(again, PLAN) == {1}


def test_plans_of_every_kind_survive(store: Store) -> None:
    odd = replace(image_spec(3), files=("/a/\udcff.jpg", "/a/größe.jpg", "s3://b/c d.png"))
    for plan in (plan_of(odd, 2), replace(PLAN, frames=90, rate=None, size=None)):
        store.write_plan(plan)
        assert store.plan(plan.spec.id) == plan


def test_another_cut_drops_the_segments(store: Store) -> None:
    finished_cut = replace(PLAN, frames=30)
    store.write_plan(PLAN)
    store.write_segment(SEGMENTS[0])
    store.write_plan(PLAN)
    assert segments_done(store, PLAN) == {0}
    store.write_plan(finished_cut)
    assert segments_done(store, finished_cut) == set()


def test_a_source_that_was_changed(store: Store) -> None:
    finish(store)
    changed = replace(SPEC, fingerprint="2")
    assert store.finished(changed) is None
    assert store.results(), "asking does not remove"
    store.forget(SPEC.id)
    assert list(tree(store.folder)) == [".batch/run.json"]
    assert store.plan(SPEC.id) is None
    assert list((store.folder / "poses").iterdir()) == []


def test_output_that_is_gone_is_not_finished(store: Store) -> None:
    finish(store)
    part = store.part_path(SPEC.id)
    part.write_bytes(part.read_bytes()[:-1])
    assert store.finished(SPEC) is None
    part.unlink()
    assert store.finished(SPEC) is None
    assert store.results() == []


def test_annotated_videos_count(tmp_path: Path) -> None:
    recipe = replace(RECIPE, annotate=True)
    with Store(tmp_path) as store:
        store.open(recipe)
        store.video_path(SPEC.id).parent.mkdir()
        store.video_path(SPEC.id).write_bytes(b"video")
        done = finish(store)
        assert store.finished(SPEC) == done
        store.video_path(SPEC.id).unlink()
        assert store.finished(SPEC) is None
        # What cannot be drawn has no video, and is not tried for ever.
        assert store.finished(SPEC) is None
        assert finish(store) == store.finished(SPEC)


def test_failures_are_tried_again(store: Store) -> None:
    store.write_plan(PLAN)
    store.write_segment(SEGMENTS[0])
    lost = SourceFailure("s3://nowhere/x.mp4", "no such bucket; check its name")
    failed = SourceFailure(SPEC.uri, "out of memory; close other programs", SPEC.id)
    store.part_path(SPEC.id).parent.mkdir(parents=True)
    store.part_path(SPEC.id).write_bytes(b"of a merge that went no further")
    for failure in (lost, failed, lost):
        store.write_failure(failure)
    assert store.failures() == [failed, lost]
    assert store.finished(SPEC) is None
    assert not store.part_path(SPEC.id).exists()
    assert segments_done(store, PLAN) == {0}
    finish(store)
    assert store.failures() == [lost]


def test_another_recipe(store: Store) -> None:
    finish(store)
    before = tree(store.folder)
    store.close()
    other = replace(RECIPE, size="640", min_score=0.25, model_hash="cd" * 32)
    with pytest.raises(GcposeError) as caught:
        Store(store.folder).open(other)
    message = str(caught.value)
    assert "holds a batch with other options: --model (the files of mobile have changed)" in message
    assert "--size (the model's own, now 640), --min-score (" in message
    assert ", now 0.25); give the same ones" in message
    assert "\n" not in message
    assert tree(store.folder) == before
    with Store(store.folder) as again:
        assert again.open(replace(RECIPE, model="/elsewhere/the/same/files")), "only what is in the files counts"


def test_fresh_removes_the_earlier_batch_and_nothing_else(store: Store) -> None:
    finish(store)
    store.video_path(SPEC.id).parent.mkdir()
    store.video_path(SPEC.id).write_bytes(b"video")
    store.sources_path.write_bytes(b"table")
    notes = store.folder / "notes.txt"
    notes.write_text("mine")
    store.close()
    with Store(store.folder) as again:
        assert not again.open(replace(RECIPE, size="640"), fresh=True)
        assert sorted(tree(store.folder)) == [".batch/run.json", "notes.txt"]


@pytest.mark.parametrize("step", range(1, 7))
def test_starting_anew_interrupted(store: Store, monkeypatch: pytest.MonkeyPatch, step: int) -> None:
    """Whatever is gone by then, the old batch goes on and comes to the same end."""
    finish(store)
    expected = tree(store.folder)
    store.close()
    left, removed = step, shutil.rmtree

    def stop(path: Path) -> None:
        nonlocal left
        left -= 1
        if left == 0:
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        removed(path)

    with monkeypatch.context() as patch:
        patch.setattr(shutil, "rmtree", stop)
        if step <= 4:  # poses, plans, segments, sources
            with pytest.raises(GcposeError, match=r"cannot write .*\(Input/output error\); choose another --output"):
                Store(store.folder).open(RECIPE, fresh=True)
        else:
            with Store(store.folder) as anew:
                assert not anew.open(RECIPE, fresh=True)
    with Store(store.folder) as again:
        assert again.open(RECIPE) or step > 4
        if again.finished(SPEC) is None:
            finish(again)
    assert tree(store.folder) == expected


def test_another_schema(store: Store) -> None:
    store.close()
    run = store.folder / ".batch/run.json"
    content = {**json.loads(run.read_text())["content"], "schema": "gcpose.poses 7"}
    from gcpose_trt.batch.records import write_record

    write_record(run, content)
    with pytest.raises(GcposeError, match=r"schema 'gcpose.poses 7', this version writes .*--fresh"):
        Store(store.folder).open(RECIPE)
    write_record(run, {**content, "schema": "gcpose.poses 1", "recipe": {"model": 3}})
    with pytest.raises(GcposeError, match="does not fit this version"):
        Store(store.folder).open(RECIPE)


@pytest.mark.parametrize("fresh", [False, True])
def test_a_folder_of_something_else(tmp_path: Path, fresh: bool) -> None:
    (tmp_path / "thesis.tex").write_text("mine")
    with pytest.raises(GcposeError, match=r"holds files that are not of a batch \(thesis.tex\); choose a new or empty"):
        Store(tmp_path).open(RECIPE, fresh=fresh)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]
    with pytest.raises(GcposeError, match=r"thesis.tex is no folder; choose another --output"):
        Store(tmp_path / "thesis.tex").open(RECIPE)
    with pytest.raises(GcposeError, match=r"cannot write .*choose another --output"):
        Store(tmp_path / "thesis.tex/below").open(RECIPE)


def test_an_empty_volume_is_welcome(tmp_path: Path) -> None:
    (tmp_path / "lost+found").mkdir()
    (tmp_path / ".Trash").mkdir()
    with Store(tmp_path) as store:
        assert not store.open(RECIPE)


def test_one_at_a_time(store: Store) -> None:
    with pytest.raises(GcposeError, match=rf"another batch runs in .*\(process {os.getpid()} on .*; wait for its end"):
        Store(store.folder).open(RECIPE, fresh=True)
    finish(store)
    store.close()
    store.close()
    with Store(store.folder) as again:
        assert again.open(RECIPE)


def test_an_error_lets_the_next_one_in(store: Store) -> None:
    store.close()
    refused = Store(store.folder)
    with pytest.raises(GcposeError, match="other options"):
        refused.open(replace(RECIPE, batch=4))
    with Store(store.folder) as again:
        assert again.open(RECIPE)
