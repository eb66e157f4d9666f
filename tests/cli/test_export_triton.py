"""`gcpose-trt export-triton`: options, messages, and what it writes."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from gcpose_trt.cli import main
from tests.support.bundles import make_bundle


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    return make_bundle(tmp_path / "models" / "tiny")


def refused(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    """Run the command, expect exit code 2, and return its one line."""
    try:
        code = main(["export-triton", *arguments])
    except SystemExit as stop:  # argparse
        code = int(stop.code or 0)
    assert code == 2
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1 and lines[0].startswith("gcpose-trt: error: ")
    return lines[0]


@pytest.mark.parametrize("runtime", ["auto", "onnxruntime", "python"])
def test_writes_a_repository(capsys: pytest.CaptureFixture[str], tmp_path: Path, bundle: Path, runtime: str) -> None:
    repository = tmp_path / "repo"
    assert main(["export-triton", str(bundle), "--output", str(repository), "--runtime", runtime]) == 0
    assert "gcpose, gcpose_frame, gcpose_detector, gcpose_pose" in capsys.readouterr().err
    for model in ("gcpose", "gcpose_frame", "gcpose_detector", "gcpose_pose"):
        files = {path.name for path in (repository / model / "1").iterdir()}
        half = model.removeprefix("gcpose_")
        served = half in ("detector", "pose") and runtime != "python"
        extra = {f"{half}.onnx"} if half in ("detector", "pose") and runtime == "python" else set()
        assert files == ({"model.onnx"} if served else {"model.py", *extra})
        compile((repository / model / "1" / "model.py").read_text(), model, "exec") if not served else None
    readme = (repository / "README.md").read_text()
    for words in (
        "docker run",
        "--shm-size",
        "Inference-Header-Content-Length: 0",
        "tritonclient.grpc",
        ":8002/metrics",
    ):
        assert words in readme
    assert str(repository) in readme


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--instances", "0"], "'0' is not a whole number of at least 1"),
        (["--instances", "300"], "--instances is from 1 to 256, not 300"),
        (["--max-batch", "65"], "--max-batch is from 1 to 64, not 65"),
        (["--queue-delay-us", "-1"], "--queue-delay-us is from 0 to 10000000, not -1"),
        (["--min-score", "1.5"], "'1.5' is not a number from 0 to 1"),
        (["--max-people", "4"], "returns at most 3 people, not 4; choose fewer"),
        (["--size", "100x100"], "try 128x128"),
        (["--size", "large"], "is not a size"),
        (["--name", "../evil"], "is no name of a model"),
        (["--name", ""], "is no name of a model"),
        (["--runtime", "tensorrt"], "is no folder of TensorRT engines; build them with: gcpose-trt build-engine"),
        (["--runtime", "openvino"], "invalid choice"),
        (["--precision", "int8"], "gcpose-trt quantize"),
        (["--precision", "fp16"], "invalid choice"),
    ],
)
def test_odd_options(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, bundle: Path, options: list[str], message: str
) -> None:
    assert message in refused(capsys, str(bundle), "--output", str(tmp_path / "repo"), *options)
    assert {path.name for path in tmp_path.iterdir()} == {"models"}


def test_odd_models(capsys: pytest.CaptureFixture[str], tmp_path: Path, bundle: Path) -> None:
    out = ["--output", str(tmp_path / "repo")]
    assert "first: gcpose-trt export best.pth --output DIR" in refused(capsys, "best.pth", *out)
    assert "no model 'r999'" in refused(capsys, "r999", *out)
    assert "quantized to INT8; leave --precision out" in refused(capsys, "mobile-int8", "--precision", "fp32", *out)
    (bundle / "pose.onnx").write_bytes(b"no graph")
    assert "cannot be loaded" in refused(capsys, str(bundle), *out)
    (bundle / "pose.onnx").unlink()
    assert "has no pose.onnx" in refused(capsys, str(bundle), *out)
    assert {path.name for path in tmp_path.iterdir()} == {"models"}


def test_needs_nothing_but_the_base_install(tmp_path: Path, bundle: Path) -> None:
    code = (
        "import sys\n"
        "for name in ('torch', 'onnx', 'tritonclient', 'google.protobuf', 'tensorrt'): sys.modules[name] = None\n"
        "from gcpose_trt.cli import main\n"
        f"sys.exit(main(['export-triton', {str(bundle)!r}, '--output', {str(tmp_path / 'repo')!r}]))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
