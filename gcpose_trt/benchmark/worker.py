"""The process of one contender: opens it, then does what it is asked, one JSON line each way.

Its arguments are two file descriptors, to read requests from and to write answers to, and when it was started by
`time.perf_counter_ns()`, which counts alike in all processes. Libraries print where they like: their stdout is this
process's stderr. The first request is {"open": the spec}, each further one {"operation": name, "request": {...}}; an
answer is {"value": {...}} or {"error": one line}.
"""

from __future__ import annotations

import contextlib
import ctypes
import importlib
import json
import os
import signal
import sys
import time
from typing import Any

_PR_SET_PDEATHSIG = 1
_OPERATIONS = "gcpose_trt.benchmark.operations"


def main() -> int:
    """Answer until the other side closes its end."""
    reading, writing, started = (int(word) for word in sys.argv[1:4])
    process = (time.perf_counter_ns() - started) / 1e6
    _die_with_parent()
    os.dup2(2, 1)
    # A library's own children must not keep the pipes open after this process has ended.
    os.set_inheritable(reading, False)
    os.set_inheritable(writing, False)
    with os.fdopen(reading, encoding="utf-8") as requests, os.fdopen(writing, "w", encoding="utf-8") as answers:
        contender: Any = None
        for line in requests:
            asked = json.loads(line)
            try:
                if contender is None:
                    contender, value = _open(asked["open"], process)
                else:
                    value = _operate(contender, asked["operation"], asked["request"])
                answer = json.dumps({"value": value}, allow_nan=False, default=_plain)
            except Exception as error:  # whatever an adapter or a library raises is this contender's failure
                answer = json.dumps({"error": explain(error)})
            with contextlib.suppress(BrokenPipeError):
                answers.write(answer + "\n")
                answers.flush()
            if contender is None:
                return 1
        with contextlib.suppress(Exception):
            contender.close()
    return 0


def _open(words: dict[str, Any], process: float) -> tuple[Any, dict[str, Any]]:
    start = time.perf_counter()
    from gcpose_trt.benchmark.contender import ContenderSpec
    from gcpose_trt.benchmark.opening import open_contender

    own = 1e3 * (time.perf_counter() - start)
    contender, times = open_contender(ContenderSpec.from_dict(words))
    times["import"] += own
    return contender, {"info": contender.info.to_dict(), "opened": {"process": process, **times}}


def _operate(contender: Any, name: str, request: dict[str, Any]) -> Any:
    return importlib.import_module(f"{_OPERATIONS}.{name}").run(contender, request)


def explain(error: BaseException) -> str:
    """Return one line about an error for people who do not know this program."""
    text = " ".join(str(error).split())[:400]
    # By name, so that a child which never needed that module does not import it.
    if any(kind.__name__ == "GcposeError" for kind in type(error).__mro__):
        return text
    if isinstance(error, MemoryError) or "out of memory" in text.lower():
        return f"out of memory ({text[:160] or type(error).__name__}); measure fewer at a time, or a smaller size"
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def _plain(value: Any) -> Any:
    """Make numpy's numbers and arrays JSON."""
    if hasattr(value, "tolist"):
        return value.tolist()
    raise TypeError(f"an answer holds a {type(value).__name__}, which JSON cannot")


def _die_with_parent() -> None:
    """Ask Linux to end this process with its parent, so that a killed run leaves nobody behind."""
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


if __name__ == "__main__":
    code = main()
    sys.stdout.flush()
    sys.stderr.flush()
    # Not sys.exit: at Python's shutdown some libraries crash, and everything has been answered.
    os._exit(code)
