"""What changed between two reports, as the command tells it."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import pytest

from gcpose_trt.cli.benchmark_compare import add_arguments, run
from gcpose_trt.errors import GcposeError
from tests.benchmark.samples import sample_report


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("reports")
    for name, slower in (("a", 1.0), ("b", 1.2)):
        (folder / name).mkdir()
        (folder / name / "report.json").write_text(json.dumps(sample_report(slower=slower)))
    return folder


def compare(*words: str | Path) -> int:
    parser = argparse.ArgumentParser()
    add_arguments(parser)
    return run(parser.parse_args([str(word) for word in words]))


def test_nothing_worse_is_0(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert compare(folder / "a", folder / "a" / "report.json") == 0
    assert "0 regressions" in capsys.readouterr().out


def test_something_worse_is_3_and_everything_is_written(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    outputs = tmp_path / "new" / "c.json", tmp_path / "new" / "c.md"

    assert compare(folder / "a", folder / "b", "--json", outputs[0], "--markdown", outputs[1]) == 3
    assert "REGRESSION" in capsys.readouterr().out
    assert json.loads(outputs[0].read_text())["regressed"] is True
    assert "REGRESSION" in outputs[1].read_text()


def test_faster_is_0(folder: Path) -> None:
    assert compare(folder / "b", folder / "a") == 0


def test_options_reach_the_comparison(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert compare(folder / "a", folder / "b", "--threshold", "30%") == 0
    assert compare(folder / "a", folder / "b", "--metrics", "size, accuracy", "--all") == 0
    assert "end to end" not in capsys.readouterr().out.split("--all")[-1].split("Threshold 0.3 ")[-1]
    assert compare(folder / "a", folder / "a", "--match", "mobile int8 @448=mobile fp32", "--metrics", "size") == 3


@pytest.mark.parametrize(
    "words", [["--threshold", "-1"], ["--threshold", "nan"], ["--metrics", "speed"], ["--metrics", ","]]
)
def test_wrong_options_are_refused(folder: Path, words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        compare(folder / "a", folder / "b", *words)
    assert caught.value.code == 2


def test_bad_input_is_one_line_and_writes_nothing(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(GcposeError, match="no benchmark report at"):
        compare(folder / "a", tmp_path / "none.json", "--json", tmp_path / "c.json")
    assert not list(tmp_path.iterdir())


def test_one_file_cannot_be_both(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(GcposeError, match="a file of its own"):
        compare(folder / "a", folder / "b", "--json", tmp_path / "c", "--markdown", tmp_path / "c")
