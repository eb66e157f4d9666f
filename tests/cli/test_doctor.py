"""`gcpose-trt doctor` on the machine that runs the tests, whatever it has."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from gcpose_trt.cli import main
from gcpose_trt.doctor import Report, examine
from tests.doctor import recorded
from tests.doctor.recorded import RecordedProbe

REPOSITORY = Path(__file__).resolve().parents[2]


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> RecordedProbe:
    """Make the command look at a recorded machine."""
    probe = recorded.cpu_laptop()

    def look(model: str | None = None) -> Report:
        return examine(probe, model)

    monkeypatch.setattr("gcpose_trt.doctor.examine", look)
    return probe


def test_this_machine(tmp_path: Path) -> None:
    # As a user runs it: in a process of its own, with another working directory.
    command = [sys.executable, "-m", "gcpose_trt", "doctor", "--json"]
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
    done = subprocess.run(
        command, cwd=tmp_path, capture_output=True, text=True, env=environment, timeout=120, check=False
    )
    assert done.stderr == ""
    record = json.loads(done.stdout)
    assert done.returncode == record["exit_code"] == int(record["counts"]["red"] > 0)
    status = {check["id"]: check["status"] for check in record["checks"]}
    # What the tests themselves need is here.
    for name in ("python", "packages", "pyav", "onnx-runtime"):
        assert status[f"running.{name}"] in ("green", "yellow")
    assert not [check for check in record["checks"] if "itself failed" in check["detail"]]
    assert list(tmp_path.iterdir()) == []


def test_torch_is_never_imported(tmp_path: Path) -> None:
    code = (
        "import sys; from gcpose_trt.cli import main; main(['doctor']); "
        "sys.exit(bool({'torch', 'cv2', 'onnxruntime', 'tensorrt', 'av'} & set(sys.modules)))"
    )
    environment = {**os.environ, "PYTHONIOENCODING": "ascii"}
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env=environment, timeout=120, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.isascii()


def test_broken_opencv_is_told_and_not_suffered(tmp_path: Path) -> None:
    (tmp_path / "cv2").mkdir()
    (tmp_path / "cv2/__init__.py").write_text("raise ImportError('libGL.so.1: cannot open shared object file')")
    command = [sys.executable, "-m", "gcpose_trt", "doctor", "--json", "--model", "mobile"]
    environment = {**os.environ, "PYTHONPATH": f"{tmp_path}:{REPOSITORY}"}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=120, check=False)
    assert (done.returncode, done.stderr) == (1, "")
    found = {check["id"]: check for check in json.loads(done.stdout)["checks"]}
    assert found["running.opencv"]["status"] == "red"
    assert "pip install opencv-python-headless" in found["running.opencv"]["fix"]
    assert found["running.onnx-runtime"]["status"] == "yellow"
    assert found["model.model"]["status"] == "red"
    assert not [check for check in found.values() if "itself failed" in check["detail"]]


def test_exit_codes(machine: RecordedProbe, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["doctor"]) == main(["doctor", "--strict"]) == 0
    machine.closed.add("/dev/video0")
    assert main(["doctor"]) == 0
    assert main(["doctor", "--strict"]) == 1
    machine.free = 0
    assert main(["doctor"]) == 1
    out = capsys.readouterr().out
    assert "\033" not in out
    assert "→ sudo usermod -aG video $USER" in out


def test_json_of_a_recorded_machine(machine: RecordedProbe, capsys: pytest.CaptureFixture[str]) -> None:
    machine.closed.add("/dev/video0")
    assert main(["doctor", "--json", "--strict"]) == 1
    record = json.loads(capsys.readouterr().out)
    assert record["machine"]["kind"] == "cpu"
    assert record["counts"]["yellow"] == 1
    assert record["exit_code"] == 1


def test_model_that_is_not_there(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["doctor", "--model", "nowhere"]) == 2
    error = capsys.readouterr().err
    assert error.startswith("gcpose-trt: error: no model 'nowhere'")
    assert error.count("\n") == 1


def test_shipped_model(machine: RecordedProbe, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["doctor", "--model", "mobile"]) == 0
    assert "The model" in capsys.readouterr().out
