"""`gcpose-trt inspect` on a folder that is made by hand: it needs no TensorRT."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import pytest

from gcpose_trt.cli import main
from gcpose_trt.engine import layers_file
from gcpose_trt.engine.inspection import Layer
from gcpose_trt.engine.layers_file import Contents
from tests.runtime.test_engine_record import make_record

IO = [
    {"name": "p2", "dtype": "float16", "shape": [1, 116, 16, 24], "is_input": True},
    {"name": "keypoints", "dtype": "float32", "shape": [-1, 17, 3], "is_input": False},
]
LAYERS = [
    Layer("conv", "CaskConvolution", "FP16", 4096, 1024, (1, 8, 4, 4), "FP16"),
    Layer("softmax", "SoftMax", "FP32", 0, 2048, (1, 8)),
]


@pytest.fixture
def engine(tmp_path: Path) -> Path:
    folder = tmp_path / "engine"
    folder.mkdir()
    make_record(folder).save(folder)
    layers_file.write(folder, {"detector": Contents(LAYERS, IO), "pose": Contents(LAYERS[:1], IO)})
    return folder


def test_text(engine: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["inspect", str(engine), "--top", "1"]) == 0
    text = capsys.readouterr().out
    for part in (
        "precision    fp16",
        "built with   TensorRT 10.3.0",
        "input  p2             float16  (1, 116, 16, 24)",
        "output keypoints      float32  (any, 17, 3)",
        "2 layers: 1 FP16, 1 FP32; the largest",
        "  conv ",
    ):
        assert part in text
    assert "softmax" not in text


def test_json(engine: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["inspect", str(engine / "detector.engine"), "--json"]) == 0
    view = json.loads(capsys.readouterr().out)
    assert list(view["graphs"]) == ["detector"]
    assert [layer["size"] for layer in view["graphs"]["detector"]["largest_layers"]] == [5120, 2048]
    assert view["record"]["tensorrt"] == "10.3.0"
    assert view["missing"] == []


def test_picture(engine: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["inspect", str(engine), "--draw", str(tmp_path / "a.png")]) == 0
    image = cv2.imread(str(tmp_path / "a.png"))
    assert image is not None
    assert image.std() > 5


@pytest.mark.parametrize("name", ["nothing", "nothing.engine"])
def test_no_engine(name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["inspect", str(tmp_path / name)]) == 2
    error = capsys.readouterr().err
    assert "no engine" in error
    assert error.count("\n") == 1


def test_damage_is_reported_beside_the_rest(engine: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (engine / "pose.engine").write_bytes(b"cut")
    assert main(["inspect", str(engine)]) == 0
    captured = capsys.readouterr()
    assert "not shown: " in captured.err
    assert "pose.engine is cut short, 3 bytes of 400" in captured.err
    assert "conv" in captured.out


def test_nothing_to_draw(engine: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    layers_file.write(engine, {"detector": Contents([], []), "pose": Contents([], [])})
    assert main(["inspect", str(engine), "--draw", str(tmp_path / "a.png")]) == 2
    assert "no layers to draw" in capsys.readouterr().err
    assert not (tmp_path / "a.png").exists()


def test_damaged_record(engine: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = engine / "engine.json"
    path.write_text(path.read_text()[:50])
    assert main(["inspect", str(engine)]) == 2
    assert "engine.json is damaged or cut short" in capsys.readouterr().err
