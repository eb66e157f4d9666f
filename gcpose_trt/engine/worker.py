"""The process that a build runs in: fresh, so that nothing but the build holds memory, and without torch.

Reads one job, a JSON object, from stdin and writes events, one JSON object a line, to the file descriptor that its only
argument names; stdout and stderr are left to the libraries. Jobs: "prepare" makes the graphs that TensorRT takes,
"build" makes the engines, "inspect" looks into one; "measure", "measure_graph" and "rank" see to their accuracy,
"probe" and "race" to their speed. The last event of a job is "result", or "error" with a line for the user.
"""

from __future__ import annotations

import contextlib
import ctypes
import importlib
import json
import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from gcpose_trt.errors import GcposeError

_PR_SET_PDEATHSIG = 1
_TICK_SECONDS = 0.2


class Events:
    """The way back to the parent; may be used from several threads.

    Args:
        descriptor: of the pipe.
        verbose: send every line of TensorRT's log, not the warnings only.
    """

    def __init__(self, descriptor: int, verbose: bool) -> None:
        self._stream = os.fdopen(descriptor, "w", encoding="utf-8")
        self._lock = threading.Lock()
        self._verbose = verbose
        self._last_tick = 0.0

    def __call__(self, event: str, **values: Any) -> None:
        """Send one event."""
        # The parent has gone: it will have killed this process, or PR_SET_PDEATHSIG is about to.
        with self._lock, contextlib.suppress(BrokenPipeError, ValueError):
            self._stream.write(json.dumps({"event": event, **values}) + "\n")
            self._stream.flush()

    def log(self, severity: str, text: str) -> None:
        """Take a line of TensorRT's log; lines that are not sent still show that it is alive."""
        if self._verbose or severity not in ("info", "verbose"):
            self("log", severity=severity, text=text)
        elif time.monotonic() - self._last_tick > _TICK_SECONDS:
            self._last_tick = time.monotonic()
            self("tick")


def prepare(job: dict[str, Any], emit: Events) -> dict[str, Any]:
    """Make the graphs of an engine.

    Args:
        job: "request" (see `BuildRequest.to_dict`), "detector" and "pose" (ONNX files), "work" (folder to write to).
        emit: see `Events`.

    Returns:
        "size", "max_people", "model" (its record), "weights_sha256", "parts" {name: file}, "outside", "notes", "int8"
        (see `gcpose_trt.engine.calibration.describe`, or None).
    """
    from gcpose_trt.engine.preparation import prepare_parts
    from gcpose_trt.engine.request import BuildRequest

    emit("stage", text="preparing the graphs")
    return prepare_parts(
        BuildRequest.from_dict(job["request"]), Path(job["detector"]), Path(job["pose"]), Path(job["work"])
    )


def build(job: dict[str, Any], emit: Events) -> dict[str, Any]:
    """Build engines.

    Args:
        job: "target", "plugins" (file or None), "parts" {name: ONNX file}, "buckets", "settings" (see `Settings`),
            "timing_folder_gpu" (name of the GPU for the default timing cache, None where a file or none was chosen),
            "work" (folder to write `NAME.engine` and `layers.json` to).
        emit: see `Events`.

    Returns:
        "tensorrt" (version), "timing_cache" (file or None), "parts" {name: {"layers", "io", "options"}}, "notes".
    """
    from gcpose_trt.engine import timing_cache
    from gcpose_trt.engine.config import Settings
    from gcpose_trt.engine.network import build as build_part
    from gcpose_trt.runtime.tensorrt_api import load

    trt = load(job["target"])
    trt.log.listener = emit.log
    if job["plugins"] is not None:
        trt.load_plugins(job["plugins"])
    settings = dict(job["settings"])
    if job["timing_folder_gpu"] is not None:
        settings["timing_cache"] = str(timing_cache.default_path(trt.target, trt.version, job["timing_folder_gpu"]))
    parts, notes = {}, []
    for name, path in job["parts"].items():
        emit("stage", text=f"building {name} with {trt.name} {trt.version}")
        built = build_part(trt, Path(path), tuple(job["buckets"]), Settings(**settings), emit)
        Path(job["work"], f"{name}.engine").write_bytes(built.plan)
        parts[name] = {
            "layers": [layer.to_dict() for layer in built.layers],
            "io": built.io,
            "options": built.options,
        }
        notes += [f"{name}: {line}" for line in built.notes]
        emit("stage_done", text=name)
    return {"tensorrt": trt.version, "timing_cache": settings["timing_cache"], "parts": parts, "notes": notes}


