"""`gcpose-trt batch`: what it prints, what it refuses, and its exit codes."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from gcpose_trt.batch.summary import Summary
from gcpose_trt.batch.types import Finished, SourceFailure, SourceSpec
from gcpose_trt.cli import main
from tests.support.clips import make_clip

OPTIONS = ["--precision", "int8", "--size", "64", "--workers", "1"]


def test_a_batch(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    make_clip(tmp_path / "clip.mp4", [np.full((48, 64, 3), 9 * index, np.uint8) for index in range(5)])
    (tmp_path / "bad.mp4").write_bytes(b"no video")
    arguments = ["batch", str(tmp_path / "*.mp4"), str(tmp_path / "none"), "--output", str(tmp_path / "out"), *OPTIONS]
    assert main(arguments) == 2
    said = capsys.readouterr()
    assert "sources     1 done, 0 partial, 2 failed, 0 finished before" in said.out
    assert "5 frames" in said.out and "pyarrow.dataset" in said.out
    failures = [line for line in said.err.splitlines() if line.startswith("gcpose-trt: failed: ")]
    assert len(failures) == 2 and "none" in failures[0] and "bad.mp4" in failures[1]
    assert "5/5" in said.err and "Traceback" not in said.err
    assert main([*arguments, "--size", "96", "--quiet"]) == 2
    said = capsys.readouterr()
    assert said.err.count("\n") == 1 and "--size (64, now 96)" in said.err
    (tmp_path / "bad.mp4").unlink()
    assert main(["batch", str(tmp_path / "*.mp4"), "--output", str(tmp_path / "out"), *OPTIONS, "--quiet"]) == 0
    assert capsys.readouterr() == ("", "")


def test_a_batch_of_nothing_names_no_poses(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["batch", str(tmp_path / "none"), "--output", str(tmp_path / "out"), *OPTIONS]) == 2
    said = capsys.readouterr().out
    assert "1 failed" in said and "sources.parquet" in said and "pyarrow.dataset" not in said
    assert [path.name for path in (tmp_path / "out").iterdir() if path.name != ".batch"] == ["sources.parquet"]


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["--model", "nothing"], "nothing"),
        (["--workers", "0"], "whole number of at least 1"),
        (["--segment", "0"], "above 0"),
        (["--decoders", "2"], "--decoders is of a Ray cluster; give --ray auto, too"),
        (["--device", "cuda"], "runs on the CPU, not on cuda"),
        (["--output", "{here}/clip.txt"], "clip.txt"),
    ],
)
def test_one_line_of_advice(
    arguments: list[str], reason: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "clip.txt").write_text("clip.mp4\n")
    make_clip(tmp_path / "clip.mp4", [np.zeros((48, 64, 3), np.uint8)])
    words = [word.format(here=tmp_path) for word in arguments]
    base = ["batch", str(tmp_path / "clip.mp4"), "--output", str(tmp_path / "out"), "--quiet"]
    try:
        code = main([*base, *words])
    except SystemExit as stop:
        code = int(str(stop.code))
    error = capsys.readouterr().err
    assert code == 2 and error.count("\n") == 1 and reason in error


@pytest.mark.parametrize(("package", "extra"), [("fsspec", "batch"), ("pyarrow", "batch"), ("ray", "ray")])
def test_a_missing_package(package: str, extra: str, tmp_path: Path) -> None:
    # A process of its own: here these modules have been imported, and others hold on to them.
    program = f"import sys; sys.modules[{package!r}] = None; from gcpose_trt.cli import main; sys.exit(main())"
    command = [sys.executable, "-c", program, "batch", "x.mp4", "--output", str(tmp_path / "out")]
    ray = ["--ray", "auto"] if extra == "ray" else []
    done = subprocess.run([*command, *ray], capture_output=True, text=True, check=False)
    assert done.returncode == 2 and done.stderr.count("\n") == 1, done.stderr
    assert f"pip install 'gcpose-trt[{extra}]'" in done.stderr


def finished(name: str, *warnings: str) -> Finished:
    return Finished(SourceSpec(name, f"/{name}", "video", (), ""), 10, 1.0, (4, 4), 20, 2, "0", warnings)


def test_the_summary() -> None:
    failures = [SourceFailure(f"/f{index}", "is empty; give another") for index in range(25)]
    partial = finished("c", "is damaged", "more")
    summary = Summary(Path("/out"), [finished("a"), partial], [finished("b")], failures, 30, 15, 3.0, True)
    lines = "\n".join(summary.lines())
    assert "1 done, 1 partial, 25 failed, 1 finished before, 2 to do" in lines
    assert "15 frames in 3.0 s: 5.0 frames/s" in lines
    assert "60 people in 30 frames, 6 tracks" in lines
    problems = summary.problems()
    assert len(problems) == 21 and problems[-1] == "and 6 more; all of them are in /out/sources.parquet"
    alone = Summary(Path("/out"), [partial], [], [], 1, 1, 1.0, False)
    assert alone.problems() == ["partial: /c: is damaged (and 1 more)"]
