"""`gcpose-trt benchmark` as a user calls it: a small real run, an interrupted one, and everything that can be wrong."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from gcpose_trt.cli import main

SMALL = ["--sizes", "96", "--threads", "1", "--frames", "3", "--turn", "2", "--rounds", "2"]


def read(folder: Path) -> dict[str, object]:
    report: dict[str, object] = json.loads((folder / "report.json").read_text())
    return report


@pytest.mark.slow
def test_a_small_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "report"
    words = ["benchmark", "quick", *SMALL, "--sections", "latency", "parity", "samples", "--output", str(folder)]
    words += ["--precisions", "default", "int8", "--peers", "movenet=missing.onnx"]
    assert main(words) == 0
    said = capsys.readouterr()
    assert said.out.splitlines() == [str(folder / f"report.{kind}") for kind in ("json", "md", "html")]
    assert "skipped missing" in said.err or "skipped movenet" in said.err
    report = read(folder)
    assert report["complete"] is True
    statuses = {record["label"]: record["status"] for record in report["contenders"]}  # type: ignore[attr-defined]
    assert list(statuses.values()) == ["measured", "measured", "skipped"]
    assert any("6 timed frames a contender: fewer than the 200" in note for note in report["notes"])  # type: ignore[attr-defined]
    assert "Few frames" in (folder / "report.md").read_text()

    assert main(words) == 0  # once more: nothing is measured again
    assert "complete already; --fresh measures again" in capsys.readouterr().err
    assert read(folder)["units"] == report["units"]
    assert main([*words, "--rounds", "3"]) == 2
    assert "rounds 2, now 3" in capsys.readouterr().err

    assert main(["benchmark", "compare", str(folder), str(folder)]) == 0
    assert main(["benchmark", "report", str(folder)]) == 0


def test_without_matplotlib_there_is_no_page(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    words = ["benchmark", *SMALL, "--precisions", "default", "--sections", "latency", "--rounds", "1"]
    assert main([*words, "--output", str(tmp_path)]) == 0
    said = capsys.readouterr()
    assert "pip install 'gcpose-trt[benchmark]'" in said.err
    assert said.out.splitlines() == [str(tmp_path / "report.json"), str(tmp_path / "report.md")]
    assert not (tmp_path / "report.html").exists()


@pytest.mark.slow
def test_an_interrupted_run_goes_on(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "gcpose_trt", "benchmark", "quick", *SMALL, "--precisions", "default"]
    command += ["--sections", "latency", "--rounds", "1000", "--output", str(tmp_path)]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as run:
        limit = time.monotonic() + 120
        while not (tmp_path / "report.json").exists() or not read(tmp_path)["units"]:
            assert run.poll() is None and time.monotonic() < limit
            time.sleep(0.05)
        os.kill(run.pid, signal.SIGTERM)
        _, errors = run.communicate(timeout=120)
    assert run.returncode == 130, errors
    assert "marked as partial; the same command goes on" in errors and "Traceback" not in errors
    first = read(tmp_path)
    assert first["complete"] is False
    assert "**PARTIAL**" in (tmp_path / "report.md").read_text()
    assert "partial" in (tmp_path / "report.html").read_text().lower()

    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as run:
        limit = time.monotonic() + 120
        while len(read(tmp_path)["units"]) <= len(first["units"]):  # type: ignore[arg-type]
            assert run.poll() is None and time.monotonic() < limit
            time.sleep(0.05)
        os.kill(run.pid, signal.SIGINT)
        _, errors = run.communicate(timeout=120)
    assert "going on with" in errors
    second = read(tmp_path)
    assert len(second["sessions"]) == 2  # type: ignore[arg-type]
    assert first["units"].items() <= second["units"].items()  # type: ignore[attr-defined]


def test_a_plan_measures_nothing(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert main(["benchmark", "jetson", "--plan", "--output", str(tmp_path / "none")]) == 0
    out = capsys.readouterr().out
    assert "jetson: " in out and "mobile-fp16" in out
    assert not (tmp_path / "none").exists()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["qiuck"], "no suite is called 'qiuck'; choose from accuracy, cpu, gpu, jetson, quick"),
        (["--peers", "movnet=x.onnx"], "no peer is called 'movnet'"),
        (["--sections", "speed"], "no section is called 'speed'"),
        (["--precisions", "int9"], "no precision is called 'int9'; choose from default, fp32, fp16, int8"),
        (["--backends", "tensorflow"], "no backend is called 'tensorflow'"),
        (["--clip", "/nowhere.mp4"], "no file /nowhere.mp4"),
        (["--people", "-1"], "not a whole number of at least 0"),
        (["--rounds", "0"], "not a whole number of at least 1"),
        (["--models", "nothing"], "nothing can be measured"),
        (["--backends", "tensorrt"], "nothing can be measured"),
        (["--images", "/nowhere", "--annotations", "/nowhere.json", "--sections", "accuracy"], "/nowhere.json"),
    ],
)
def test_bad_input_is_one_line(
    words: list[str], message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code: int | str | None
    try:
        code = main(["benchmark", *words, "--output", str(tmp_path / "report")])
    except SystemExit as end:
        code = end.code
    last = capsys.readouterr().err.splitlines()[-1]
    assert code == 2 and last.startswith("gcpose-trt: error: ") and message in last
    assert not (tmp_path / "report" / "report.md").exists()


def test_a_corrupt_report_in_the_folder(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "report.json").write_text('{"schema": 1, "kind": ')
    assert main(["benchmark", *SMALL, "--output", str(tmp_path)]) == 2
    assert "--fresh" in capsys.readouterr().err
    assert main(["benchmark", "report", str(tmp_path)]) == 2
    assert main(["benchmark", "compare", str(tmp_path), str(tmp_path)]) == 2
