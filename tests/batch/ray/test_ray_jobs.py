"""Planning and finishing on a cluster: the same files as on one machine, written where the batch was started."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from gcpose_trt.batch import ray_jobs
from gcpose_trt.batch.local import LocalExecutor
from gcpose_trt.batch.ray_data import RayExecutor
from gcpose_trt.batch.segment_file import write_segment
from gcpose_trt.batch.types import Executor, Finished, FinishJob, PlanJob, Recipe, SegmentJob, SourceFailure, SourcePlan
from gcpose_trt.errors import GcposeError
from tests.batch.ray.conftest import Machines, spec_of


def all_of(executor: Executor, jobs: list[Any]) -> list[Any]:
    for job in jobs:
        executor.submit(job)
    found: list[Any] = []
    while len(found) < len(jobs):
        outcomes = executor.collect(wait=True)
        assert outcomes
        found += outcomes
    assert executor.collect(wait=True) == []
    return found


@pytest.mark.slow
def test_plans_are_those_of_one_machine(
    cluster: Machines, recipe: Recipe, plans: list[SourcePlan], tmp_path: Path
) -> None:
    (tmp_path / "bad.mp4").write_bytes(b"no video")
    specs = [plan.spec for plan in plans]
    specs += [spec_of(tmp_path / "bad.mp4"), replace(specs[0], id="gone", uri="/nowhere/clip.mp4")]
    with RayExecutor(recipe, cluster.address) as executor:
        found = all_of(executor, [PlanJob(spec, recipe) for spec in specs])
    assert sorted((plan for plan in found if isinstance(plan, SourcePlan)), key=lambda plan: plan.spec.id) == plans
    reasons = {failure.id: failure.reason for failure in found if isinstance(failure, SourceFailure)}
    assert reasons.keys() == {"bad", "gone"}
    assert reasons["gone"].startswith("/nowhere/clip.mp4 is not there on the machine ")
    assert "machine" not in reasons["bad"]


@pytest.mark.slow
def test_files_are_those_of_one_machine(
    cluster: Machines, recipe: Recipe, plans: list[SourcePlan], tmp_path: Path
) -> None:
    annotated = replace(recipe, annotate=True)
    plan = plans[0]
    outcomes: dict[str, Any] = {}
    for name in ("local", "ray"):
        folder = tmp_path / name
        executor: Executor = (
            LocalExecutor(annotated, workers=1) if name == "local" else RayExecutor(annotated, cluster.address)
        )
        with executor:
            paths = [folder / f"{segment.index}.parquet" for segment in plan.segments]
            for segment in executor.estimate([SegmentJob(plan, segment, annotated) for segment in plan.segments]):
                write_segment(paths[segment.segment], segment)
            job = FinishJob(
                plan, annotated, tuple(map(str, paths)), str(folder / "part.parquet"), str(folder / "video.mp4")
            )
            outcomes[name] = all_of(executor, [job])
    assert isinstance(outcomes["ray"][0], Finished)
    assert outcomes["ray"] == outcomes["local"]
    for file in ("part.parquet", "video.mp4"):
        assert (tmp_path / "ray" / file).read_bytes() == (tmp_path / "local" / file).read_bytes()


@pytest.fixture
def finish(plans_without_ray: SourcePlan, tmp_path: Path) -> FinishJob:
    out = tmp_path / "out"
    return FinishJob(plans_without_ray, RECIPE, (), str(out / "part.parquet"), str(out / "video.mp4"))


RECIPE = Recipe("mobile", "0", "onnxruntime", "int8", "192", 0.5, 30, 1, 1, 30.0, 64, True, True)


@pytest.fixture
def plans_without_ray() -> SourcePlan:
    return SourcePlan(spec_of(Path("/videos/walk.mp4")), (), None, None, None)


def test_a_full_disk_is_one_line_and_leaves_no_half_file(finish: FinishJob, tmp_path: Path) -> None:
    def words() -> Iterator[tuple[str, Any]]:
        yield "outcome", Finished(finish.plan.spec, 1, 0.0, None, 0, 0, "", ())
        yield "part", b"half"
        raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(GcposeError, match=r"^cannot write .*video\.mp4 \(No space left on device\); free some space"):
        ray_jobs._receive(finish, words())
    assert list((tmp_path / "out").iterdir()) == []


def test_a_failure_writes_nothing(finish: FinishJob, tmp_path: Path) -> None:
    failure = SourceFailure("a", "broken; mend it", "a")
    assert ray_jobs._receive(finish, iter([("outcome", failure)])) == failure
    assert not (tmp_path / "out").exists()


def test_what_cannot_be_written_there_ends_the_run(finish: FinishJob) -> None:
    with pytest.raises(GcposeError, match=r"^on the machine x: full; free some space$"):
        ray_jobs._receive(finish, iter([("error", "on the machine x: full; free some space")]))


def test_files_travel_in_pieces(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ray_jobs, "PIECE", 3)
    (tmp_path / "file").write_bytes(b"abcdefgh")
    assert list(ray_jobs._pieces("part", str(tmp_path / "file"))) == [
        ("part", b"abc"),
        ("part", b"def"),
        ("part", b"gh"),
    ]
    assert list(ray_jobs._pieces("video", None)) == []


class LostError(Exception):
    pass


class FakeRay:
    """Tasks that are lost with their machine as often as one likes."""

    class exceptions:  # noqa: N801  # as Ray names it
        RayError = LostError

    def __init__(self, losses: int) -> None:
        self.losses = losses
        self.started = 0

    def remote(self, **_: Any) -> Any:
        outer = self

        class Remote:
            def __init__(self, function: Any) -> None:
                pass

            def remote(self, job: Any, segments: Any) -> Any:
                outer.started += 1
                return iter([outer.started])

        return Remote

    def wait(self, waited: list[Any], num_returns: int, timeout: float | None) -> tuple[list[Any], list[Any]]:
        return waited[:1], waited[1:]

    def get(self, number: int) -> tuple[str, Any]:
        if number <= self.losses:
            raise LostError("the machine is gone")
        return "outcome", SourceFailure("a", "read", "a")


@pytest.mark.parametrize(("losses", "started", "reason"), [(0, 1, "read"), (2, 3, "read"), (9, 3, "died 3 times")])
def test_a_lost_task_is_done_again(losses: int, started: int, reason: str, plans_without_ray: SourcePlan) -> None:
    ray = FakeRay(losses)
    jobs = ray_jobs.FileJobs(ray, 1)
    jobs.submit(PlanJob(plans_without_ray.spec, RECIPE))
    (outcome,) = jobs.collect(wait=True)
    assert isinstance(outcome, SourceFailure) and reason in outcome.reason
    assert ray.started == started
    assert jobs.collect(wait=True) == []
