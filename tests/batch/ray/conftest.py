"""A Ray cluster of three machines on this one: a head that does no work and two that do, each a raylet of its own."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from gcpose_trt.batch.recipe import make_recipe
from gcpose_trt.batch.types import PlanJob, Recipe, SegmentJob, SourcePlan, SourceSpec
from tests.batch.ray.clips import make_clip

STORE = 150 * 2**20  # bytes of each object store; /dev/shm may be small


class Machines:
    """The cluster, and how to take machines away from it.

    Attributes:
        aws_config: what all machines read for access to S3; there is none to begin with.
    """

    def __init__(self) -> None:
        from ray.cluster_utils import Cluster

        self._folder = tempfile.mkdtemp(prefix="r", dir="/tmp")  # paths of sockets have at most 107 bytes
        self.aws_config = Path(self._folder) / "aws"
        self._variables = pytest.MonkeyPatch()
        for name, value in {
            "RAY_TMPDIR": self._folder,
            "RAY_USAGE_STATS_ENABLED": "0",
            "RAY_ENABLE_UV_RUN_RUNTIME_ENV": "0",
            "RAY_DISABLE_IMPORT_WARNING": "1",
            # Every machine has its own access to object stores; a test that has a store writes where it is.
            "AWS_CONFIG_FILE": str(self.aws_config),
            "AWS_EC2_METADATA_DISABLED": "true",
            "PYTHONPATH": os.pathsep.join([str(Path(__file__).parents[3]), os.environ.get("PYTHONPATH", "")]),
        }.items():
            self._variables.setenv(name, value)
        head = {"num_cpus": 0, "object_store_memory": STORE, "include_dashboard": False}
        self._cluster = Cluster(initialize_head=True, head_node_args=head)
        self.nodes = [self._cluster.add_node(num_cpus=2, object_store_memory=STORE, wait=False) for _ in range(2)]
        self._cluster.wait_for_nodes()

    @property
    def address(self) -> str:
        return self._cluster.address

    def remove(self, node_id: str) -> None:
        """Kill a machine's raylet, with all of its processes."""
        node = next(node for node in self.nodes if node.node_id == node_id)
        self.nodes.remove(node)
        self._cluster.remove_node(node, allow_graceful=False)

    def repair(self) -> None:
        """Add what was removed."""
        while len(self.nodes) < 2:
            self.nodes.append(self._cluster.add_node(num_cpus=2, object_store_memory=STORE))

    def close(self) -> None:
        self._cluster.shutdown()
        self._variables.undo()
        shutil.rmtree(self._folder, ignore_errors=True)


@pytest.fixture(scope="package")
def machines() -> Iterator[Machines]:
    pytest.importorskip("ray")
    machines = Machines()
    try:
        yield machines
    finally:
        machines.close()


@pytest.fixture
def cluster(machines: Machines) -> Iterator[Machines]:
    yield machines
    machines.repair()


@pytest.fixture(scope="package")
def recipe() -> Recipe:
    return make_recipe("mobile", "onnxruntime", "int8", "192", threads=1, batch=2, segment_s=0.3, segment_images=2)


@pytest.fixture(scope="package")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three clips of 24 frames each, with a key frame every 8."""
    folder = tmp_path_factory.mktemp("clips")
    for number in range(3):
        make_clip(folder / f"{number}.mp4", 24, skip=20 * number)
    return folder


@pytest.fixture(scope="package")
def plans(folder: Path, recipe: Recipe) -> list[SourcePlan]:
    from gcpose_trt.batch.worker import do_file_job

    found: list[Any] = [do_file_job(PlanJob(spec_of(path), recipe)) for path in sorted(folder.glob("*.mp4"))]
    assert [len(plan.segments) for plan in found] == [3, 3, 3]
    return found


def spec_of(path: Path) -> SourceSpec:
    return SourceSpec(path.stem, str(path), "video", (), "0")


@pytest.fixture
def jobs(plans: list[SourcePlan], recipe: Recipe) -> list[SegmentJob]:
    return [SegmentJob(plan, segment, recipe) for plan in plans for segment in plan.segments]
