"""The server as a process: warm before it is ready, and nothing is left of it when it is stopped."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.triton.server import serving
from tests.triton.server.asking import Client, Picture

pytestmark = pytest.mark.slow(4)


def test_warm_start_and_clean_stop(repository: Path, tmp_path: Path, asked: dict[str, Picture]) -> None:
    with serving(repository, tmp_path, verbose=True) as server:
        log = server.log.read_text(errors="replace")
        ready = log.index("Started HTTPService")
        for model in ("gcpose_detector", "gcpose_pose"):
            assert f"model '{model}' instance {model}_0_0 is running warmup sample" in log[:ready]
        assert "Skipping batch 0 warmup" not in log
        processes = server.python_processes()
        # Two of each model that clients call, one of each half of the network.
        assert len(processes) == 6
        with Client("grpc", server) as client:
            assert client.picture(asked["whole.jpg"].data) == [asked["whole.jpg"].poses]
        assert server.stop() == 0
        assert server.python_processes() == []
        assert not [pid for pid in processes if Path(f"/proc/{pid}").exists()]
