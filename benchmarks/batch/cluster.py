"""A Ray cluster of a head and two workers on this machine, for measuring."""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

from benchmarks.common import REPOSITORY

_STORE = 400 * 2**20


@contextlib.contextmanager
def cluster() -> Iterator[str]:
    """Start a cluster of two machines with two cores each, whatever this one has; yield its address."""
    with tempfile.TemporaryDirectory(prefix="r", ignore_cleanup_errors=True) as folder:
        os.environ["RAY_TMPDIR"] = str(Path(folder))
        os.environ["RAY_USAGE_STATS_ENABLED"] = os.environ["RAY_ENABLE_UV_RUN_RUNTIME_ENV"] = "0"
        os.environ["PYTHONPATH"] = os.pathsep.join([str(REPOSITORY), os.environ.get("PYTHONPATH", "")])
        from ray.cluster_utils import Cluster

        head = {"num_cpus": 0, "object_store_memory": _STORE, "include_dashboard": False}
        machines = Cluster(initialize_head=True, head_node_args=head)
        try:
            for _ in range(2):
                machines.add_node(num_cpus=2, object_store_memory=_STORE, wait=False)
            machines.wait_for_nodes()
            yield machines.address
        finally:
            machines.shutdown()
