"""Errors become lines, once each."""

from __future__ import annotations

import time

import pytest

from gcpose_trt.errors import GcposeError
from gcpose_trt.video.live.faults import Quiet, as_gcpose_error


def test_our_own_errors_stay() -> None:
    error = GcposeError("disk full; free some space")
    assert as_gcpose_error(error, "x", "y") is error


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (ValueError("odd\nnumber"), "mp4 failed: ValueError: odd number; do X"),
        (OSError(28, "No space left on device"), "mp4 failed: No space left on device; do X"),
        (ZeroDivisionError(), "mp4 failed: ZeroDivisionError; do X"),
    ],
)
def test_others_become_one_line(error: Exception, line: str, capsys: pytest.CaptureFixture[str]) -> None:
    made = as_gcpose_error(error, "mp4 failed", "do X")
    assert str(made) == line
    assert made.__cause__ is error
    assert capsys.readouterr().err == ""


def test_debugging_shows_the_traceback(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("GCPOSE_DEBUG", "1")
    try:
        raise ValueError("odd")
    except ValueError as error:
        as_gcpose_error(error, "x", "y")
    assert "Traceback" in capsys.readouterr().err


def test_the_same_line_only_after_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    now, log = [100.0], []
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    quiet = Quiet(log.append)
    for line in ("bad", "bad", "worse", "worse"):
        quiet("network", line)
    quiet("draw", "bad")
    now[0] += 10
    quiet("network", "worse")
    assert log == ["bad", "worse", "bad", "worse"]
