from __future__ import annotations

import json
from pathlib import Path

import cv2
import pytest

from gcpose_trt.assets import FOLDER
from gcpose_trt.cli import main
from gcpose_trt.video.sampling import read_frames

CALIBRATION = Path(__file__).resolve().parents[2] / "calibration" / "mobile.json"


@pytest.fixture(scope="module")
def frames(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("frames")
    for index, frame in enumerate(read_frames(None, 2)):
        cv2.imwrite(str(folder / f"{index}.png"), frame)
    return folder


def fails(capsys: pytest.CaptureFixture[str], *arguments: object) -> str:
    """Run the command, which must end in one line and code 2, and return the line."""
    try:
        code = main(["calibrate", *map(str, arguments)])
    except SystemExit as error:
        code = error.code
    lines = [line for line in capsys.readouterr().err.splitlines() if "error:" in line]
    assert code == 2 and len(lines) == 1
    return lines[0]


def test_it_writes_a_calibration_and_says_what_it_saw(
    frames: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / "new" / "c.json"
    arguments = ["calibrate", "mobile", "--images", str(frames), "--output", str(output), "--max-images", "2"]
    assert main([*arguments, "--size", "256", "--threads", "1", "--bins", "256"]) == 0
    captured = capsys.readouterr()
    assert "from 2 images with" in captured.out and "note: only" in captured.err
    content = json.loads(output.read_text())
    assert content["input"] == {"long": 256, "short": None, "size": None}
    assert set(content["tensors"]) == set(json.loads(CALIBRATION.read_text())["tensors"])
    assert str(tmp_path) not in output.read_text()


def test_bad_input_is_one_line(frames: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    output = tmp_path / "c.json"
    empty = tmp_path / "empty"
    empty.mkdir()
    common = ("--output", output, "--images")
    assert "no images in folder" in fails(capsys, "mobile", *common, empty)
    assert "is not a folder" in fails(capsys, "mobile", *common, tmp_path / "none")
    assert "at least 200" in fails(capsys, "mobile", *common, frames)
    assert "no model 'nothing'" in fails(capsys, "nothing", *common, frames, "--max-images", 2)
    assert "nowhere to write" in fails(capsys, "mobile", "--images", frames)
    assert "power of two" in fails(capsys, "mobile", *common, frames, "--bins", 1000)
    assert "--draw goes with --sensitivity" in fails(capsys, "mobile", *common, frames, "--draw", "x.png")
    for index in range(4):
        (empty / f"{index}.jpg").write_bytes(b"nothing")
    assert "cannot be read" in fails(capsys, "mobile", *common, empty, "--max-images", 4)
    assert not output.exists()


def test_bad_input_to_sensitivity_is_one_line(frames: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    common = ("mobile", "--sensitivity", "--images", frames)
    assert "--sensitivity needs a calibration" in fails(capsys, *common)
    assert "no calibration at" in fails(capsys, *common, "--calibration", tmp_path / "none.json")
    assert "give --annotations" in fails(capsys, *common, "--calibration", CALIBRATION, "--max-ap-drop", 0.5)
    assert "writes PNG" in fails(capsys, *common, "--calibration", CALIBRATION, "--draw", tmp_path / "a.jpg")
    content = json.loads(CALIBRATION.read_text())
    content["graph_sha256"]["pose"] = "f" * 64
    other = tmp_path / "other.json"
    other.write_text(json.dumps(content))
    line = fails(capsys, *common, "--calibration", other)
    assert "f" * 64 in line and json.loads(CALIBRATION.read_text())["graph_sha256"]["pose"] in line
    assert (FOLDER / "mobile" / "pose.onnx").is_file()
