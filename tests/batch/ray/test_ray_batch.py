"""Whole batches on a cluster: the same bytes as on one machine, also when the disk was full on the way."""

from __future__ import annotations

import errno
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from gcpose_trt.batch import run_batch
from gcpose_trt.batch.ray_data import RayExecutor
from gcpose_trt.cli import main
from gcpose_trt.errors import GcposeError
from tests.batch import runs
from tests.batch.ray.conftest import Machines


@pytest.fixture(scope="package")
def inputs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return runs.make_inputs(tmp_path_factory.mktemp("inputs") / "clips")


@pytest.fixture(scope="package")
def reference(inputs: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The results of one process of this machine."""
    output = tmp_path_factory.mktemp("reference") / "out"
    run_batch([str(inputs)], output, workers=1, **runs.OPTIONS)
    return runs.tree(output)


def on(cluster: Machines) -> Callable[..., RayExecutor]:
    return lambda recipe, on_frames: RayExecutor(recipe, cluster.address, 2, on_frames=on_frames)


@pytest.mark.slow
def test_a_full_disk_loses_nothing_and_does_nothing_twice(
    cluster: Machines, inputs: Path, reference: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_table = pq.write_table
    written: list[Any] = []

    def fill(table: Any, where: Any, **more: Any) -> None:
        if len(written) == 2:
            raise OSError(errno.ENOSPC, "No space left on device")
        written.append(table)
        write_table(table, where, **more)

    with monkeypatch.context() as patched:
        patched.setattr(pq, "write_table", fill)
        with pytest.raises(GcposeError, match=r"^cannot write .* \(No space left on device\); free some space[^\n]*$"):
            run_batch([str(inputs)], tmp_path, executor=on(cluster), **runs.OPTIONS)
    before = sum(table.num_rows for table in written)
    assert 0 < before < 32
    summary = run_batch([str(inputs)], tmp_path, executor=on(cluster), **runs.OPTIONS)
    assert [Path(failure.uri).name for failure in summary.failures] == ["damaged.mp4"]
    assert summary.frames == 32 - before
    assert runs.tree(tmp_path) == reference
    assert not list((tmp_path / ".batch/segments").iterdir())


@pytest.mark.slow
def test_the_command_line_is_as_quiet_as_without_ray(
    cluster: Machines, inputs: Path, reference: dict[str, str], tmp_path: Path
) -> None:
    # A process of its own: Ray says some things only once.
    command = [sys.executable, "-m", "gcpose_trt", "batch", str(inputs), "--output", str(tmp_path), *runs.ARGUMENTS]
    done = subprocess.run(
        [*command, "--ray", cluster.address, "--workers", "1"], capture_output=True, text=True, timeout=240
    )
    assert done.returncode == 2, done.stderr  # for the damaged clip
    assert runs.tree(tmp_path) == reference
    for noise in ("ray", "Dataset", "Running", "WARNING", "INFO", "Warning"):
        assert noise not in done.stdout + done.stderr, done.stderr


def test_nobody_at_the_address(inputs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("ray")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))  # nobody listens
        address = f"127.0.0.1:{free.getsockname()[1]}"
        arguments = ["batch", str(inputs), "--output", str(tmp_path), *runs.ARGUMENTS, "--ray", address]
        assert main(arguments) == 2
    err = capsys.readouterr().err.strip().splitlines()[-1]
    assert f"no Ray cluster answers at {address}" in err and "ray start --head" in err
