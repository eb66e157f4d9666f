"""Processes of this machine: where they run, what they refuse, and what becomes of chunks that fail."""

from __future__ import annotations

import itertools
import os
import signal
from functools import partial
from multiprocessing.connection import wait as wait_for
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from gcpose_trt.batch import devices, inference, local, processes
from gcpose_trt.batch.devices import choose_devices
from gcpose_trt.batch.inference import Inference
from gcpose_trt.batch.local import LocalExecutor
from gcpose_trt.batch.processes import Pool, Slot, Worker
from gcpose_trt.batch.types import Chunk, PlanJob, Recipe, Segment, SegmentJob, SourcePlan, SourceSpec, join
from gcpose_trt.errors import GcposeError
from gcpose_trt.pose.types import PoseFrame
from tests.batch import runs

RECIPE = Recipe("mobile", "0" * 64, "onnxruntime", "int8", "192", 0.5, 10, 1, 2, 30.0, 64, track=True, annotate=False)


@pytest.fixture(autouse=True)
def importable(monkeypatch: pytest.MonkeyPatch) -> None:
    """Workers find the networks of tests."""
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).resolve().parents[2]))


def job(tmp_path: Path) -> SegmentJob:
    spec = SourceSpec("gone", str(tmp_path), "images", (str(tmp_path / "gone.png"),), "")
    return SegmentJob(SourcePlan(spec, (Segment(0, 0, 1),), 1, None, None), Segment(0, 0, 1), RECIPE)


def test_a_model_that_cannot_be_opened_ends_the_batch(tmp_path: Path) -> None:
    with (
        LocalExecutor(RECIPE, 1, network=runs.refuses) as executor,
        pytest.raises(GcposeError, match=r"^there is no such model; give another$"),
    ):
        list(executor.estimate([job(tmp_path)]))


def test_workers_that_die_as_they_start(tmp_path: Path) -> None:
    marks = tmp_path / "marks"
    with (
        LocalExecutor(RECIPE, 1, network=partial(runs.dies, marks)) as executor,
        pytest.raises(GcposeError, match=r"workers die as they start .it crashed with SIGABRT.*; use fewer --workers"),
    ):
        list(executor.estimate([job(tmp_path)]))
    assert marks.read_text().count("\n") == 3


def test_jobs_of_files_and_nothing_to_estimate(tmp_path: Path) -> None:
    with LocalExecutor(RECIPE, 1) as executor:
        assert executor.collect(wait=True) == []
        executor.submit(PlanJob(job(tmp_path).plan.spec, RECIPE))
        (plan,) = executor.collect(wait=True)
        assert isinstance(plan, SourcePlan) and plan.segments == (Segment(0, 0, 1),)
        assert list(executor.estimate([])) == []


def test_devices(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(devices, "cores", lambda: 6)
    assert choose_devices(RECIPE) == [None] * 6
    assert choose_devices(Recipe(**{**vars(RECIPE), "threads": 4})) == [None]
    assert choose_devices(RECIPE, 3) == [None] * 3
    torch = Recipe(**{**vars(RECIPE), "backend": "torch"})
    assert choose_devices(torch, 2, "cpu") == ["cpu", "cpu"]
    assert choose_devices(torch, None, "cuda:1") == ["cuda:1"]
    monkeypatch.setattr(devices, "_gpus", lambda backend, device: ["cuda:0", "cuda:1"])
    assert choose_devices(torch) == ["cuda:0", "cuda:1"]
    assert choose_devices(torch, 3) == ["cuda:0", "cuda:1", "cuda:0"]
    monkeypatch.undo()
    with pytest.raises(GcposeError, match=r"runs on the CPU, not on cuda"):
        choose_devices(RECIPE, None, "cuda")


def test_the_limit_of_a_container(tmp_path: Path) -> None:
    limit = tmp_path / "cpu.max"
    for text, cores in (("150000 100000\n", 1), ("400000 100000\n", 4), ("50000 100000", 1), ("max 100000\n", None)):
        limit.write_text(text)
        assert devices._quota(str(limit)) == cores
    assert devices._quota(str(tmp_path / "none")) is None


def chunk(number: int, last: bool, **more: Any) -> Chunk:
    images = [np.zeros((4, 6, 3), np.uint8)] * 2
    return Chunk("a", 0, number, last, images, np.arange(2) + 2 * number, np.arange(2.0), **more)


def test_a_chunk_that_the_network_fails_for(monkeypatch: pytest.MonkeyPatch) -> None:
    errors: list[Exception] = [GcposeError("out of memory in X; do Y"), MemoryError()]
    calls = []

    class Estimator:
        def __init__(self, *options: Any) -> None:
            assert options == ("mobile", "onnxruntime", "192", 0.5, 10, 1, "int8", None)

        def run_batch(self, images: list[Any]) -> tuple[list[PoseFrame], None]:
            calls.append(len(images))
            if len(calls) > 1:
                raise errors.pop(0)
            return [PoseFrame.empty()] * len(images), None

    monkeypatch.setattr(inference, "PoseEstimator", Estimator)
    infer = Inference(RECIPE, "cuda:0")
    good, bad, worse = infer(chunk(0, False)), infer(chunk(1, False)), infer(chunk(2, True))
    assert calls == [2, 2, 2], "the frames of a chunk go together"
    assert (good.failure, good.again, good.sizes) == (None, False, [(4, 6), (4, 6)])
    assert (bad.failure, bad.again) == ("out of memory in X; do Y", True)
    assert worse.failure is not None and worse.failure.startswith("out of memory; ")
    joined = join([worse, good, bad])
    assert (joined.failure, joined.again) == (bad.failure, True)
    unread = infer(chunk(0, True, failure="the file is gone"))
    assert (unread.failure, unread.again, len(calls)) == ("the file is gone", False, 3)


def pool(marks: Path, times: int) -> Pool:
    """A pool of one network that hangs so many times."""
    settings = {"recipe": RECIPE, "device": None, "network": runs.hangs(marks, times)}
    return Pool("network", [Slot(settings)], 2, {}, local._words, local._lost_segment)


def step(workers: Pool) -> None:
    """Do what an executor does, without counting silence."""
    workers.give_out()
    slots = workers.connections()
    for connection in wait_for(list(slots), 0.01):
        workers.receive(slots[connection])


def hanging(workers: Pool, marks: Path, count: int) -> int:
    """Wait until so many networks have hung, and return the last's process."""

    def hangs() -> bool:
        step(workers)
        return marks.exists() and marks.read_text().count("\n") == count

    runs.until(hangs)
    return int(marks.read_text().split()[-1])


def test_a_worker_that_hangs_is_given_up(tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "gone.png"), np.zeros((8, 8, 3), np.uint8))
    marks = tmp_path / "marks"
    workers = pool(marks, 100)
    workers.add(job(tmp_path))
    try:
        for attempt in (1, 2, 3):
            pid = hanging(workers, marks, attempt)
            for _ in range(10):
                step(workers)
            workers.watch(599)
            assert runs.alive(pid) and not workers.results
            workers.watch(1)
            assert not runs.alive(pid)
        (lost,) = workers.results
        assert lost.again and lost.failure.startswith("its worker died 3 times (nothing came from it for 600 s); ")
        assert not workers.busy
    finally:
        workers.end()


