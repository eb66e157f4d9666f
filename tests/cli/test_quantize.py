"""`gcpose-trt quantize`: the shipped INT8 model made again, and what it refuses."""

from __future__ import annotations

import json
from pathlib import Path

import onnx
import pytest

from gcpose_trt.assets import FOLDER as SHIPPED
from gcpose_trt.cli import main
from tests.support.bundles import make_bundle

CALIBRATION = str(Path(__file__).resolve().parents[2] / "calibration" / "mobile.json")


def test_the_shipped_model_again(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    options = ["--method", "max", "--exclude", "backbone.blocks.0", "--output", str(tmp_path / "new" / "int8")]
    assert main(["quantize", "mobile", "--calibration", CALIBRATION, *options]) == 0
    text = capsys.readouterr().out
    assert "detector: 71 layers in INT8 for cpu" in text
    for graph in ("detector", "pose"):
        made = onnx.load(tmp_path / "new" / "int8" / f"{graph}.onnx")
        shipped = onnx.load(SHIPPED / "mobile-int8" / f"{graph}.onnx")
        assert list(made.graph.node) == list(shipped.graph.node)
        assert list(made.graph.initializer) == list(shipped.graph.initializer)


def test_options(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    options = ["--exclude", "neck.*", "--exclude", "keypoint_head.reduce", "--method", "mse"]
    assert main(["quantize", "mobile", "--calibration", CALIBRATION, "--output", str(tmp_path), *options]) == 0
    text = capsys.readouterr().out
    assert "(mse)" in text
    assert "pose: 6 layers" in text
    record = next(p.value for p in onnx.load(tmp_path / "detector.onnx").metadata_props if p.key == "gcpose.int8")
    assert "neck.lateral.3" in record and '"mse"' in record


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"--exclude": "nowhere"}, "no layer or block of the model is called 'nowhere'"),
        ({"--method": "median"}, "no range was collected by the method 'median'"),
        ({"--calibration": "missing.json"}, "no calibration at missing.json"),
        ({"--output": str(SHIPPED / "mobile")}, "is the float model's own folder"),
    ],
)
def test_refusals(tmp_path: Path, capsys: pytest.CaptureFixture[str], changes: dict[str, str], message: str) -> None:
    options = {"--calibration": CALIBRATION, "--output": str(tmp_path / "out"), **changes}
    assert main(["quantize", "mobile", *[word for pair in options.items() for word in pair]]) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_other_weights(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    model = make_bundle(tmp_path / "net")
    out = tmp_path / "out"
    assert main(["quantize", str(model), "--calibration", CALIBRATION, "--output", str(out)]) == 2
    error = capsys.readouterr().err
    own = json.loads(Path(CALIBRATION).read_text())["weights_sha256"]
    assert f"made for weights {own[:8]}" in error and "0" * 64 in error
    assert not out.exists()


def test_engines_are_not_built_from_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("tensorrt_rtx", reason="TensorRT-RTX (tensorrt-rtx-cu13) is not installed")
    options = ["--precision", "int8", "--target", "tensorrt-rtx", "--output", str(tmp_path / "engine")]
    assert main(["build-engine", "mobile-int8", *options]) == 2
    assert "was quantized for the CPU, which TensorRT does not take; build from the float" in capsys.readouterr().err
    assert not (tmp_path / "engine").exists()
