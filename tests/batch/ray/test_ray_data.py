"""Segments on a real cluster: the same bytes as on one machine, whatever is lost on the way."""

from __future__ import annotations

import os
import pickle
import signal
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gcpose_trt.batch.local import LocalExecutor
from gcpose_trt.batch.ray_data import RayExecutor
from gcpose_trt.batch.types import Recipe, SegmentJob, SegmentPoses
from gcpose_trt.errors import GcposeError
from tests.batch.ray import networks
from tests.batch.ray.conftest import Machines

pytestmark = pytest.mark.slow(18)


@pytest.fixture(scope="package")
def expected(plans: Any, recipe: Recipe) -> dict[tuple[str, int], bytes]:
    jobs = [SegmentJob(plan, segment, recipe) for plan in plans for segment in plan.segments]
    with LocalExecutor(recipe, workers=1) as executor:
        return contents(executor.estimate(jobs))


def contents(segments: Iterable[SegmentPoses]) -> dict[tuple[str, int], bytes]:
    """Return all numbers of segments as bytes; each must come once."""
    found: dict[tuple[str, int], bytes] = {}
    for segment in segments:
        key = (segment.source_id, segment.segment)
        assert key not in found
        arrays = [np.asarray(segment.ordinals), np.asarray(segment.times), np.asarray(segment.sizes)]
        for poses in segment.poses:
            arrays += [poses.boxes, poses.scores, poses.keypoints]
        words = [(array.shape, array.dtype.str, array.tobytes()) for array in arrays]
        found[key] = pickle.dumps((words, segment.warnings, segment.failure))
    return found


def running_networks() -> list[dict[str, Any]]:
    import ray

    actors = ray._private.state.actors().values()
    return [actor for actor in actors if "MapWorker" in actor["ActorClassName"] and actor["State"] == "ALIVE"]


def test_results_are_those_of_one_machine(
    cluster: Machines, recipe: Recipe, jobs: list[SegmentJob], expected: dict[tuple[str, int], bytes]
) -> None:
    seen: list[int] = []
    with RayExecutor(recipe, cluster.address, on_frames=seen.append) as executor:
        assert executor.workers == 3  # of four cores one decodes
        assert contents(executor.estimate(jobs)) == expected
        assert sum(seen) == 3 * 24
        assert contents(executor.estimate([])) == {}
        assert contents(executor.estimate(jobs[:1])).keys() == {("0", 0)}


def test_a_worker_is_killed(
    cluster: Machines, recipe: Recipe, jobs: list[SegmentJob], expected: dict[Any, bytes], tmp_path: Path
) -> None:
    found: list[SegmentPoses] = []
    with RayExecutor(recipe, cluster.address, 2, network=networks.gated(tmp_path / "gate")) as executor:
        for segment in executor.estimate(jobs):
            if not found:
                for actor in running_networks():
                    os.kill(actor["Pid"], signal.SIGKILL)
                    break
                else:
                    pytest.fail("no network runs")
                (tmp_path / "gate").touch()
            found.append(segment)
    assert contents(found) == expected


def test_a_machine_is_removed(
    cluster: Machines, recipe: Recipe, jobs: list[SegmentJob], expected: dict[Any, bytes], tmp_path: Path
) -> None:
    found: list[SegmentPoses] = []
    network = networks.gated(tmp_path / "gate")
    with RayExecutor(recipe, cluster.address, 2, network=network, stall_s=60) as executor:
        for segment in executor.estimate(jobs):
            if not found:
                cluster.remove(running_networks()[0]["Address"]["NodeID"])
                (tmp_path / "gate").touch()
            found.append(segment)
    assert contents(found) == expected


def test_a_segment_that_kills_its_worker_fails_alone(
    cluster: Machines, recipe: Recipe, jobs: list[SegmentJob], expected: dict[Any, bytes]
) -> None:
    with RayExecutor(recipe, cluster.address, 2, network=networks.Deadly) as executor:
        segments = list(executor.estimate(jobs))
    failed = [segment for segment in segments if segment.failure]
    assert [(segment.source_id, segment.segment) for segment in failed] == [("0", 1)]
    assert "its worker died 3 times" in str(failed[0].failure)
    others = {key: value for key, value in expected.items() if key != ("0", 1)}
    assert contents(segment for segment in segments if not segment.failure) == others


def test_a_model_that_cannot_be_opened_ends_the_run(cluster: Machines, recipe: Recipe, jobs: list[SegmentJob]) -> None:
    line = r"^no such engine; build it \(on the machine .* of the Ray cluster\)$"
    with (
        RayExecutor(recipe, cluster.address, network=networks.Unopened) as executor,
        pytest.raises(GcposeError, match=line),
    ):
        list(executor.estimate(jobs))


def test_a_file_that_the_machines_do_not_have(cluster: Machines, recipe: Recipe, jobs: list[SegmentJob]) -> None:
    gone = replace(jobs[0].plan, spec=replace(jobs[0].plan.spec, id="gone", uri="/nowhere/clip.mp4"))
    with RayExecutor(recipe, cluster.address) as executor:
        found = list(executor.estimate([SegmentJob(gone, jobs[0].segment, recipe), jobs[1]]))
    reasons = {segment.source_id: segment.failure for segment in found}
    assert reasons["0"] is None
    assert str(reasons["gone"]).startswith("/nowhere/clip.mp4 is not there on the machine ")
