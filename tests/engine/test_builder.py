"""What can go wrong in a build, on a STAND-IN of TensorRT: one line each, and nothing half-written."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from gcpose_trt.engine import builder, machine
from gcpose_trt.engine.builder import build_engine
from gcpose_trt.engine.request import BuildRequest
from gcpose_trt.errors import GcposeError
from gcpose_trt.runtime.engine_record import EngineRecord, file_sha256
from gcpose_trt.runtime.tensorrt_api import MODULES
from tests.support.bundles import make_bundle
from tests.support.processes import children

Install = Callable[[str], Path]


@pytest.fixture
def request_of(install: Install, tiny: Path, tmp_path: Path) -> BuildRequest:
    """A build that works."""
    plugins = install("10.3")
    return BuildRequest(str(tiny), tmp_path / "engine", "fp32", size=(64, 96), plugins=plugins)


def ignore(event: dict[str, Any]) -> None:
    """Take no notice of progress."""


def refusal(request: BuildRequest) -> str:
    with pytest.raises(GcposeError) as caught:
        build_engine(request, ignore)
    message = str(caught.value)
    assert "\n" not in message
    assert not request.output.exists()
    assert not list(request.output.parent.glob(".*"))
    return message


def test_nothing_is_tried_without_tensorrt(request_of: BuildRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(MODULES, "tensorrt", "no_such_tensorrt")
    assert "tensorrt is not installed for this Python; install it with" in refusal(request_of)


def test_nothing_is_tried_without_a_gpu(request_of: BuildRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail() -> None:
        raise GcposeError("no NVIDIA driver on this machine; install it")

    monkeypatch.setattr(machine, "find_gpu", fail)
    assert "no NVIDIA driver" in refusal(request_of)


def test_no_plugin_library(request_of: BuildRequest, tmp_path: Path) -> None:
    assert "gcpose-trt plugins build" in refusal(replace(request_of, plugins=None))
    assert "gcpose-trt plugins build" in refusal(replace(request_of, plugins=tmp_path / "nothing.so"))
    (tmp_path / "text.so").write_text("no library")
    assert "gcpose-trt plugins build" in refusal(replace(request_of, plugins=tmp_path / "text.so"))


def test_too_little_memory(request_of: BuildRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "free_memory", lambda: 500 << 20)
    assert "1.0 GiB of memory and 0.5 GiB are free; close other programs, or build with --low-memory" in refusal(
        request_of
    )


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"model": "nobody"}, "no model 'nobody'"),
        ({"size": (60, 96)}, "multiples of 32"),
        ({"max_people": 4}, "at most 3 people, not 4"),
        ({"precision": "fp16"}, "no convolution"),
        (
            {"precision": "int8"},
            "no calibration comes with these weights of mobile; make one with",
        ),
    ],
)
def test_requests_that_do_not_fit(changes: dict[str, Any], text: str, request_of: BuildRequest) -> None:
    assert text in refusal(replace(request_of, **changes))


def test_a_model_of_one_size(request_of: BuildRequest, tmp_path: Path) -> None:
    model = make_bundle(tmp_path / "fixed", size=[64, 64])
    assert "exported for 64x64 only, not 64x96" in refusal(replace(request_of, model=str(model)))


def test_damaged_onnx(request_of: BuildRequest, tmp_path: Path) -> None:
    model = make_bundle(tmp_path / "damaged")
    path = model / "pose.onnx"
    path.write_bytes(path.read_bytes()[:-100])
    assert "cannot be read as ONNX" in refusal(replace(request_of, model=str(model)))


def test_a_checkpoint_that_is_none(request_of: BuildRequest, tmp_path: Path) -> None:
    pytest.importorskip("torch", reason="exporting a checkpoint needs torch")
    (tmp_path / "nonsense.pth").write_bytes(b"nonsense")
    assert "nonsense.pth" in refusal(replace(request_of, model=str(tmp_path / "nonsense.pth")))


def test_disk_full(request_of: BuildRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(record: EngineRecord, folder: Path) -> None:
        raise GcposeError(f"cannot write {folder} (No space left on device); free some space")

    monkeypatch.setattr(EngineRecord, "save", full)
    assert "No space left" in refusal(request_of)


def test_disk_full_in_the_build_process(request_of: BuildRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    def job(values: dict[str, Any], listener: Any) -> dict[str, Any]:
        if values["job"] == "build":
            # /dev/full takes no byte.
            (Path(values["work"]) / "detector.engine").symlink_to("/dev/full")
        return run(values, listener)

    run = builder.run_job
    monkeypatch.setattr(builder, "run_job", job)
    assert "No space left on device; check the path, its permissions and the free space" in refusal(request_of)


def test_engine_that_is_not_what_was_asked_for(request_of: BuildRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    def job(values: dict[str, Any], listener: Any) -> dict[str, Any]:
        result = run(values, listener)
        for part in result["parts"].values():
            if values["job"] == "build":
                part["layers"] = [{**layer, "precision": "FP16"} for layer in part["layers"]]
        return result

    run = builder.run_job
    monkeypatch.setattr(builder, "run_job", job)
    assert "fp32 was asked for, but the engine has" in refusal(request_of)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_interrupted(number: int, request_of: BuildRequest) -> None:
    request_of.output.mkdir()
    (request_of.output / "engine.json").write_text("an earlier engine")
    pids: set[int] = set()
    others = children()

    def interrupt(event: dict[str, Any]) -> None:
        if event["event"] == "stage" and "building" in event["text"]:
            pids.update(children() - others)
            os.kill(os.getpid(), number)
            time.sleep(5)

    with pytest.raises(KeyboardInterrupt):
        build_engine(request_of, interrupt)
    assert [path.read_text() for path in request_of.output.iterdir()] == ["an earlier engine"]
    assert not list(request_of.output.parent.glob(".*"))
    assert pids
    for pid in pids:
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)


def test_reproducible_builds_start_from_the_folders_own_timings(request_of: BuildRequest) -> None:
    request = replace(request_of, reproducible=True)
    first = build_engine(request, ignore)
    second = build_engine(request, ignore)
    key = "timing_cache_sha256"
    assert first.options[key] == second.options[key] == file_sha256(request.output / "timing.cache")
    assert {name: file.sha256 for name, file in first.files.items()} == {
        name: file.sha256 for name, file in second.files.items()
    }


def test_without_a_timing_cache(request_of: BuildRequest, cache_folder: Path) -> None:
    assert build_engine(replace(request_of, timing_cache="off"), ignore).options["timing_cache"] is None
    assert not (cache_folder / "gcpose-trt").exists()


def test_named_timing_cache(request_of: BuildRequest, tmp_path: Path) -> None:
    path = tmp_path / "mine.cache"
    assert build_engine(replace(request_of, timing_cache=str(path)), ignore).options["timing_cache"] == str(path)
    assert path.is_file()
    message = "is a folder; give the path of a file"
    with pytest.raises(GcposeError, match=message):
        build_engine(replace(request_of, timing_cache=str(tmp_path)), ignore)
