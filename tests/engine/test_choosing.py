"""`--precision best` on STAND-INS: of TensorRT, which optimises nothing, and of what engines take and find."""

from __future__ import annotations

import json
import os
import shutil
import signal
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("pycocotools", reason="pycocotools is not installed; pip install 'gcpose-trt[eval]'")
from gcpose_trt.cli import main
from gcpose_trt.engine import choosing, gate
from gcpose_trt.engine.choosing import Candidate, build_best, choose
from gcpose_trt.engine.process import run_job
from gcpose_trt.engine.request import BuildRequest
from gcpose_trt.errors import GcposeError
from gcpose_trt.runtime.engine_record import EngineRecord, file_sha256
from tests.support import cuda_standin, tensorrt_standin
from tests.support.annotated import annotate
from tests.support.bundles import make_bundle
from tests.support.engine_folders import from_bundle
from tests.support.processes import children

FLOAT_AP = 0.5
Events = list[dict[str, Any]]


class Gpu:
    """What engines of each precision take, in milliseconds, and find, as AP, in place of a GPU."""

    def __init__(self) -> None:
        self.milliseconds = {"fp32": 4.0, "fp16": 2.0, "int8": 1.0}
        self.ap = {"fp32": 0.5, "fp16": 0.499, "int8": 0.48}
        self.noise = 0.1
        self.unable: dict[str, str] = {}
        self.unbuildable: dict[str, str] = {}
        self.events: Events = []

    def run_job(self, job: dict[str, Any], listener: Callable[[dict[str, Any]], None]) -> dict[str, Any]:
        """Stand in for the jobs that need a GPU."""
        if job["job"] == "probe":
            return {"gpu": "Stand-in GPU"}
        if job["job"] == "measure":
            if job["backend"] == "onnxruntime":
                return {"ap": FLOAT_AP, "images": 2}
            name = EngineRecord.load(job["model"]).precision
            return {"unable": self.unable[name]} if name in self.unable else {"ap": self.ap[name], "images": 2}
        assert job["job"] == "race"
        rng = np.random.default_rng(0)
        names = {name: EngineRecord.load(folder).precision for name, folder in job["folders"].items()}
        assert all(name == precision for name, precision in names.items())
        times = {name: (self.milliseconds[name] + self.noise * rng.random(60)).tolist() for name in names}
        return {"milliseconds": times, "failed": {}, "frames": 2}


@pytest.fixture
def gpu(monkeypatch: pytest.MonkeyPatch) -> Gpu:
    """A GPU whose speed and accuracy the test chooses."""
    found = Gpu()
    monkeypatch.setattr(choosing, "run_job", found.run_job)
    monkeypatch.setattr(gate, "run_job", found.run_job)
    return found


