"""`gcpose-trt export`: options, messages, and a whole run on a small network."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gcpose_trt.cli import main

torch = pytest.importorskip("torch", reason="torch is not installed; pip install 'gcpose-trt[export]'")
pytest.importorskip("onnxscript", reason="onnxscript is not installed; pip install 'gcpose-trt[export]'")


def refused(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    """Run the command, expect exit code 2, and return its one line."""
    assert main(["export", *arguments]) == 2
    lines = [line for line in capsys.readouterr().err.splitlines() if line]
    assert lines[-1].startswith("gcpose-trt: error: ")
    assert not any("Traceback" in line for line in lines)
    return lines[-1]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--size", "100x128"], "multiples of 32; try 128x128"),
        (["--size", "640"], "give both sides"),
        (["--size", "large"], "is not a size"),
        (["--opset", "16"], "choose one from 18 to 21"),
        (["--max-people", "0"], "from 1 to"),
    ],
)
def test_options_out_of_range(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, options: list[str], message: str
) -> None:
    assert message in refused(capsys, "mobile", "--output", str(tmp_path / "out"), *options)
    assert list(tmp_path.iterdir()) == []


def test_models_and_checkpoints_that_are_none(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    out = ["--output", str(tmp_path / "out")]
    assert "neither a model nor a file" in refused(capsys, "r18", *out)
    assert "no file" in refused(capsys, "mobile", "--checkpoint", str(tmp_path / "none.pth"), *out)
    broken = tmp_path / "broken.pth"
    broken.write_bytes(b"not a checkpoint")
    assert "broken.pth" in refused(capsys, "mobile", "--checkpoint", str(broken), *out)
    assert "broken.pth" in refused(capsys, str(broken), *out)
    assert "leave one of them out" in refused(capsys, str(broken), "--checkpoint", str(broken), *out)
    bare = tmp_path / "bare.pth"
    torch.save({"weight": torch.zeros(1)}, bare)
    assert "does not say what model" in refused(capsys, str(bare), *out)
    torch.save({"config": "r18", "model": {}}, bare)
    assert "no model is called 'r18'" in refused(capsys, str(bare), *out)
    assert not (tmp_path / "out").exists()


def test_missing_images(capsys: pytest.CaptureFixture[str], tmp_path: Path, tiny_model: Any) -> None:
    arguments = ["r50", "--output", str(tmp_path / "out"), "--images", str(tmp_path / "none")]
    assert "no file" in refused(capsys, *arguments)
    assert not (tmp_path / "out").exists()


def test_without_torch(tmp_path: Path) -> None:
    code = (
        "import sys; sys.modules['torch'] = None\n"
        "from gcpose_trt.cli import main\n"
        f"sys.exit(main(['export', 'mobile', '--output', {str(tmp_path / 'out')!r}]))"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    assert result.returncode == 2
    assert "exporting needs the package torch: pip install 'gcpose-trt[export]'" in result.stderr


@pytest.fixture
def tiny_model(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Make every name that of a network without a backbone to speak of."""
    import gcpose_trt.model
    from tests.support.networks import build_tiny

    monkeypatch.setattr(gcpose_trt.model, "build_model", lambda name: build_tiny())
    return build_tiny


def test_checkpoint_of_the_trainer(capsys: pytest.CaptureFixture[str], tmp_path: Path, tiny_model: Any) -> None:
    """All options at once, for tracing takes long: checkpoint, fixed size, number of people, opset, images."""
    import cv2

    from tests.support.exports import blobs

    model = tiny_model(seed=3)
    torch.save({"config": "tiny", "model": model.state_dict(), "step": 7}, tmp_path / "last.pth")
    (tmp_path / "images").mkdir()
    for index, image in enumerate(blobs()):
        cv2.imwrite(str(tmp_path / "images" / f"{index}.png"), image)
    out = tmp_path / "out"
    arguments = ["export", str(tmp_path / "last.pth"), "--output", str(out), "--images", str(tmp_path / "images")]
    assert main([*arguments, "--size", "96x128", "--max-people", "3", "--opset", "21"]) == 0
    err = capsys.readouterr().err
    assert "random weights" not in err
    assert "comparing PyTorch with ONNX Runtime on 3 images" in err
    assert f"wrote {out / 'detector.onnx'} and {out / 'pose.onnx'}" in err

    from gcpose_trt.model.checkpoint.exported import weights_digest
    from gcpose_trt.runtime.backends.onnxruntime_backend import OnnxRuntimeBackend
    from gcpose_trt.runtime.bundle import find

    info = OnnxRuntimeBackend(find(out)).info
    assert (info.model, info.size) == ("tiny", (96, 128))
    assert info.weights_sha256 == weights_digest(model.state_dict())
    check_fixed(out / "detector.onnx")


def check_fixed(path: Path) -> None:
    """The detector takes 96x128 only, finds three people at most, and says so."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 4
    detector = onnxruntime.InferenceSession(str(path), options)
    shapes = {value.name: value.shape for value in [*detector.get_inputs(), *detector.get_outputs()]}
    assert shapes["image"] == ["batch", 96, 128, 3]
    assert shapes["p2"] == ["batch", 8, 24, 32]
    assert shapes["boxes"] == ["batch", 3, 4]
    image = np.random.default_rng(5).integers(0, 255, (2, 96, 128, 3)).astype(np.uint8)
    found = detector.run(["count"], {"image": image, "image_size": np.array([[96, 128], [50, 50]])})
    assert found[0].shape == (2,)
    record = json.loads(detector.get_modelmeta().custom_metadata_map["gcpose"])
    assert (record["size"], record["max_people"], record["opset"]) == ([96, 128], 3, 21)


@pytest.mark.parametrize("verify", [True, False])
def test_no_verify(tmp_path: Path, tiny_model: Any, monkeypatch: pytest.MonkeyPatch, verify: bool) -> None:
    from gcpose_trt.export import exporter

    def write(model: Any, folder: Path, size: Any, opset: int, say: Any) -> None:
        assert (model.box_head.config.max_people, size, opset) == (10, None, 18)
        for graph in ("detector", "pose"):
            (folder / f"{graph}.onnx").write_bytes(b"traced")

    compared: list[int] = []

    def compare(model: Any, folder: Path, frames: list[Any]) -> list[Any]:
        compared.append(len(frames))
        return []

    monkeypatch.setattr(exporter, "_write_graphs", write)
    monkeypatch.setattr(exporter, "_verify", compare)
    torch.save({"config": "tiny", "model": tiny_model().state_dict()}, tmp_path / "last.pth")
    arguments = ["export", str(tmp_path / "last.pth"), "--output", str(tmp_path / "out")]
    assert main([*arguments, *([] if verify else ["--no-verify"])]) == 0
    assert bool(compared) == verify
    assert (tmp_path / "out" / "detector.onnx").read_bytes() == b"traced"
