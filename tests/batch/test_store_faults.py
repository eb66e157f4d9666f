"""The folder of a batch after damage, a full disk, and an end at any moment."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from gcpose_trt.batch.store import Store
from gcpose_trt.batch.types import SegmentPoses, SourceFailure
from gcpose_trt.errors import GcposeError
from tests.batch.segment_samples import RECIPE, video_spec
from tests.batch.store_samples import PLAN, ROOT, SEGMENTS, SPEC, finish, segments_done, tree
from tests.video.sinks.common import full_disk


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store(tmp_path / "out") as opened:
        assert not opened.open(RECIPE)
        yield opened


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
        assert len(segments_done(again, PLAN)) == (min(max(step - 2, 0), 3) if step <= 6 else 0)
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
from gcpose_trt.batch.store import Store
from tests.batch.segment_samples import RECIPE
from tests.batch.store_samples import SPEC, finish
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
    assert segments_done(store, PLAN) == set()


def test_a_part_that_vanished_before_its_record(store: Store) -> None:
    done = finish(store)
    store.part_path(SPEC.id).unlink()
    with pytest.raises(GcposeError, match=r"part-0.parquet is gone; run the same command again"):
        store.write_finished(done)
