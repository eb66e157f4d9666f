"""Damage of a file and trouble of the place it lies in: the first is recorded, the second is tried again."""

from __future__ import annotations

import dataclasses
import errno
import io
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pyarrow.parquet as pq
import pytest

from gcpose_trt.assets import SAMPLE
from gcpose_trt.batch import faults, rendering, run_batch, storage
from gcpose_trt.batch.faults import StorageError, describe, passes, patiently
from gcpose_trt.batch.planning import plan_source
from gcpose_trt.batch.storage import FileInfo, OpenFile
from gcpose_trt.batch.types import Chunk, PlanJob, SourceFailure, SourcePlan
from gcpose_trt.batch.worker import do_file_job, read_safely
from gcpose_trt.errors import GcposeError
from tests.batch import runs
from tests.batch.support_inputs import RECIPE, blank, chunks, plan, source, web_server
from tests.support.clips import corner_image, make_clip


@pytest.fixture
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Pauses take no time and are noted; no place is known to be silent."""
    taken: list[float] = []
    monkeypatch.setattr(faults.time, "sleep", taken.append)
    monkeypatch.setattr(faults, "_silent", set())
    return taken


class Script:
    """What goes wrong with the requests for parts of files: one word a request, then the last for ever."""

    def __init__(self, *words: str) -> None:
        self.words = list(words)

    def __call__(self, method: str, path: str) -> str:
        if method == "HEAD" or not self.words:
            return ""
        return self.words.pop(0) if len(self.words) > 1 else self.words[0]


def images(segments: list[list[Chunk]]) -> list[Any]:
    return [image for segment in segments for chunk in segment for image in chunk.images]


@pytest.mark.parametrize("kind", ["503", "429", "reset", "cut", "short"])
def test_a_hiccup_of_a_server(tmp_path: Path, pauses: list[float], kind: str) -> None:
    path = make_clip(tmp_path / "clip.mp4", [corner_image()] * 8)
    trouble = Script("")
    with web_server(tmp_path, trouble=trouble) as (address, _):
        planned = plan(f"{address}/clip.mp4")
        trouble.words = [kind, kind, ""]
        np.testing.assert_array_equal(images(chunks(planned)), images(chunks(plan(path))))
        assert pauses == [1.0, 3.0]
        trouble.words = [kind]
        ((chunk,),) = chunks(planned)
        assert (chunk.again, chunk.last, len(chunk.images)) == (True, True, 0)
        assert chunk.failure is not None and chunk.failure.startswith(f"cannot read {address}/clip.mp4 (")
        assert chunk.failure.endswith("; check the connection") and "\n" not in chunk.failure
        assert pauses == [1.0, 3.0, 1.0, 3.0, 9.0]
        failed = do_file_job(PlanJob(planned.spec, RECIPE))
        assert isinstance(failed, SourceFailure) and "check the connection" in failed.reason
        assert len(pauses) == 5, "it was patient with this place once"
        trouble.words = [""]
        assert isinstance(do_file_job(PlanJob(planned.spec, RECIPE)), SourcePlan)
        trouble.words = [kind, ""]
        assert len(images(chunks(planned))) == 8 and len(pauses) == 6, "it has answered since"


def test_access_that_has_expired_is_no_damage(tmp_path: Path, pauses: list[float]) -> None:
    make_clip(tmp_path / "clip.mp4", [corner_image()] * 8)
    trouble = Script("")
    with web_server(tmp_path, trouble=trouble) as (address, _):
        planned = plan(f"{address}/clip.mp4?X-Amz-Signature=old")
        trouble.words = ["403"]
        ((chunk,),) = chunks(planned)
    assert chunk.again and chunk.failure is not None
    assert chunk.failure.startswith(f"access to {address}/clip.mp4 is denied (403") and "old" not in chunk.failure
    assert chunk.failure.endswith("; sign it anew")
    assert pauses == [], "waiting does not help"


def test_the_next_run_does_what_a_store_kept_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With a link whose signature expires on the way; its successor is the same source."""
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).resolve().parents[2]))
    runs.cut_clip(tmp_path / "a.mp4", [corner_image()] * 20)
    trouble, output = Script("", "", "403"), tmp_path / "out"
    with web_server(tmp_path, trouble=trouble) as (address, _):
        make = runs.with_network(runs.hangs(tmp_path / "marks", 0))
        link = f"{address}/a.mp4?X-Amz-Date=1&X-Amz-Signature="
        first = run_batch([f"{link}first-secret"], output, executor=make, **runs.OPTIONS)
        (failure,) = first.failures
        assert failure.reason.startswith(f"segment 2 of 3: access to {address}/a.mp4 is denied")
        assert pq.read_table(output / "sources.parquet")["state"].to_pylist() == ["failed"]
        recorded = [path.name for path in output.glob(".batch/segments/*/*.parquet")]
        assert recorded == ["0.parquet"], "what was not read is not recorded"
        trouble.words = [""]
        second = run_batch([f"{link}second-secret"], output, executor=make, **runs.OPTIONS)
        assert not second.failures
        (done,) = second.finished
        assert done.warnings == () and done.spec.uri == f"{address}/a.mp4"
        third = run_batch([f"{link}third-secret"], output, executor=make, **runs.OPTIONS)
        assert len(third.skipped) == 1
    lines = [line for summary in (first, second, third) for line in (*summary.lines(), *summary.problems())]
    written = [path.read_bytes() for path in output.rglob("*") if path.is_file()]
    assert len(written) >= 4
    assert not any("-secret" in line for line in lines) and not any(b"-secret" in data for data in written)


