"""Lines, bar and scalars of a run."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Any

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from gcpose_trt.training import reporting
from gcpose_trt.training.progress import MIB
from gcpose_trt.training.reporting import Reporter


@pytest.fixture(autouse=True)
def memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reporting, "peak_memory", lambda device: 812 * MIB)


def report(folder: Path, **options: Any) -> None:
    """Report two iterations of one loss, each."""
    settings: dict[str, Any] = {"total": 10, "start": 4, "every": 2, "active": True, **options}
    reporter = Reporter(folder, **settings)
    for iteration, loss in ((5, 1.0), (6, 2.0)):
        reporter.step(iteration, {"keypoint": loss}, 7e-4)
    reporter.close()


def test_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    report(tmp_path)
    (line,) = capsys.readouterr().err.splitlines()
    pattern = r"iteration 6 of 10: keypoint 1\.500, lr 7\.00e-04, \d+\.\d\d s/it, \d+ s left, peak 812 MiB"
    assert re.fullmatch(pattern, line)


def test_line_of_a_run_that_the_clock_ends(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    report(tmp_path, total=None, seconds=10_000_800)
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("iteration 6: keypoint 1.500, ")
    assert "115 d 18 h left" in line


def test_what_is_not_known_is_left_out(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reporting, "peak_memory", lambda device: None)
    report(tmp_path, total=None)
    (line,) = capsys.readouterr().err.splitlines()
    assert line.endswith(" s/it")


@pytest.mark.parametrize(("total", "seconds", "left"), [(10, None, 0), (None, 10_000_800, 1)])
def test_bar(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    total: int | None,
    seconds: float | None,
    left: int,
) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    monkeypatch.setenv("COLUMNS", "200")
    report(tmp_path, total=total, seconds=seconds)
    last = capsys.readouterr().err.split("\r")[-1]
    assert "keypoint 1.500, " in last
    assert last.count(" d 18 h left") == left, "the bar has the time left of a run of known length itself"
    assert "peak 812 MiB" in last


def test_scalars(tmp_path: Path) -> None:
    report(tmp_path)
    events = EventAccumulator(str(tmp_path)).Reload()
    assert set(events.Tags()["scalars"]) == {
        "loss/keypoint",
        "learning_rate",
        "seconds_per_iteration",
        "peak_memory_mib",
    }
    assert [(event.step, event.value) for event in events.Scalars("peak_memory_mib")] == [(6, 812)]


def test_other_processes_are_silent(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    report(tmp_path / "events", active=False)
    assert capsys.readouterr().err == ""
    assert not (tmp_path / "events").exists()
