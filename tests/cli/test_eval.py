"""`gcpose-trt eval`: options, outputs and refusals; the estimator is a stand-in that knows the answers."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import cv2
import numpy as np
import pytest

from gcpose_trt import __version__
from gcpose_trt.cli import main
from gcpose_trt.evaluation import load_results
from tests.evaluation.small_coco import HEIGHT, WIDTH, Oracle, make_document

Run = Callable[..., int]


class FakeEstimator(Oracle):
    """Takes what PoseEstimator takes and remembers it."""

    made: list[dict[str, Any]]

    def __init__(self, **options: Any) -> None:
        super().__init__(make_document())
        self.made.append(options)
        self.rank = "box"
        self.info = SimpleNamespace(model="mobile", weights_sha256="c0ffee", min_score=0.3)

    def __enter__(self) -> FakeEstimator:
        return self

    def __exit__(self, *_: object) -> None:
        self.people = None


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """The options of every estimator that the command makes."""
    FakeEstimator.made = []
    monkeypatch.setattr("gcpose_trt.runtime.estimator.PoseEstimator", FakeEstimator)
    return FakeEstimator.made


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """images/ and annotations.json of the small data set."""
    (tmp_path / "images").mkdir()
    for number in (1, 2, 3):
        cv2.imwrite(str(tmp_path / f"images/{number:04d}.png"), np.full((HEIGHT, WIDTH, 3), number, np.uint8))
    (tmp_path / "annotations.json").write_text(json.dumps(make_document()))
    return tmp_path


@pytest.fixture
def evaluate(folder: Path, made: list[dict[str, Any]]) -> Run:
    """Run the command on the small data set with further options."""

    def run(*options: Any) -> int:
        arguments = ("eval", "--images", folder / "images", "--annotations", folder / "annotations.json", *options)
        return main([str(argument) for argument in arguments])

    return run


def refused(code: int, capsys: pytest.CaptureFixture[str]) -> str:
    """Return the one line that the command refused with."""
    assert code == 2
    lines = [line for line in capsys.readouterr().err.splitlines() if line.startswith("gcpose-trt")]
    assert len(lines) == 1
    assert lines[0].startswith("gcpose-trt: error: ")
    return lines[0]


def test_table(evaluate: Run, capsys: pytest.CaptureFixture[str]) -> None:
    assert evaluate() == 0
    out, err = capsys.readouterr()
    assert "3 images, 3 people annotated, 3 found" in out
    rows = [line.split() for line in out.splitlines()]
    assert ["keypoints", "AP", "AP50", "AP75", "APm", "APl", "AR", "AR50", "AR75", "ARm", "ARl"] in rows
    assert ["1.000"] * 10 in rows
    assert ["1.000", "1.000", "1.000", "-", "1.000", "1.000", "0.667", "1.000", "1.000", "-", "1.000", "1.000"] in rows
    assert "milliseconds an image: median" in out
    assert "3/3" in err, "progress goes to stderr"


def test_options_reach_the_estimator(evaluate: Run, made: list[dict[str, Any]]) -> None:
    assert evaluate() == 0
    assert made[0] == {
        "model": "mobile",
        "backend": "auto",
        "size": None,
        "min_score": 0.05,
        "max_people": None,
        "threads": None,
        "precision": None,
    }
    options = "--model m --backend torch --size 384x640 --min-score 0.2 --max-people 7 --threads 2 --precision fp16"
    assert evaluate(*options.split()) == 0
    assert made[1] == {
        "model": "m",
        "backend": "torch",
        "size": "384x640",
        "min_score": 0.2,
        "max_people": 7,
        "threads": 2,
        "precision": "fp16",
    }


def test_json(evaluate: Run, folder: Path) -> None:
    assert evaluate("--json", folder / "out/numbers.json", "--rank", "box*keypoints", "--size", 640) == 0
    numbers = json.loads((folder / "out/numbers.json").read_text())
    assert numbers["keypoints"]["AP"] == pytest.approx(1)
    assert len(numbers["keypoints"]) == 10
    assert len(numbers["boxes"]) == 12
    assert numbers["model"] == {"path": "mobile", "name": "mobile", "weights_sha256": "c0ffee"}
    assert numbers["settings"]["size"] == "640"
    assert numbers["settings"]["precision"] is None
    assert numbers["settings"]["annotations"] == "annotations.json"
    assert numbers["rank"] == "box*keypoints"
    assert numbers["versions"]["gcpose-trt"] == __version__
    assert numbers["versions"]["pycocotools"]
    assert numbers["milliseconds"]["median"] >= 0


def test_detections_can_be_judged_again(evaluate: Run, folder: Path) -> None:
    assert evaluate("--detections", folder / "people.json") == 0
    results = load_results(folder / "people.json")
    assert [result["image_id"] for result in results] == [1, 1, 2]


def test_errors_by_kind(evaluate: Run, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert evaluate("--json", folder / "numbers.json") == 0
    rows = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert ["people", "all", "good", "jitter", "swapped", "far", "off", "missed"] in rows
    assert ["3", "3", "0", "0", "0", "0"] in rows
    errors = json.loads((folder / "numbers.json").read_text())["errors"]
    assert errors["people"] == {"good": 3, "jitter": 0, "swapped": 0, "far off": 0, "missed": 0}
    assert (errors["joints"]["good"], errors["false"], errors["shown_from"]) == (51, 0, 0.3)


def test_pictures_of_errors(
    evaluate: Run, folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def ghost(self: Oracle, frame: np.ndarray) -> Any:
        return Oracle(make_document(), ghost=True)(frame)

    monkeypatch.setattr(FakeEstimator, "__call__", ghost)
    assert evaluate("--failures", folder / "errors", "--max-failures", 2) == 0
    names = sorted(path.name for path in (folder / "errors").iterdir())
    assert names == ["false-001.jpg", "false-002.jpg", "index.html"]
    out, err = capsys.readouterr()
    assert f"2 pictures of errors in {folder / 'errors'}: open {folder / 'errors/index.html'}" in err
    assert "Errors of mobile on annotations.json" in (folder / "errors/index.html").read_text()
    assert "false people: 3" in out


def test_folder_of_other_files(
    evaluate: Run, folder: Path, made: list[Any], capsys: pytest.CaptureFixture[str]
) -> None:
    assert "holds other files" in refused(evaluate("--failures", folder / "images"), capsys)
    assert made == [], "refused before the work"
    assert len(list((folder / "images").iterdir())) == 3


def test_first_images_only(evaluate: Run, capsys: pytest.CaptureFixture[str]) -> None:
    assert evaluate("--max-images", 1) == 0
    assert "1 images, 2 people" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ("--min-score 1.5", "'1.5' is not a number from 0 to 1"),
        ("--min-score nan", "'nan' is not a number from 0 to 1"),
        ("--max-people 0", "'0' is not a whole number of at least 1"),
        ("--threads two", "'two' is not a whole number of at least 1"),
        ("--max-failures 0", "'0' is not a whole number of at least 1"),
        ("--rank size", "invalid choice: 'size'"),
        ("--backend tensorflow", "invalid choice: 'tensorflow'"),
        ("--precision fp8", "invalid choice: 'fp8'"),
    ],
)
def test_options_out_of_range(
    evaluate: Run, capsys: pytest.CaptureFixture[str], made: list[Any], options: str, message: str
) -> None:
    with pytest.raises(SystemExit) as caught:
        evaluate(*options.split())
    line = refused(int(str(caught.value)), capsys)
    assert message in line
    assert line.endswith("see gcpose-trt eval --help")
    assert made == []


def test_missing_images(evaluate: Run, folder: Path, made: list[Any], capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "images/0002.png").unlink()
    assert "1 of the 3 images of" in refused(evaluate(), capsys)
    assert made == [], "refused before the model is loaded"


def test_image_lost_on_the_way(evaluate: Run, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "images/0003.png").write_bytes(b"")
    assert "0003.png is not an image" in refused(evaluate("--json", folder / "numbers.json"), capsys)
    assert sorted(path.name for path in folder.iterdir()) == ["annotations.json", "images"]


def test_truncated_annotations(
    evaluate: Run, folder: Path, made: list[Any], capsys: pytest.CaptureFixture[str]
) -> None:
    whole = (folder / "annotations.json").read_text()
    (folder / "annotations.json").write_text(whole[: len(whole) // 2])
    assert "is not complete JSON" in refused(evaluate(), capsys)
    assert made == []


@pytest.mark.parametrize("option", ["--json", "--detections"])
def test_unwritable_output(
    evaluate: Run, folder: Path, made: list[Any], capsys: pytest.CaptureFixture[str], option: str
) -> None:
    (folder / "file").write_text("")
    assert "cannot write" in refused(evaluate(option, folder / "file/numbers.json"), capsys)
    assert "is a folder" in refused(evaluate(option, folder), capsys)
    assert made == [], "refused before the work"


def test_outputs_that_would_overwrite_each_other(
    evaluate: Run, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = folder / "numbers.json"
    assert "give two files" in refused(evaluate("--json", out, "--detections", out), capsys)
    assert "file of annotations" in refused(evaluate("--json", folder / "annotations.json"), capsys)
    assert json.loads((folder / "annotations.json").read_text()) == make_document()


def test_images_and_annotations_are_required(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["eval"])
    assert "--images, --annotations" in refused(2, capsys)
