"""Running one job of `gcpose_trt.engine.worker` and telling what became of it."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any

import gcpose_trt
from gcpose_trt.errors import GcposeError

Listener = Callable[[dict[str, Any]], None]
_MEMORY = "close other programs, or build with --low-memory"


def run_job(job: dict[str, Any], listener: Listener) -> dict[str, Any]:
    """Run a job in a process of its own.

    Args:
        job: see the functions of `gcpose_trt.engine.worker`, and "job", the name of one of them.
        listener: called with each event but the last.

    Returns:
        The job's result.

    Raises:
        GcposeError: the job failed, or its process died.
        KeyboardInterrupt: the user interrupted, or ended, this process; the job's is killed.
    """
    reading, writing = os.pipe()
    with tempfile.TemporaryFile() as output, os.fdopen(reading, encoding="utf-8", errors="replace") as events:
        command = [sys.executable, "-m", "gcpose_trt.engine.worker", str(writing)]
        try:
            # A session of its own: Ctrl-C reaches this process only, which then kills that one in order.
            process = subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=output,
                stderr=output,
                pass_fds=[writing],
                start_new_session=True,
                env=environment(),
            )
        except OSError as error:
            raise GcposeError(f"cannot start the build process ({error.strerror}); {_MEMORY}") from error
        finally:
            os.close(writing)
        try:
            assert process.stdin is not None
            with contextlib.suppress(BrokenPipeError):  # it died at once; the exit code says how
                process.stdin.write(json.dumps(job).encode())
                process.stdin.close()
            last = _listen(events, listener)
            code = process.wait()
        finally:
            _kill(process)
        return _result(last, code, output, job)


def environment() -> dict[str, str]:
    """Return this process's environment, in which a child finds this package wherever it was imported from."""
    root = str(Path(gcpose_trt.__file__).resolve().parents[1])
    before = os.environ.get("PYTHONPATH")
    return {
        # Kernels that are loaded when they are first wanted take hundreds of MiB less.
        "CUDA_MODULE_LOADING": "LAZY",
        **os.environ,
        "PYTHONPATH": os.pathsep.join([*([before] if before else []), root]),
    }


def _listen(events: IO[str], listener: Listener) -> dict[str, Any]:
    last: dict[str, Any] = {}
    for line in events:
        with contextlib.suppress(ValueError):  # the line in which a process died
            event = json.loads(line)
            if event["event"] in ("result", "error"):
                last = event
            else:
                listener(event)
    return last


def _result(last: dict[str, Any], code: int, output: IO[bytes], job: dict[str, Any]) -> dict[str, Any]:
    text = _tail(output)
    if job.get("verbose") and text:
        print(text, file=sys.stderr, flush=True)
    if last.get("event") == "result" and code == 0:
        return dict(last["value"])
    if last.get("event") == "error":
        raise GcposeError(str(last["text"]))
    lines = [line for line in text.splitlines() if line.strip()]
    said = f" ({lines[-1].strip()[:300]})" if lines else ""
    if code == -signal.SIGKILL:
        raise GcposeError(f"the build process was killed, as Linux does when memory runs out; {_MEMORY}")
    if code < 0:
        name = signal.Signals(-code).name if -code in signal.Signals.__members__.values() else str(-code)
        raise GcposeError(f"TensorRT crashed the build process with {name}{said}; run again with --verbose")
    raise GcposeError(f"the build process ended with code {code}{said}; run again with --verbose")


def _tail(output: IO[bytes]) -> str:
    """The end of what the process printed; libraries that abort say why there."""
    end = output.seek(0, os.SEEK_END)
    output.seek(max(0, end - 8192))
    return output.read().decode(errors="replace").strip()


def _kill(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is None:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    if process.stdin is not None:
        with contextlib.suppress(BrokenPipeError):
            process.stdin.close()


@contextlib.contextmanager
def terminable() -> Iterator[None]:
    """Turn SIGTERM and SIGHUP into KeyboardInterrupt, so that what cleans up after Ctrl-C does it then too."""
    if threading.current_thread() is not threading.main_thread():  # only the main thread may set handlers
        yield
        return

    def interrupt(number: int, frame: Any) -> None:
        raise KeyboardInterrupt

    before = {number: signal.signal(number, interrupt) for number in (signal.SIGTERM, signal.SIGHUP)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
