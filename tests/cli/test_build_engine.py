"""`gcpose-trt build-engine`, as a user runs it; TensorRT-RTX builds for real."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest

from gcpose_trt.cli import main
from gcpose_trt.engine import layers_file
from gcpose_trt.runtime.engine_record import EngineRecord

REPOSITORY = Path(__file__).resolve().parents[2]


def refusal(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    try:
        code = main(["build-engine", *arguments])
    except SystemExit as stop:  # argparse's own checks
        code = int(stop.code or 0)
    assert code == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    return error


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["mobile", "--size", "100x100"], "multiples of 32"),
        (["mobile", "--size", "640"], "--size 640 is not HEIGHTxWIDTH"),
        (["mobile", "--size", "axb"], "is not a size"),
        (["mobile", "--precision", "fp8"], "invalid choice: 'fp8'"),
        (["mobile", "--max-people", "0"], "whole number of at least 1"),
        (["mobile", "--max-people", "301"], "from 1 to 300"),
        (["mobile", "--workspace", "-1"], "whole number"),
        (["mobile", "--exclude", "neck.*"], "--exclude goes with --precision int8"),
        (["mobile", "--precision", "int8", "--max-ap-drop", "0.5"], "add --images DIR"),
    ],
)
def test_bad_options(arguments: list[str], text: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert text in refusal([*arguments, "--output", str(tmp_path / "engine")], capsys)
    assert not (tmp_path / "engine").exists()


@pytest.mark.skipif(importlib.util.find_spec("tensorrt") is not None, reason="TensorRT is installed here")
def test_without_tensorrt(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    error = refusal(["mobile", "--output", str(tmp_path / "engine")], capsys)
    assert "tensorrt is not installed for this Python; " in error
    assert "install" in error.split(";")[1]


@pytest.mark.slow
@pytest.mark.skipif(importlib.util.find_spec("tensorrt_rtx") is None, reason="TensorRT-RTX is not installed")
def test_rtx(tmp_path: Path) -> None:
    # From a folder that is not the repository's: the build process must find the package all the same.
    code = "import sys; sys.path.insert(0, sys.argv.pop(1)); from gcpose_trt.cli import main; sys.exit(main())"
    start = [sys.executable, "-c", code, str(REPOSITORY)]
    options = ["--target", "tensorrt-rtx", "--size", "64x64", "--max-people", "2", "--output", "engine"]
    command = [*start, "build-engine", "mobile", *options, "--precision", "fp16"]
    result = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    assert "keypoint_head built in" in result.stderr
    assert "not inside   detector: Nms" in result.stdout
    record = EngineRecord.load(tmp_path / "engine")
    counts = record.inspection["backbone"]["by_precision"]
    assert counts["FP16"] > 10 * counts["FP32"]
    head = record.inspection["keypoint_head"]
    assert head["weight_bytes_by_precision"]["FP16"] > 1e6
    assert head["by_precision"]["FP32"] >= 1  # softmax and prior
    contents = layers_file.read(tmp_path / "engine")["keypoint_head"]
    assert all(layer.shape[0] in (1, 2) for layer in contents.layers if len(layer.shape) == 4)  # of the last bucket
    assert record.command.endswith(f"--output {tmp_path / 'engine'}")
    assert f"build again  {record.command}" in result.stdout
    result = subprocess.run(
        [*start, "inspect", "engine", "--top", "2", "--draw", "layers.png"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    assert result.returncode == 0, result.stderr
    assert "output keypoints" not in result.stdout.split("regions:")[0]
    assert result.stdout.count("####") >= 2
    assert (tmp_path / "layers.png").read_bytes().startswith(b"\x89PNG")
