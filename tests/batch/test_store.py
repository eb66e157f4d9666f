"""The folder of a batch: what is recorded stays, what is damaged is done again, and nobody else's files are touched."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from gcpose_trt.batch.merging import merge
from gcpose_trt.batch.store import Store
from gcpose_trt.batch.types import Finished, SegmentPoses, SourceFailure, SourcePlan
from gcpose_trt.errors import GcposeError
from tests.batch.segment_samples import RECIPE, crowd, cut, image_spec, plan_of, same, video_spec
from tests.video.sinks.common import full_disk

SPEC = video_spec()
PLAN = plan_of(SPEC, 3)
SEGMENTS = cut(SPEC.id, crowd(30), [10, 20])
ROOT = Path(__file__).parents[2]


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store(tmp_path / "out") as opened:
        assert not opened.open(RECIPE)
        yield opened


def finish(store: Store, plan: SourcePlan = PLAN) -> Finished:
    """Do what is left of a source."""
    store.write_plan(plan)
    for part in SEGMENTS:
        if part.segment not in store.segments_done(plan):
            store.write_segment(part)
    done = merge(plan, RECIPE, map(str, store.segment_paths(plan)), store.part_path(plan.spec.id))
    assert isinstance(done, Finished)
    store.write_finished(done)
    return done


def tree(folder: Path) -> dict[str, str]:
    """Every file but the lock, and a digest of its content."""
    files = [path for path in folder.rglob("*") if path.is_file() and path.name != "lock"]
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def test_a_source_from_its_plan_to_its_record(store: Store) -> None:
    assert store.plan(SPEC.id) is None
    store.write_plan(PLAN)
    assert store.plan(SPEC.id) == PLAN
    assert store.segments_done(PLAN) == set()
    store.write_segment(SEGMENTS[2])
    store.write_segment(SEGMENTS[0])
    assert store.segments_done(PLAN) == {0, 2}
    assert same(store.read_segment(store.segment_paths(PLAN)[2]), SEGMENTS[2])
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
        assert again.segments_done(PLAN) == {1}


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
    assert store.segments_done(PLAN) == {0}
    store.write_plan(finished_cut)
    assert store.segments_done(finished_cut) == set()


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
    assert store.segments_done(PLAN) == {0}
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


@pytest.mark.parametrize("damage", [lambda data: data[: len(data) // 2], lambda _: b"", lambda _: b"[" * 100_000])
def test_damaged_records_are_not_there(store: Store, damage: Any) -> None:
    done = finish(store)
    store.write_failure(SourceFailure("gone.mp4", "gone; look for it"))
    for path in (store.folder / ".batch").rglob("*.json"):
        if path.name != "run.json":
            path.write_bytes(damage(path.read_bytes()))
    assert (store.plan(SPEC.id), store.finished(SPEC), store.failures(), store.results()) == (None, None, [], [])
    assert finish(store) == done == store.finished(SPEC)


def test_every_flipped_byte_of_a_record_is_seen(store: Store) -> None:
    store.write_plan(PLAN)
    path = store.folder / f".batch/plans/{SPEC.id}.json"
    whole = path.read_bytes()
    for place in range(0, len(whole), 7):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 2]) + whole[place + 1 :])
        assert store.plan(SPEC.id) in (None, PLAN)


def test_a_damaged_recipe_is_no_licence_to_mix(store: Store) -> None:
    finish(store)
    store.close()
    (store.folder / ".batch/run.json").write_text("{}")
    with pytest.raises(GcposeError, match=r"run.json is missing or damaged; start the batch anew with --fresh"):
        Store(store.folder).open(RECIPE)
    with Store(store.folder) as again:
        assert not again.open(RECIPE, fresh=True)


def test_full_disk_and_what_was_recorded(store: Store) -> None:
    store.write_plan(PLAN)
    store.write_segment(SEGMENTS[0])
    before = tree(store.folder)
    with full_disk(100):
        for write in (
            lambda: store.write_segment(SEGMENTS[1]),
            lambda: store.write_plan(replace(PLAN, spec=video_spec("run"))),
            lambda: store.write_failure(SourceFailure("x", "y; z" * 100)),
        ):
            with pytest.raises(GcposeError, match=r"cannot write .*; free some space or choose another folder"):
                write()
    assert tree(store.folder) == before
    finish(store)


@pytest.mark.parametrize("step", range(1, 9))
def test_interrupted_at_every_rename(store: Store, monkeypatch: pytest.MonkeyPatch, step: int) -> None:
    """The machine stops before the n-th file gets its name; the same work then goes on to the same end."""
    left, replaced = step, os.replace

    class Stopped(BaseException):
        pass

    def stop(source: Any, target: Any) -> None:
        nonlocal left
        left -= 1
        if left == 0:
            raise Stopped
        replaced(source, target)

    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", stop)
        try:
            finish(store)
        except Stopped:
            assert step <= 6  # plan, three segments, part, record
            assert store.finished(SPEC) is None
    store.close()
    with Store(store.folder) as again:
        assert again.open(RECIPE)
        assert len(again.segments_done(PLAN)) == (min(max(step - 2, 0), 3) if step <= 6 else 0)
        done = again.finished(SPEC) or finish(again)
    assert tree(store.folder) == uninterrupted(store.folder.parent / "other")
    assert done.frames == 30


def uninterrupted(folder: Path) -> dict[str, str]:
    with Store(folder) as store:
        store.open(RECIPE)
        finish(store)
    return tree(folder)


_VICTIM = """
import sys
from tests.batch.test_store import RECIPE, SEGMENTS, SPEC, Store, finish
with Store(sys.argv[1]) as store:
    store.open(RECIPE)
    print("open", flush=True)
    while True:
        finish(store)
        print("done", flush=True)
        store.forget(SPEC.id)