def test_a_worker_that_says_something_does_not_hang(tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "gone.png"), np.zeros((8, 8, 3), np.uint8))
    workers = pool(tmp_path / "marks", 100)

    def long_silent(worker: Worker, job: SegmentJob) -> Any:
        worker.quiet = 599
        return local._words(worker, job)

    workers.message = long_silent
    workers.add(job(tmp_path))
    try:
        workers.give_out()
        workers.watch(1e6)  # opening a model takes as long as it takes
        (slot,) = workers.slots

        def said() -> bool:
            step(workers)
            return bool(slot.worker and slot.worker.tasks and slot.worker.quiet == 0)

        runs.until(said)  # that the picture is decoded; then the network hangs
        workers.watched = lambda job: False
        workers.watch(1e6)
        assert slot.worker is not None and slot.worker.quiet == 0
        pid = hanging(workers, tmp_path / "marks", 1)
        os.kill(pid, signal.SIGSTOP)
    finally:
        workers.end()
    assert not runs.alive(pid), "not even one that was stopped is left"


def test_an_executor_ends_what_hangs(tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "gone.png"), np.zeros((8, 8, 3), np.uint8))
    marks = tmp_path / "marks"
    with LocalExecutor(RECIPE, 1, network=runs.hangs(marks, 1), stall_s=4.0) as executor:
        (segment,) = executor.estimate([job(tmp_path)])
    assert segment.failure is None and marks.read_text().count("\n") == 1


def test_time_in_which_this_process_was_stopped_is_no_silence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Or in which somebody did something else, or the machine was asleep."""
    cv2.imwrite(str(tmp_path / "gone.png"), np.zeros((8, 8, 3), np.uint8))
    marks = tmp_path / "marks"
    with LocalExecutor(RECIPE, 1, network=runs.hangs(marks, 100), stall_s=1000.0) as executor:
        workers = executor._networks
        workers.add(job(tmp_path))
        pid = hanging(workers, marks, 1)
        (slot,) = workers.slots
        executor._tick_s = 0.01
        hours = itertools.count(0, 36_000)
        monkeypatch.setattr(local.time, "monotonic", lambda: next(hours))
        for _ in range(20):
            executor._step(wait=True)
        monkeypatch.undo()
        assert runs.alive(pid) and slot.worker is not None and slot.worker.quiet <= 20 * 0.01 + 1e-9


def test_a_process_that_cannot_be_killed_does_not_keep_us(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As one that a dead mount holds."""
    monkeypatch.setattr(processes, "_GRACE_S", 0.1)
    workers = pool(tmp_path / "marks", 0)
    workers.add(job(tmp_path))
    workers.give_out()
    (slot,) = workers.slots
    assert slot.worker is not None
    process = slot.worker.process
    with monkeypatch.context() as patch:
        patch.setattr(processes.os, "killpg", lambda pid, number: None)
        os.kill(process.pid, signal.SIGSTOP)
        workers.end()
    assert runs.alive(process.pid)
    process.kill()
    process.wait()