@pytest.fixture(scope="session")
def truth(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Images and annotations."""
    images, annotations = annotate(tmp_path_factory.mktemp("truth"), (160, 256))
    return {"images": images, "annotations": annotations}


@pytest.fixture
def request_of(install: Callable[[str], Path], tiny: Path, tmp_path: Path) -> BuildRequest:
    """A request for the best of a tiny model."""
    return BuildRequest(str(tiny), tmp_path / "engine", "best", size=(64, 96), plugins=install("10.3"))


@pytest.fixture
def quick(gpu: Gpu, request_of: BuildRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> BuildRequest:
    """The same, with ready-made engines instead of builds, alike but for the precision that they say."""
    model = tmp_path / "model"
    from_bundle(model, make_bundle(tmp_path / "fixed", size=[64, 96], batch=1))
    record = EngineRecord.load(model)

    def copy(request: BuildRequest, listener: Any, debug: bool) -> EngineRecord:
        if request.precision in gpu.unbuildable:
            raise GcposeError(gpu.unbuildable[request.precision])
        shutil.copytree(model, request.output)
        built = replace(record, precision=request.precision, command=request.command)
        built.save(request.output)
        return built

    monkeypatch.setattr(choosing, "build_engine", copy)
    return request_of


def build(request: BuildRequest, gpu: Gpu) -> tuple[EngineRecord, dict[str, dict[str, Any]]]:
    record = build_best(request, gpu.events.append)
    assert EngineRecord.load(request.output) == EngineRecord.from_dict(json.loads(json.dumps(record.to_dict())), "it")
    record = EngineRecord.load(request.output)
    record.check_files(request.output)
    assert record.options["choice"]["chosen"] == record.precision
    assert not list(request.output.parent.glob(".*"))
    assert all(path.is_file() for path in request.output.iterdir())
    return record, {entry["precision"]: entry for entry in record.options["choice"]["candidates"]}


def refusal(request: BuildRequest, gpu: Gpu) -> str:
    with pytest.raises(GcposeError) as caught:
        build_best(request, gpu.events.append)
    assert "\n" not in str(caught.value)
    assert not request.output.exists()
    assert not list(request.output.parent.glob(".*"))
    return str(caught.value)


def test_the_fastest_without_a_limit(quick: BuildRequest, gpu: Gpu) -> None:
    record, found = build(quick, gpu)
    assert record.precision == "int8"
    assert [found[name]["reason"] for name in ("fp32", "fp16", "int8")] == [*["slower than int8"] * 2, "the fastest"]
    assert 1 < found["int8"]["quartiles_ms"][0] < found["int8"]["median_ms"] < found["int8"]["quartiles_ms"][1] < 1.1
    assert found["fp32"]["lead"] == 1
    assert found["int8"]["ap"] is None
    assert "--precision int8" in record.command
    assert [event["name"] for event in gpu.events if event["event"] == "part"] == ["fp32", "fp16", "int8", "measuring"]


def test_the_fastest_that_passes(
    quick: BuildRequest, gpu: Gpu, truth: dict[str, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    record, found = build(replace(quick, max_ap_drop=0.5, exclude=("neck.*",), **truth), gpu)
    assert record.precision == "fp16"
    assert [found[name]["passed"] for name in ("fp32", "fp16", "int8")] == [True, True, False]
    assert found["int8"]["ap_drop"] == pytest.approx(2)
    assert found["int8"]["reason"] == "loses 2.00 points of AP, more than 0.5"
    choice = record.options["choice"]
    assert (choice["ap_fp32_model"], choice["images"], choice["max_ap_drop"]) == (FLOAT_AP, 2, 0.5)
    assert choice["annotations_sha256"] == file_sha256(truth["annotations"])
    assert "--precision fp16" in record.command
    assert "--max-ap-drop 0.5" in record.command
    assert "--exclude" not in record.command
    # Everybody can see it afterwards.
    assert main(["inspect", str(quick.output)]) == 0
    shown = capsys.readouterr().out
    assert "choice       fp16, the fastest that loses at most 0.5 points of AP: 60 rounds" in shown
    assert "0.4800    2.00  loses 2.00 points of AP, more than 0.5" in shown
    assert main(["inspect", str(quick.output), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["record"]["options"]["choice"] == choice


def test_images_without_a_limit_are_a_report(quick: BuildRequest, gpu: Gpu, truth: dict[str, Path]) -> None:
    record, found = build(replace(quick, **truth), gpu)
    assert record.precision == "int8"
    assert found["int8"]["ap_drop"] == pytest.approx(2)


def test_none_passes(quick: BuildRequest, gpu: Gpu, truth: dict[str, Path]) -> None:
    gpu.ap = {"fp32": 0.4, "fp16": 0.3, "int8": 0.2}
    message = refusal(replace(quick, max_ap_drop=0.5, **truth), gpu)
    for part in ("fp32 loses 10.00 points", "fp16 loses 20.00", "int8 loses 30.00", "--max-ap-drop"):
        assert part in message


def test_a_tie_goes_to_the_more_accurate(quick: BuildRequest, gpu: Gpu) -> None:
    gpu.milliseconds, gpu.noise = {"fp32": 4.0, "fp16": 1.01, "int8": 1.0}, 0.5
    record, found = build(quick, gpu)
    assert record.precision == "fp16"
    assert found["fp16"]["lead"] < choosing.LEAD <= found["fp32"]["lead"]
    assert found["fp16"]["reason"] == "as fast as int8 and more accurate"
    assert found["int8"]["reason"] == "no faster than fp16, less accurate"


@pytest.mark.parametrize(("lead", "chosen"), [(0.74, "fp32"), (0.75, "int8")])
def test_the_lead_that_counts(lead: float, chosen: str, quick: BuildRequest) -> None:
    record = EngineRecord.load(quick.output.parent / "model")
    slow = Candidate("fp32", median_ms=1.1, lead=lead, record=record)
    out = Candidate("fp16", reason="not built: why")
    fast = Candidate("int8", median_ms=1.0, record=record)
    assert choose([slow, out, fast], None).precision == chosen
    assert (slow.passed, out.passed, fast.passed) == (True, False, True)
    assert out.reason == "not built: why"


def test_candidates_that_fall_out(quick: BuildRequest, gpu: Gpu, truth: dict[str, Path]) -> None:
    gpu.unbuildable = {"int8": "no calibration; make one"}
    gpu.unable = {"fp16": "out of GPU memory; close programs"}
    record, found = build(replace(quick, **truth), gpu)
    assert record.precision == "fp32"
    assert found["int8"]["reason"] == "not built: no calibration; make one"
    assert found["fp16"]["reason"] == "cannot be run here: out of GPU memory; close programs"
    assert found["fp16"]["median_ms"] is None
    gpu.unable["fp32"] = "out of luck"
    shutil.rmtree(quick.output)
    assert "no candidate can be run here, nothing was written: fp32 (" in refusal(replace(quick, **truth), gpu)


def test_precisions_that_a_model_does_not_have(request_of: BuildRequest, gpu: Gpu) -> None:
    """The builder itself refuses two of three."""
    record, found = build(request_of, gpu)
    assert record.precision == "fp32"
    assert "no convolution" in found["fp16"]["reason"]
    assert "no calibration comes with these weights" in found["int8"]["reason"]
    record.check_source()


def test_what_no_precision_can_do_is_said_once(request_of: BuildRequest, gpu: Gpu) -> None:
    assert refusal(replace(request_of, max_people=4), gpu).count("at most 3 people") == 1


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_interrupted(number: int, request_of: BuildRequest, gpu: Gpu) -> None:
    request_of.output.mkdir()
    (request_of.output / "engine.json").write_text("an earlier engine")
    pids: set[int] = set()
    others = children()

    def interrupt(event: dict[str, Any]) -> None:
        # While the second candidate is prepared: the first is complete.
        if event["event"] == "part" and event["number"] == 1:
            gpu.events.append(event)
        elif event["event"] == "stage" and gpu.events:
            pids.update(children() - others)
            os.kill(os.getpid(), number)
            time.sleep(5)

    with pytest.raises(KeyboardInterrupt):
        build_best(request_of, interrupt)
    assert [path.read_text() for path in request_of.output.iterdir()] == ["an earlier engine"]
    assert not list(request_of.output.parent.glob(".*"))
    assert pids
    for pid in pids:
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)


def test_nothing_to_measure_on(request_of: BuildRequest, gpu: Gpu, monkeypatch: pytest.MonkeyPatch) -> None:
    def probe(job: dict[str, Any], listener: Any) -> dict[str, Any]:
        raise GcposeError("no binding of CUDA is installed; pip install cuda-python")

    monkeypatch.setattr(choosing, "run_job", probe)
    message = refusal(request_of, gpu)
    for part in ("measured on the GPU that will run the engine", "no binding", "--precision fp16", "int8"):
        assert part in message
    assert not gpu.events
    assert "engines of TensorRT-RTX are not run here; choose --precision fp16" in refusal(
        replace(request_of, target="tensorrt-rtx"), gpu
    )
    with pytest.raises(GcposeError, match="are for --max-ap-drop"):
        replace(request_of, images=Path()).check()
    with pytest.raises(GcposeError, match="add --images DIR"):
        replace(request_of, max_ap_drop=0.5).check()


RACE = """
import json, sys
from gcpose_trt.engine import racing
from gcpose_trt.engine.request import BuildRequest
from pathlib import Path
racing.ROUNDS, racing.WARM_UP = 6, 2
steps = []
emit = lambda event, **values: steps.append(event)
request = BuildRequest("tiny", Path("out"), "best").to_dict()
folders = json.loads({folders!r})
found = racing.race(dict(request=request, folders=folders, plugins=None), emit)
print(json.dumps([racing.probe({{}}, emit), found, steps]))
"""


def test_a_race_on_the_stand_in_of_a_gpu(tmp_path: Path) -> None:
    """The runtime's own way through the engines, on the stand-in of the driver: no times that mean anything."""
    reason = cuda_standin.missing()
    if reason:
        pytest.skip(reason)
    library = cuda_standin.build(tmp_path)
    bundle = make_bundle(tmp_path / "bundle", size=[64, 96], batch=1)
    folders = {name: str(from_bundle(tmp_path / name, bundle, generation="10.3")) for name in ("fp32", "fp16")}
    folders["int8"] = str(from_bundle(tmp_path / "int8", bundle, generation="10.3", tensorrt="9.9.9"))
    paths = {"PYTHONPATH": tensorrt_standin.python_path("10.3"), "XDG_CACHE_HOME": str(tmp_path)}
    done = cuda_standin.run(library, RACE.format(folders=json.dumps(folders)), environment=paths)
    assert done.returncode == 0, done.stderr
    gpu, found, steps = json.loads(done.stdout.splitlines()[-1])
    assert gpu["gpu"].startswith("Stand-in GPU")
    assert "built with TensorRT 9.9.9" in found["failed"]["int8"]
    assert {name: len(values) for name, values in found["milliseconds"].items()} == {"fp32": 6, "fp16": 6}
    assert all(value > 0 for values in found["milliseconds"].values() for value in values)
    assert found["frames"] > 1
    assert steps.count("step") == 8


def test_the_worker_has_the_jobs() -> None:
    try:
        assert run_job({"job": "probe"}, lambda event: None)["gpu"]
    except GcposeError as error:  # no GPU here
        assert ";" in str(error)
        assert "unexpectedly" not in str(error)