"""


@pytest.mark.parametrize("rounds", [0, 1, 3])
def test_killed_in_the_midst(tmp_path: Path, rounds: int) -> None:
    """SIGKILL while a process writes on and on: no lock, no half-written file is left that would be taken for one."""
    expected = uninterrupted(tmp_path / "whole")
    command = [sys.executable, "-c", _VICTIM, str(tmp_path / "out")]
    child = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    assert child.stdout is not None
    lines = iter(child.stdout.readline, "")
    for _ in range(rounds + 1):
        assert next(lines, "").strip() in ("open", "done")
    child.send_signal(signal.SIGKILL)
    child.wait()
    child.stdout.close()
    (tmp_path / "out/poses").mkdir(exist_ok=True)
    (tmp_path / "out/poses/.gcpose-left").write_bytes(b"half")
    (tmp_path / "out/.walk.mp4.1.part").write_bytes(b"not in a folder of ours")
    with Store(tmp_path / "out") as store:
        assert store.open(RECIPE)
        if store.finished(SPEC) is None:
            finish(store)
    (tmp_path / "out/.walk.mp4.1.part").unlink()
    assert tree(tmp_path / "out") == expected


def test_segments_left_behind_by_a_crash_go(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(Store, "_drop_segments", lambda *_: None)
        done = finish(store)
    assert any((store.folder / ".batch/segments").rglob("*.parquet"))
    assert store.finished(SPEC) == done
    assert not any((store.folder / ".batch/segments").rglob("*.parquet"))


def test_a_segment_of_another_source_or_place_is_not_taken(store: Store) -> None:
    store.write_plan(PLAN)
    wrong: SegmentPoses = replace(SEGMENTS[0], source_id="run-1f")
    store.write_segment(wrong)
    path = store.segment_paths(PLAN)[0]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes((store.folder / ".batch/segments/run-1f/0.parquet").read_bytes())
    assert store.segments_done(PLAN) == set()


def test_a_part_that_vanished_before_its_record(store: Store) -> None:
    done = finish(store)
    store.part_path(SPEC.id).unlink()
    with pytest.raises(GcposeError, match=r"part-0.parquet is gone; run the same command again"):
        store.write_finished(done)
