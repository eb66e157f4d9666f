"""The build process: what becomes of crashes, kills and interruptions."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from gcpose_trt.engine import process
from gcpose_trt.errors import GcposeError

# Takes the place of gcpose_trt.engine.worker, through sys.executable.
FAKE = """#!{python}
import json, os, signal, sys
job = json.load(sys.stdin)
events = os.fdopen(int(sys.argv[-1]), "w")
def emit(**values):
    events.write(json.dumps(values) + "\\n")
    events.flush()
emit(event="stage", text="working")
{body}
"""


@pytest.fixture
def worker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Let run_job start a program of the test's own."""

    def use(body: str) -> None:
        path = tmp_path / "python"
        path.write_text(FAKE.format(python=sys.executable, body=body))
        path.chmod(0o755)
        monkeypatch.setattr(process.sys, "executable", str(path))

    return use


def ignore(event: dict[str, Any]) -> None:
    """Take no notice of progress."""


def test_result_and_events(worker: Any) -> None:
    worker('emit(event="result", value={"seen": job["x"]})')
    events: list[dict[str, Any]] = []
    assert process.run_job({"x": 5}, events.append) == {"seen": 5}
    assert events == [{"event": "stage", "text": "working"}]


@pytest.mark.parametrize(
    ("body", "text"),
    [
        ('emit(event="error", text="the reason; the remedy"); sys.exit(1)', "the reason; the remedy"),
        (
            "os.kill(os.getpid(), signal.SIGKILL)",
            "was killed, as Linux does when memory runs out; close other programs",
        ),
        ("print('Assertion failed: plugin', file=sys.stderr); os.abort()", "with SIGABRT (Assertion failed: plugin)"),
        ("os.kill(os.getpid(), signal.SIGSEGV)", "crashed the build process with SIGSEGV; run again"),
        ("sys.exit('cannot go on')", "ended with code 1 (cannot go on)"),
        ('events.write(\'{"event": "res\'); events.flush(); os._exit(3)', "ended with code 3"),
        ('emit(event="result", value={}); os.kill(os.getpid(), signal.SIGSEGV)', "with SIGSEGV"),
    ],
)
def test_endings(body: str, text: str, worker: Any) -> None:
    worker(body)
    with pytest.raises(GcposeError) as caught:
        process.run_job({}, ignore)
    assert text in str(caught.value)
    assert "\n" not in str(caught.value)


def test_program_that_cannot_start(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process.sys, "executable", "/nothing/python")
    with pytest.raises(GcposeError, match="cannot start the build process"):
        process.run_job({}, ignore)


def test_interruption_kills_the_process(worker: Any) -> None:
    worker('emit(event="pid", pid=os.getpid()); signal.pause()')
    seen: list[int] = []

    def interrupt(event: dict[str, Any]) -> None:
        if event["event"] == "pid":
            seen.append(event["pid"])
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        process.run_job({}, interrupt)
    with pytest.raises(ProcessLookupError):
        os.kill(seen[0], 0)


def test_termination_counts_as_interruption() -> None:
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(KeyboardInterrupt), process.terminable():
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(5)
    assert signal.getsignal(signal.SIGTERM) == before


def test_the_real_worker_ends_with_its_parent() -> None:
    """Its parent is killed without a chance to clean up; the pipe that only the worker holds then closes."""
    reading, writing = os.pipe()
    code = """
import subprocess, sys, time
command = [sys.executable, "-m", "gcpose_trt.engine.worker", sys.argv[1]]
child = subprocess.Popen(command, stdin=subprocess.PIPE, pass_fds=[int(sys.argv[1])], stderr=subprocess.PIPE)
print("started", flush=True)
time.sleep(60)
"""
    parent = subprocess.Popen(
        [sys.executable, "-c", code, str(writing)], stdout=subprocess.PIPE, pass_fds=[writing], text=True
    )
    os.close(writing)
    assert parent.stdout is not None
    assert parent.stdout.readline() == "started\n"
    parent.kill()
    parent.wait()
    with os.fdopen(reading) as stream:
        assert stream.read() == ""
    parent.stdout.close()


def test_unknown_errors_of_the_worker_are_one_line() -> None:
    with pytest.raises(GcposeError, match="the build failed unexpectedly \\(KeyError") as caught:
        process.run_job({"job": "build", "target": "nothing"}, ignore)
    assert "\n" not in str(caught.value)