def inspect(job: dict[str, Any], emit: Events) -> dict[str, Any]:
    """Look into one engine file.

    Args:
        job: "target", "plugins" (file or None), "engine" (file).
        emit: see `Events`.

    Returns:
        "tensorrt", "layers", "io", "profiles".
    """
    from gcpose_trt.engine.inspection import from_engine
    from gcpose_trt.runtime.tensorrt_api import load

    trt = load(job["target"])
    trt.log.listener = emit.log
    if job["plugins"] is not None:
        trt.load_plugins(job["plugins"])
    engine = trt.deserialize(Path(job["engine"]).read_bytes(), job["engine"])
    return {
        "tensorrt": trt.version,
        "layers": [layer.to_dict() for layer in from_engine(trt, engine)],
        "io": [
            {"name": item.name, "dtype": item.dtype, "shape": list(item.shape), "is_input": item.is_input}
            for item in trt.io(engine)
        ],
        "profiles": int(engine.num_optimization_profiles),
    }


def _elsewhere(module: str, name: str) -> Callable[[dict[str, Any], Events], dict[str, Any]]:
    """Return a job of a module that imports more than the jobs here need."""

    def run(job: dict[str, Any], emit: Events) -> dict[str, Any]:
        return dict(getattr(importlib.import_module(f"gcpose_trt.engine.{module}"), name)(job, emit))

    return run


JOBS: dict[str, Callable[[dict[str, Any], Events], dict[str, Any]]] = {
    "prepare": prepare,
    "build": build,
    "inspect": inspect,
    **{name: _elsewhere("evaluating", name) for name in ("measure", "measure_graph", "rank")},
    **{name: _elsewhere("racing", name) for name in ("probe", "race")},
}


def _die_with_parent() -> None:
    """Ask Linux to end this process with its parent, so that a killed build leaves no builder behind."""
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def _explain(error: BaseException) -> str:
    if isinstance(error, GcposeError):
        return " ".join(str(error).splitlines())
    if isinstance(error, MemoryError):
        return "out of memory; close other programs, or build with --low-memory"
    if isinstance(error, OSError) and error.strerror:
        return f"{error.filename or 'a file'}: {error.strerror}; check the path, its permissions and the free space"
    if isinstance(error, ImportError):
        return f"cannot import {error.name} ({error}); pip install 'gcpose-trt[tensorrt]'"
    text = " ".join(str(error).splitlines())[:300]
    return f"the build failed unexpectedly ({type(error).__name__}: {text}); run again with --debug and report it"


def main() -> int:
    """Run the job; return 0, or 1 after an "error" event."""
    _die_with_parent()
    job = json.load(sys.stdin)
    emit = Events(int(sys.argv[1]), bool(job.get("verbose")))
    try:
        result = JOBS[job["job"]](job, emit)
    except Exception as error:
        if job.get("debug"):
            sys.excepthook(type(error), error, error.__traceback__)
        emit("error", text=_explain(error))
        return 1
    emit("result", value={**result, "torch": "torch" in sys.modules})
    return 0


if __name__ == "__main__":
    code = main()
    sys.stdout.flush()
    sys.stderr.flush()
    # Not sys.exit: at Python's shutdown TensorRT's objects are freed in any order, which it does not always survive.
    os._exit(code)