class _Failing(io.FileIO):
    """A local file whose first reads fail."""

    times, number = 0, errno.EIO

    def read(self, size: int | None = -1) -> bytes:  # type: ignore[override]
        if type(self).times > 0:
            type(self).times -= 1
            raise OSError(self.number, os.strerror(self.number))
        return super().read(-1 if size is None else size)


@pytest.fixture
def failing(monkeypatch: pytest.MonkeyPatch) -> type[_Failing]:
    """Local files are opened as these."""

    class Failing(_Failing):
        pass

    def opened(file: OpenFile) -> tuple[Any, FileInfo]:
        stream = Failing(file.name)
        return stream, storage._of_stat(os.fstat(stream.fileno()))

    monkeypatch.setattr(OpenFile, "_opened", opened)
    return Failing


@pytest.mark.parametrize("number", [errno.EIO, errno.ESTALE])
def test_a_disk_that_fails(tmp_path: Path, pauses: list[float], failing: type[_Failing], number: int) -> None:
    path = make_clip(tmp_path / "clip.mp4", [corner_image()] * 8)
    planned = plan(path)
    failing.number, failing.times = number, 2
    assert len(images(chunks(planned))) == 8 and pauses == [1.0, 3.0]
    failing.times = 100
    ((chunk,),) = chunks(planned)
    assert chunk.again and chunk.failure is not None
    assert chunk.failure.startswith(f"cannot read {path} ({os.strerror(number)}); check the disk")
    failed = plan_source(planned.spec, RECIPE)
    assert isinstance(failed, SourceFailure) and os.strerror(number) in failed.reason
    failing.times = 0
    assert len(images(chunks(planned))) == 8


def test_damage_is_damage(tmp_path: Path, pauses: list[float]) -> None:
    path = make_clip(tmp_path / "clip.mp4", [corner_image()] * 30, movflags="faststart")
    planned = plan(path)
    blank(path)
    ((chunk,),) = chunks(planned)
    assert chunk.failure is not None and not chunk.again and pauses == []
    path.unlink()
    ((chunk,),) = chunks(planned)
    assert chunk.failure == f"no file {path}; check the path" and chunk.again, "a share may be mounted again"


def test_pictures(tmp_path: Path, pauses: list[float], monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "pictures"
    folder.mkdir()
    for number in range(3):
        cv2.imwrite(str(folder / f"{number}.png"), np.zeros((8, 8, 3), np.uint8))
    planned = plan(folder)
    (folder / "1.png").write_bytes(b"")
    ((chunk,),) = chunks(planned)
    assert (len(chunk.images), len(chunk.warnings), chunk.again) == (2, 1, False)
    read = Path.read_bytes

    def stale(path: Path) -> bytes:
        if path.name == "2.png":
            raise OSError(errno.ESTALE, "Stale file handle")
        return read(path)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "read_bytes", stale)
        ((chunk,),) = chunks(planned)
        assert chunk.again and chunk.failure is not None and "Stale file handle" in chunk.failure
        assert len(pauses) == 3
    shutil.rmtree(folder)
    ((chunk,),) = chunks(planned)
    assert chunk.again and chunk.failure is not None and "0.png" in chunk.failure


def test_a_file_that_was_changed_while_it_was_read(tmp_path: Path, pauses: list[float]) -> None:
    path = tmp_path / "clip"
    path.write_bytes(bytes(100))
    with OpenFile(str(path)) as opened:
        opened.read(10)
        opened._broken = True
        path.write_bytes(bytes(101))
        with pytest.raises(OSError, match="was changed while it was read"):
            opened.read(10)
        with pytest.raises(StorageError):
            opened.check()


