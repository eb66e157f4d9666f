"""`gcpose-trt compare`: exit codes, outputs and refusals."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from gcpose_trt.cli import build_parser, main
from tests.support.bundles import make_bundle

pytest.importorskip("onnx", reason="onnx is not installed; pip install 'gcpose-trt[export]'")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A model and an image in which it finds people."""
    make_bundle(tmp_path / "a")
    image = np.zeros((60, 64, 3), np.uint8)
    image[8:50, 10:40] = 200
    (tmp_path / "images").mkdir()
    cv2.imwrite(str(tmp_path / "images/1.png"), image)
    return tmp_path


def run(folder: Path, *options: Any) -> int:
    arguments = ["compare", *options, "--images", folder / "images"]
    return main([str(argument) for argument in arguments])


def faulty(folder: Path) -> Path:
    """Return a model whose joints are elsewhere."""
    import onnx

    path = make_bundle(folder / "b")
    pose = onnx.load(path / "pose.onnx")
    template = next(tensor for tensor in pose.graph.initializer if tensor.name == "template")
    moved = onnx.numpy_helper.to_array(template) + np.float32(0.2)
    template.CopyFrom(onnx.numpy_helper.from_array(moved, "template"))
    onnx.save(pose, path / "pose.onnx")
    return path


def test_a_model_agrees_with_itself(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = folder / "out"
    assert run(folder, folder / "a", folder / "a", "--json", out / "c.json", "--draw", out / "c.png") == 0
    captured = capsys.readouterr()
    assert "within all limits" in captured.out
    assert "absent: " in captured.out
    assert "1/1" in captured.err, "progress goes to stderr"
    assert "1/1" not in captured.out
    content = json.loads((out / "c.json").read_text())
    assert content["failures"] == []
    assert content["people"]["matched"] == 2
    picture = cv2.imread(str(out / "c.png"))
    assert picture is not None
    assert picture.shape[1] == 1200


def test_a_fault_gives_exit_code_1_unless_allowed(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    other = faulty(folder)
    assert run(folder, folder / "a", other, "--json", folder / "c.json") == 1
    assert "beyond the limits: keypoints, clear (A's inputs), keypoints, clear (end to end)" in capsys.readouterr().out
    assert len(json.loads((folder / "c.json").read_text())["failures"]) == 2
    assert run(folder, folder / "a", other, "--max-keypoint", 50) == 0


def test_layers(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(folder, folder / "a", faulty(folder), "--layers", 3, "--max-keypoint", 50) == 0
    table = capsys.readouterr().out.split("layers in which the error grows most")[1].splitlines()[3:]
    assert len(table) == 1, "the other layers are not wrong"
    assert table[0].split()[:2] == ["pose", "Mul"]


def test_limits_are_those_of_the_library() -> None:
    from gcpose_trt.cli.compare import _LIMITS
    from gcpose_trt.compare.comparison import Limits

    assert Limits(**{name: value for name, (value, _) in _LIMITS.items()}) == Limits()
    help_text = build_parser("compare").parse_args(["compare", "x", "y"])
    assert help_text.max_box == Limits().box


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["{a}", "{a}@tensorflow"], "no backend is called 'tensorflow'"),
        (["{a}", "{a}@onnxruntime:fp8"], "no precision 'fp8'"),
        (["{a}", "missing"], "no model 'missing'"),
        (["missing.pth", "{a}"], "neither a model nor a file"),
        (["{a}", "{a}@torch", "--layers"], "--layers needs onnxruntime on both sides"),
        (["{a}", "{a}", "--size", "100x100"], "must be multiples of 32"),
        (["{a}", "{a}", "--draw", "{a}/x.jpg"], "--draw writes PNG"),
        (["{a}", "{a}", "--draw", "{a}/x.png", "--json", "{a}/x.png"], "give two files"),
        (["{a}", "{a}", "--json", "{a}"], "is a folder"),
        (["{a}", "{a}", "--max-box", "nan"], "'nan' is not a number from 0 up"),
        (["{a}", "{a}", "--max-score", "-1"], "'-1' is not a number from 0 up"),
        (["{a}", "{a}", "--min-score", "0.95"], "nobody was found"),
    ],
)
def test_bad_input(folder: Path, capsys: pytest.CaptureFixture[str], options: list[str], message: str) -> None:
    try:
        code: Any = run(folder, *(option.format(a=folder / "a") for option in options))
    except SystemExit as exit_:
        code = exit_.code
    assert code == 2
    lines = [line for line in capsys.readouterr().err.splitlines() if line.startswith("gcpose-trt")]
    assert len(lines) == 1
    assert message in lines[0]


def test_missing_images(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "images/1.png").unlink()
    assert run(folder, folder / "a", folder / "a") == 2
    assert "no images in folder" in capsys.readouterr().err
