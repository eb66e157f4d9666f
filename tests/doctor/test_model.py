"""--model: engine folders and models against a machine."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from gcpose_trt.assets import FOLDER
from gcpose_trt.doctor import Check, Probe, Status, examine
from gcpose_trt.doctor.checks import model
from gcpose_trt.errors import GcposeError
from gcpose_trt.runtime.engine_record import Gpu
from tests.doctor import recorded
from tests.doctor.recorded import RecordedProbe, changed, tensorrt, without
from tests.runtime.test_engine_record import COMMAND, make_record


@pytest.fixture
def engine(tmp_path: Path) -> Path:
    """A complete engine folder, built on the Orin of JetPack 6, from the bytes of no real engine."""
    make_record(tmp_path).save(tmp_path)
    return tmp_path


@pytest.fixture
def orin(engine: Path) -> RecordedProbe:
    """The machine that `engine` was built on."""
    probe = recorded.orin()
    library = without(probe.inspections["plugin_library"], path=str(engine / "libgcpose_plugins.so"))
    return changed(
        probe, plugin_library=library, creators=next(v for k, v in probe.inspections.items() if "creators" in k)
    )


def of_model(probe: Probe, path: Path | str) -> dict[str, Check]:
    """The checks of --model by name."""
    section = next(one for one in examine(probe, str(path)).sections if one.key == "model")
    return {check.name: check for check in section.checks}


def test_engine_at_home(engine: Path, orin: RecordedProbe) -> None:
    found = of_model(orin, engine)
    assert {name: check.status for name, check in found.items()} == dict.fromkeys(
        ("Record", "Files", "Runs here"), Status.GREEN
    )
    assert "fp16, 64x96, batch 1" in found["Record"].detail
    assert (
        of_model(orin, engine / "engine.json").keys() == of_model(orin, engine / "pose.engine").keys() == found.keys()
    )


def test_engine_of_another_tensorrt(engine: Path, orin: RecordedProbe) -> None:
    probe = changed(orin, **{"tensorrt tensorrt": tensorrt("10.7.0", "/usr/lib/libnvinfer.so.10.7.0")})
    check = of_model(probe, engine)["Runs here"]
    assert check.status is Status.RED
    assert "10.3.0, this is 10.7.0" in check.detail
    assert check.fix == COMMAND


def test_engine_of_another_gpu(tmp_path: Path, orin: RecordedProbe) -> None:
    make_record(tmp_path, gpu=Gpu("NVIDIA H200", "9.0")).save(tmp_path)
    check = of_model(orin, tmp_path)["Runs here"]
    assert (check.status, check.fix) == (Status.RED, COMMAND)
    assert "NVIDIA H200" in check.detail


def test_engine_without_its_plugin_library(engine: Path, orin: RecordedProbe) -> None:
    probe = changed(orin, plugin_library=without(orin.inspections["plugin_library"], exists=False))
    check = of_model(probe, engine)["Runs here"]
    assert (check.status, check.fix) == (Status.RED, "gcpose-trt plugins build")


def test_engine_without_a_gpu_or_tensorrt(engine: Path, orin: RecordedProbe) -> None:
    check = of_model(recorded.cpu_laptop(), engine)["Runs here"]
    assert check.status is Status.RED
    assert "gcpose-trt demo --model mobile" in str(check.fix)
    orin.modules.pop("tensorrt")
    assert "not installed" in of_model(orin, engine)["Runs here"].detail


def test_damaged_engines(engine: Path, orin: RecordedProbe) -> None:
    (engine / "pose.engine").write_bytes(b"short")
    check = of_model(orin, engine)["Files"]
    assert (check.status, check.fix) == (Status.RED, COMMAND)
    assert "cut short" in check.detail
    (engine / "engine.json").write_text('{"kind": ')
    found = of_model(orin, engine)
    assert list(found) == ["Record"]
    assert found["Record"].status is Status.RED


def test_onnx_model_runs(tmp_path: Path) -> None:
    shutil.copytree(FOLDER / "mobile", tmp_path / "mine")
    probe = recorded.cpu_laptop()
    real = Probe()
    key = f"onnxruntime {tmp_path / 'mine'}"
    probe.inspections[key] = real.inspect("onnxruntime", str(tmp_path / "mine"))
    check = of_model(probe, tmp_path / "mine")["ONNX"]
    assert check.status is Status.GREEN
    (tmp_path / "mine/pose.onnx").write_bytes(b"no model")
    probe.inspections[key] = Probe().inspect("onnxruntime", str(tmp_path / "mine"))
    check = of_model(probe, tmp_path / "mine")["ONNX"]
    assert check.status is Status.RED
    assert "pose.onnx cannot be loaded" in check.detail
    assert check.fix


def test_what_is_no_model(tmp_path: Path) -> None:
    (tmp_path / "weights.pth").write_bytes(b"x")
    assert of_model(recorded.cpu_laptop(), tmp_path / "weights.pth")["ONNX"].status is Status.RED
    with pytest.raises(GcposeError, match="no model 'nowhere'"):
        model.find("nowhere")