def test_out_of_memory_and_strange_errors(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    planned = plan(make_clip(tmp_path / "clip.mp4", [corner_image()] * 2))
    for error, again in ((MemoryError(), True), (ConnectionResetError("gone"), True), (RuntimeError("odd"), False)):

        def fail(*_: object, error: Exception = error) -> None:
            raise error

        monkeypatch.setattr("gcpose_trt.batch.reading.read_segment", fail)
        (chunk,) = read_safely(planned, planned.segments[0], RECIPE)
        assert chunk.failure is not None and chunk.again == again


def test_drawing_waits_for_the_place_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    planned = plan(make_clip(tmp_path / "clip.mp4", [corner_image()] * 2))

    class Table:
        segment_frames, start = (2,), 0.0

    lost = Chunk(planned.spec.id, 0, 0, True, [], np.zeros(0, np.int64), np.zeros(0), failure="no answer", again=True)
    monkeypatch.setattr("gcpose_trt.batch.reading.read_segment", lambda *_: iter([lost]))
    with pytest.raises(StorageError, match="no answer"):
        list(rendering._frames(planned, RECIPE, Table()))  # type: ignore[arg-type]

    def fail(*_: object) -> None:
        raise StorageError("no answer; wait")

    monkeypatch.setattr("gcpose_trt.batch.worker._finish", fail)
    job: Any = type("Job", (), {"plan": planned})()
    assert do_file_job(job) == SourceFailure(planned.spec.uri, "no answer; wait", planned.spec.id)


def test_progress_of_reading_is_told(tmp_path: Path) -> None:
    planned = plan(make_clip(tmp_path / "clip.mp4", [corner_image()] * 8))
    beats: list[None] = []
    for _ in read_safely(planned, planned.segments[0], RECIPE, lambda: beats.append(None)):
        pass
    assert len(beats) > 8, "each frame and each read"
    beats.clear()
    plan_source(planned.spec, RECIPE, lambda: beats.append(None))
    assert beats


def test_patience(pauses: list[float], monkeypatch: pytest.MonkeyPatch) -> None:
    beats: list[None] = []

    def never() -> None:
        raise TimeoutError

    def ask(uri: str, action: Callable[[], None] = never) -> None:
        with pytest.raises(StorageError):
            patiently(action, uri, lambda: beats.append(None))

    ask("s3://one/x")
    assert pauses == [1.0, 3.0, 9.0] and len(beats) == 4
    ask("s3://one/y")
    assert len(pauses) == 3
    ask("s3://two/y")
    assert len(pauses) == 6
    faults.answered("s3://one/z")
    ask("s3://one/y")
    assert len(pauses) == 9
    monkeypatch.setattr(faults, "_PATIENCE_S", -1.0)
    ask("s3://three/y")
    assert len(pauses) == 9, "the store's own package was patient enough"


def s3_error(status: int, code: str) -> Exception:
    errors = pytest.importorskip("s3fs.errors")
    exceptions = pytest.importorskip("botocore.exceptions")
    answer = {"Error": {"Code": code, "Message": "it said"}, "ResponseMetadata": {"HTTPStatusCode": status}}
    return errors.translate_boto_error(exceptions.ClientError(answer, "GetObject"))


@pytest.mark.parametrize(
    ("status", "code", "words", "again", "soon"),
    [
        (503, "SlowDown", "check the connection", True, True),
        (500, "InternalError", "check the connection", True, True),
        (400, "RequestTimeout", "check the connection", True, True),
        (400, "ExpiredToken", "give this machine credentials for s3", True, False),
        (403, "AccessDenied", "give this machine credentials for s3", True, False),
        (404, "NoSuchKey", "no file s3://b/x", False, False),
    ],
)
def test_what_s3_answers(status: int, code: str, words: str, again: bool, soon: bool) -> None:
    error = describe(s3_error(status, code), "s3://b/x")
    assert words in str(error) and isinstance(error, StorageError) == again
    assert getattr(error, "passing", False) == soon


def test_other_errors() -> None:
    class AnswerError(Exception):
        status_code = 502

    assert passes(AnswerError()) and passes(EOFError()) and not passes(ValueError())
    assert describe(PermissionError(13, "Permission denied"), "/x/y").args == (
        "access to /x/y is denied (Permission denied); check permissions",
    )
    assert type(describe(IsADirectoryError(21, "Is a directory"), "/x")) is GcposeError
    shown = str(describe(ValueError("https://u:p@h/x?sig=abc&a=1 failed"), "https://h/x"))
    assert shown == "cannot read https://h/x (https://h/x?a=1 failed); check the connection"


def test_planned_again_after_trouble(tmp_path: Path, pauses: list[float]) -> None:
    """What cannot be asked for is a failure of this run."""
    shutil.copy(SAMPLE, tmp_path / "clip.mp4")
    down = [True]
    with web_server(tmp_path, trouble=lambda method, path: "503" if down[0] else "") as (address, _):
        from gcpose_trt.batch.inputs import expand

        sources, (failure,) = expand([f"{address}/clip.mp4"])
        assert sources == [] and "503" in failure.reason and pauses == [1.0, 3.0, 9.0]
        down[0] = False
        assert dataclasses.replace(source(f"{address}/clip.mp4")).kind == "video"
