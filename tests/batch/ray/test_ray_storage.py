"""A whole batch on a cluster whose inputs lie in an object store: every machine reads them there by itself."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import cv2
import pyarrow.parquet as pq
import pytest

from gcpose_trt.batch import run_batch
from gcpose_trt.batch.ray_data import RayExecutor
from tests.batch import runs
from tests.batch.ray import networks
from tests.batch.ray.clips import make_clip
from tests.batch.ray.conftest import Machines
from tests.support.clips import read_clip

CONFIG = """[default]
region = us-east-1
endpoint_url = http://{host}:{port}
aws_access_key_id = test
aws_secret_access_key = test
"""


@pytest.fixture
def bucket(machines: Machines, tmp_path: Path) -> Iterator[str]:
    """An S3 bucket of a clip, two pictures and a file that is no video; only the machines' configuration names it."""
    server_module = pytest.importorskip("moto.server")
    s3fs = pytest.importorskip("s3fs")
    server = server_module.ThreadedMotoServer(port=0)
    server.start()
    host, port = server.get_host_and_port()
    machines.aws_config.write_text(CONFIG.format(host=host, port=port))
    s3fs.S3FileSystem.clear_instance_cache()
    try:
        store = s3fs.S3FileSystem()
        store.mkdir("recordings")
        make_clip(tmp_path / "walk.mp4", 16, skip=60, size=(640, 360))
        store.put_file(str(tmp_path / "walk.mp4"), "recordings/day/walk.mp4")
        for number, image in enumerate(read_clip(runs.SAMPLE)[0][100:120:10]):
            store.pipe_file(f"recordings/photos/{number}.jpg", cv2.imencode(".jpg", image)[1].tobytes())
        store.pipe_file("recordings/day/bad.mp4", b"no video")
        yield "s3://recordings"
    finally:
        s3fs.S3FileSystem.clear_instance_cache()
        machines.aws_config.unlink()
        server.stop()


@pytest.mark.slow
def test_inputs_in_a_bucket(cluster: Machines, bucket: str, tmp_path: Path) -> None:
    inputs = [f"{bucket}/day/*.mp4", f"{bucket}/photos/"]
    here, there = tmp_path / "here", tmp_path / "there"
    local = run_batch(inputs, here, workers=1, **runs.OPTIONS)
    remote = run_batch(
        inputs,
        there,
        executor=lambda recipe, on_frames: RayExecutor(
            recipe, cluster.address, 2, on_frames=on_frames, network=networks.Resized
        ),
        **runs.OPTIONS,
    )
    assert local.frames == remote.frames == 18
    assert [(failure.uri, failure.reason) for failure in remote.failures] == [
        (failure.uri, failure.reason) for failure in local.failures
    ]
    assert [failure.uri for failure in remote.failures] == [f"{bucket}/day/bad.mp4"]
    assert runs.tree(there) == runs.tree(here)
    parts = [pq.read_table(path, partitioning=None) for path in sorted((there / "poses").rglob("*.parquet"))]
    assert len(parts) == 2 and min(part.num_rows for part in parts) > 0
    sources = {source for part in parts for source in part["source"].unique().to_pylist()}
    assert sources == {f"{bucket}/day/walk.mp4", f"{bucket}/photos"}
