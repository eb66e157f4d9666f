"""The child processes that contenders run in, so that they share no threads, allocators, GPU contexts or crashes."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from multiprocessing import connection
from pathlib import Path
from types import TracebackType
from typing import Any

import gcpose_trt
from gcpose_trt.benchmark.contender import ContenderSpec
from gcpose_trt.benchmark.opening import physical_cores, runs_on_gpu
from gcpose_trt.errors import GcposeError

_GRACE_SECONDS = 5.0  # to close a model in order before it is killed
_LOOK_UP_SECONDS = 0.5  # how often a wait for an answer looks whether the user wants out
_THREAD_VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


class ContenderFailed(GcposeError):  # noqa: N818  # it tells of a contender, not of a fault of this program
    """A contender cannot be opened, raised an error or ended; the message is the reason in one line."""


class Child:
    """A contender in its process; see `section.Member`.

    Attributes:
        spec: which contender.
        info: `ContenderInfo.to_dict()`.
        opened: milliseconds of its start: "process" (until Python runs our code), "import" of libraries, "load" of the
            model.
        death: why it ended by itself, in one line; None while it runs and if it was ended in order.

    Raises:
        ContenderFailed: it cannot be opened.
    """

    def __init__(self, spec: ContenderSpec) -> None:
        self.spec = spec
        self.death: str | None = None
        self._log = tempfile.TemporaryFile()  # noqa: SIM115  # closed by `end`
        child_reads, requests = os.pipe()
        answers, child_writes = os.pipe()
        try:
            # A session of its own: Ctrl-C reaches the parent only, which then ends its children in order.
            self._process = subprocess.Popen(
                [
                    *(sys.executable, "-m", "gcpose_trt.benchmark.worker"),
                    *(str(child_reads), str(child_writes), str(time.perf_counter_ns())),
                ],
                stdin=subprocess.DEVNULL,
                stdout=self._log,
                stderr=self._log,
                pass_fds=[child_reads, child_writes],
                start_new_session=True,
                env=environment(spec),
            )
        except OSError as error:
            os.close(requests)
            os.close(answers)
            self._log.close()
            raise ContenderFailed(f"its process cannot be started ({error.strerror}); close other programs") from error
        finally:
            os.close(child_reads)
            os.close(child_writes)
        self._requests = os.fdopen(requests, "w", encoding="utf-8")
        self._answers = os.fdopen(answers, encoding="utf-8", errors="replace")
        try:
            value = self._exchange({"open": spec.to_dict()})
        except BaseException:
            self.end(kill=True)
            raise
        self.info: dict[str, Any] = value["info"]
        self.opened: dict[str, float] = value["opened"]

    @property
    def pid(self) -> int:
        """Of the process."""
        return self._process.pid

    def ask(self, operation: str, **request: Any) -> dict[str, Any]:
        """Have the child run an operation; see `section.Member.ask`. After an error it can be asked again."""
        if self.death is not None:
            raise ContenderFailed(self.death)
        return self._exchange({"operation": operation, "request": request})

    def end(self, kill: bool = False) -> None:
        """End the process; harmless if it has been."""
        if self._answers.closed:
            return
        with contextlib.suppress(BrokenPipeError):
            self._requests.close()
        if not kill:
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(_GRACE_SECONDS)
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, signal.SIGKILL)  # with whatever it started itself
        self._process.wait()
        self._answers.close()
        self._log.close()

    def _exchange(self, request: dict[str, Any]) -> dict[str, Any]:
        line = ""
        with contextlib.suppress(BrokenPipeError):  # it ended; the exit code says how
            self._requests.write(json.dumps(request) + "\n")
            self._requests.flush()
            # Ctrl-C that arrives just before a blocking read, or in another thread, does not wake that read: Python
            # would raise KeyboardInterrupt only once the child has answered. A wait that ends by itself notices it.
            while not connection.wait([self._answers.fileno()], _LOOK_UP_SECONDS):
                pass
            line = self._answers.readline()
        if not line.endswith("\n"):
            self.death = self._epitaph()
            self.end(kill=True)
            raise ContenderFailed(self.death)
        answer = json.loads(line)
        if "error" in answer:
            raise ContenderFailed(answer["error"])
        value: dict[str, Any] = answer["value"]
        return value

    def _epitaph(self) -> str:
        """Say how the process ended."""
        code = self._process.wait()
        end = self._log.seek(0, os.SEEK_END)
        self._log.seek(max(0, end - 8192))
        lines = [line.strip() for line in self._log.read().decode(errors="replace").splitlines() if line.strip()]
        said = f" ({lines[-1][:200]})" if lines else ""
        if code == -signal.SIGKILL:
            return "its process was killed, as Linux does when memory runs out; measure fewer at a time"
        if code < 0:
            name = signal.Signals(-code).name if -code in list(signal.Signals) else f"signal {-code}"
            return f"its process crashed with {name}{said}"
        return f"its process ended with code {code}{said}"


class Fleet:
    """All children of a run; see `section.Fleet`. A context manager, which ends them.

    Args:
        energy: returns the joules that each sensor has counted so far; None where there are no sensors.
    """

    def __init__(self, energy: Callable[[], dict[str, float]] | None = None) -> None:
        self._energy = energy
        self._children: dict[str, Child] = {}
        self._fresh: list[Child] = []
        self.failures: dict[str, str] = {}
        self.infos: dict[str, dict[str, Any]] = {}

    def member(self, spec: ContenderSpec) -> Child:
        """Return the contender's child, started if it is not running; one that failed is not started again."""
        if spec.id in self.failures:
            raise ContenderFailed(self.failures[spec.id])
        child = self._children.get(spec.id)
        if child is not None and child.death is None:
            return child
        if child is not None and child.death is not None:
            self.failures[spec.id] = child.death
            raise ContenderFailed(child.death)
        try:
            child = Child(spec)
        except ContenderFailed as error:
            self.failures[spec.id] = str(error)
            raise
        self._children[spec.id] = child
        self.infos[spec.id] = child.info
        return child

    def fresh(self, spec: ContenderSpec) -> Child:
        """Return a new child that nobody else uses; the caller ends it with `end`."""
        child = Child(spec)
        self.infos.setdefault(spec.id, child.info)
        self._fresh.append(child)
        return child

    def end(self, member: Any) -> None:
        """End one child."""
        member.end()
        self._fresh = [child for child in self._fresh if child is not member]
        self._children = {key: child for key, child in self._children.items() if child is not member}

    def end_all(self, kill: bool = False) -> None:
        """End all children; contenders that did not fail can be opened again."""
        for key, child in self._children.items():
            if child.death is not None:
                self.failures[key] = child.death
        for child in (*self._fresh, *self._children.values()):
            child.end(kill)
        self._fresh, self._children = [], {}

    def read_energy(self) -> dict[str, float]:
        """Return the joules that each sensor has counted so far; {} where there are none."""
        return self._energy() if self._energy is not None else {}

    def __enter__(self) -> Fleet:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.end_all(kill=kind is not None)


def environment(spec: ContenderSpec) -> dict[str, str]:
    """Return a child's environment: it finds this package, and no library in it takes more threads than it should."""
    root = str(Path(gcpose_trt.__file__).resolve().parents[1])
    before = os.environ.get("PYTHONPATH")
    threads = spec.threads or physical_cores()
    wanted = {} if runs_on_gpu(spec) else dict.fromkeys(_THREAD_VARIABLES, str(threads))
    return {
        **os.environ,
        **wanted,
        "PYTHONPATH": os.pathsep.join([*([before] if before else []), root]),
    }
