"""Object stores and web servers, real ones on this machine."""

from __future__ import annotations

import dataclasses
import http.client
import os
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gcpose_trt.assets import SAMPLE
from gcpose_trt.batch import faults, storage
from gcpose_trt.batch.inputs import expand
from gcpose_trt.batch.planning import plan_source
from gcpose_trt.batch.reading import read_segment
from gcpose_trt.batch.types import SourceFailure
from gcpose_trt.errors import GcposeError
from tests.batch.support_inputs import RECIPE, chunks, plan, web_server
from tests.support.clips import corner_image, make_clip
from tests.video.segments.support import whole


@pytest.fixture(autouse=True)
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody waits for a server that is not there."""
    monkeypatch.setattr(faults, "PAUSES_S", (0.0, 0.0, 0.0))


TWO_SECONDS = dataclasses.replace(RECIPE, segment_s=2.0)


@pytest.fixture(scope="module")
def bucket() -> Iterator[Any]:
    """An S3 bucket with the sample, a picture, a manifest and a bad file in it; yields a client."""
    server_module = pytest.importorskip("moto.server")
    s3fs = pytest.importorskip("s3fs")
    server = server_module.ThreadedMotoServer(port=0)
    server.start()
    host, port = server.get_host_and_port()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AWS_ENDPOINT_URL", f"http://{host}:{port}")
        patch.setenv("AWS_ACCESS_KEY_ID", "test")
        patch.setenv("AWS_SECRET_ACCESS_KEY", "test")
        patch.setenv("AWS_DEFAULT_REGION", "us-east-1")
        s3fs.S3FileSystem.clear_instance_cache()
        store = s3fs.S3FileSystem()
        store.mkdir("clips")
        store.put_file(str(SAMPLE), "clips/day/one/sample.mp4")
        store.pipe_file("clips/day/bad.mp4", b"no video")
        store.pipe_file("clips/day/.hidden.mp4", b"no video")
        store.pipe_file("clips/pictures/2.jpg", b"second")
        store.pipe_file("clips/pictures/10.jpg", b"first")
        store.pipe_file("clips/list.txt", b"# list\nday/bad.mp4\ns3://clips/day/one/sample.mp4\n")
        yield store
        s3fs.S3FileSystem.clear_instance_cache()
    server.stop()


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("s3://clips/day/**/*.mp4", ["s3://clips/day/bad.mp4", "s3://clips/day/one/sample.mp4"]),
        ("s3://clips/day", ["s3://clips/day/bad.mp4", "s3://clips/day/one/sample.mp4"]),
        ("s3://clips/list.txt", ["s3://clips/day/bad.mp4", "s3://clips/day/one/sample.mp4"]),
        ("s3://clips/day/one/sample.mp4", ["s3://clips/day/one/sample.mp4"]),
        ("s3://clips/pictures/", ["s3://clips/pictures"]),
        ("s3://clips/pictures/10.jpg", ["s3://clips/pictures/10.jpg"]),
    ],
)
def test_names_in_a_bucket(bucket: Any, name: str, found: list[str]) -> None:
    sources, failures = expand([name])
    assert failures == []
    assert [source.uri for source in sources] == found


def test_pictures_of_a_bucket(bucket: Any) -> None:
    (source,), _ = expand(["s3://clips/pictures"])
    assert source.files == ("s3://clips/pictures/2.jpg", "s3://clips/pictures/10.jpg")
    assert storage.read_bytes(source.files[0]) == b"second"


def test_fingerprint_of_an_object(bucket: Any) -> None:
    bucket.pipe_file("clips/new/x.mp4", b"one")
    (one,), _ = expand(["s3://clips/new/x.mp4"])
    (listed,), _ = expand(["s3://clips/new"])
    assert one == listed, "however it was named"
    bucket.pipe_file("clips/new/x.mp4", b"two")
    (two,), _ = expand(["s3://clips/new/x.mp4"])
    assert two.id == one.id and two.fingerprint != one.fingerprint


def test_video_of_a_bucket(bucket: Any) -> None:
    there = plan("s3://clips/day/one/sample.mp4", TWO_SECONDS)
    here = plan(SAMPLE, TWO_SECONDS)
    assert (there.segments, there.frames, there.size) == (here.segments, here.frames, here.size)
    _check_last_segment(chunks(dataclasses.replace(there, segments=there.segments[-1:]), TWO_SECONDS)[0])


def _check_last_segment(found: list[Any]) -> None:
    images = [image for chunk in found for image in chunk.images]
    np.testing.assert_array_equal(images, whole(SAMPLE)[0][-len(images) :])
    assert len(images) == 50
    assert found[-1].warnings == () and found[-1].failure is None


def test_what_is_wrong_in_a_bucket(bucket: Any) -> None:
    names = ["s3://clips/no.mp4", "s3://clips/nothing/", "s3://clips/*.webm", "s3://nobucket/x.mp4"]
    sources, failures = expand(names)
    assert sources == []
    assert [failure.uri for failure in failures] == names
    assert all("\n" not in failure.reason and "; " in failure.reason for failure in failures)
    assert failures[0].reason == "no file s3://clips/no.mp4; check the address"
    (bad,), _ = expand(["s3://clips/day/bad.mp4"])
    failed = plan_source(bad, RECIPE)
    assert isinstance(failed, SourceFailure)
    assert "s3://clips/day/bad.mp4" in failed.reason and "not a video" in failed.reason


def test_no_credentials() -> None:
    """As s3fs and botocore word it."""
    denied = faults.describe(PermissionError("Forbidden"), "s3://clips/x.mp4")
    assert str(denied) == "access to s3://clips/x.mp4 is denied (Forbidden); give this machine credentials for s3"
    none = faults.describe(RuntimeError("Unable to locate credentials"), "s3://clips/x.mp4")
    assert "denied" in str(none)


def test_web_server_is_asked_for_parts_only(tmp_path: Path) -> None:
    # An index at the end, and much in front of it.
    path = tmp_path / "clip.mp4"
    noise = [np.random.default_rng(n).integers(0, 256, (128, 160, 3), np.uint8) for n in range(300)]
    make_clip(path, noise)
    size = path.stat().st_size
    assert size > 6 << 20
    with web_server(tmp_path) as (address, sent):
        planned = plan(f"{address}/clip.mp4", dataclasses.replace(RECIPE, segment_s=10.0))
        assert len(planned.segments) == 2, "a key frame every 250 frames"
        assert sum(sent) < size * 0.7
        assert max(sent) <= 1 << 20
        last = dataclasses.replace(planned, segments=planned.segments[-1:])
        ((*_, chunk),) = chunks(last)
    assert chunk.failure is None
    assert chunk.times[-1] == pytest.approx(29.9)
    assert planned.segments == plan(path, dataclasses.replace(RECIPE, segment_s=10.0)).segments


def test_web_folder_and_manifest(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    make_clip(tmp_path / "a" / "clip.mp4", [corner_image()] * 5)
    (tmp_path / "a" / "notes.md").write_text("no")
    (tmp_path / "list.txt").write_text("a/clip.mp4\na/gone.mp4\n")
    with web_server(tmp_path) as (address, _):
        sources, failures = expand([f"{address}/a/", f"{address}/list.txt"])
        assert [source.uri for source in sources] == [f"{address}/a/clip.mp4"]
        assert [failure.reason for failure in failures] == [f"no file {address}/a/gone.mp4; check the address"]


def test_a_server_that_goes_away_is_a_failure_not_an_end(tmp_path: Path) -> None:
    noise = [np.random.default_rng(n).integers(0, 256, (128, 160, 3), np.uint8) for n in range(200)]
    make_clip(tmp_path / "clip.mp4", noise)
    with web_server(tmp_path) as (address, _):
        planned = plan(f"{address}/clip.mp4")
        reading = read_segment(planned, planned.segments[0], RECIPE)
        assert len(next(reading).images) == RECIPE.batch
    *_, chunk = list(reading)
    assert chunk.failure is not None and chunk.again
    assert f"cannot read {address}/clip.mp4" in chunk.failure and "; check the connection" in chunk.failure
    ((chunk,),) = chunks(planned)
    assert chunk.failure is not None and "; check the connection" in chunk.failure


def test_login_from_netrc(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make_clip(tmp_path / "clip.mp4", [corner_image()] * 5)
    with web_server(tmp_path, login="me:secret") as (address, _):
        _, (denied,) = expand([f"{address}/clip.mp4"])
        assert f"access to {address}/clip.mp4 is denied" in denied.reason
        netrc = tmp_path / "netrc"
        netrc.write_text("machine 127.0.0.1 login me password secret\n")
        monkeypatch.setenv("NETRC", str(netrc))
        assert plan(f"{address}/clip.mp4").frames == 5


def test_missing_packages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "gcsfs", None)
    with pytest.raises(GcposeError, match="pip install gcsfs") as caught:
        storage.open_binary("gs://bucket/x.mp4")
    assert "\n" not in str(caught.value)
    monkeypatch.setitem(sys.modules, "fsspec", None)
    with pytest.raises(GcposeError, match=r"gcpose-trt\[batch\]"):
        storage.info("s3://bucket/x.mp4")


def test_memory_store() -> None:
    import fsspec

    fsspec.filesystem("memory").pipe_file("/clips/x.mp4", SAMPLE.read_bytes())
    (source,), failures = expand(["memory://clips/*.mp4"])
    assert failures == []
    with storage.open_binary(source.uri) as stream:
        assert stream.read() == SAMPLE.read_bytes()
    assert storage.info(source.uri).size == SAMPLE.stat().st_size
    fsspec.filesystem("memory").rm("/clips", recursive=True)


def test_local_files(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(b"abc")
    assert storage.read_bytes(str(tmp_path / "x")) == b"abc"
    assert storage.info(str(tmp_path / "x")).size == 3
    with pytest.raises(GcposeError, match="check the path"):
        storage.open_binary(str(tmp_path / "y"))
    assert not storage.is_remote("/a/http:läufer %d.mp4")
    assert storage.is_remote("simplecache::s3://bucket/x")


@contextmanager
def in_front_of(store: str, trouble: list[str]) -> Iterator[str]:
    """A proxy of a store that does what `trouble` says with requests for parts of objects; yields its address."""
    host, port = store.removeprefix("http://").split(":")

    class Proxy(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            connection = http.client.HTTPConnection(host, int(port))
            connection.request(self.command, self.path, headers=dict(self.headers))
            answer = connection.getresponse()
            body, status, length = answer.read(), answer.status, answer.getheader("Content-Length")
            wrong = trouble.pop(0) if trouble and "Range" in self.headers else ""
            if wrong == "expired":
                body, status = b"<Error><Code>ExpiredToken</Code><Message>It has expired.</Message></Error>", 400
                length = str(len(body))
            elif wrong == "cut":
                body = body[: len(body) // 2]
            self.send_response(status)
            for name, value in answer.getheaders() if wrong != "expired" else ():
                if name.lower() not in ("content-length", "transfer-encoding", "connection"):
                    self.send_header(name, value)
            self.send_header("Content-Length", length or "0")
            self.end_headers()
            self.wfile.write(body)

        def do_HEAD(self) -> None:
            self.do_GET()

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Proxy)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def test_a_bucket_that_fails_on_the_way(bucket: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    trouble: list[str] = []
    with in_front_of(os.environ["AWS_ENDPOINT_URL"], trouble) as address:
        monkeypatch.setenv("AWS_ENDPOINT_URL", address)
        bucket.clear_instance_cache()
        planned = plan("s3://clips/day/one/sample.mp4", TWO_SECONDS)
        last = dataclasses.replace(planned, segments=planned.segments[-1:])
        trouble[:] = ["expired"] * 9
        ((chunk,),) = chunks(last, TWO_SECONDS)
        assert chunk.again and chunk.failure is not None
        assert "is denied (It has expired.); give this machine credentials for s3" in chunk.failure
        assert len(trouble) == 8, "waiting does not help"
        trouble[:] = ["cut", "cut"]
        _check_last_segment(chunks(last, TWO_SECONDS)[0])
        assert trouble == []
    bucket.clear_instance_cache()
