"""Worker processes of this machine that may die at any time: a pool gives their jobs out again."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from multiprocessing import Pipe
from typing import Any

from gcpose_trt.batch.addresses import redact
from gcpose_trt.engine.process import environment
from gcpose_trt.errors import GcposeError

ATTEMPTS = 3
STALL_S = 600.0  # of silence, where a call of the network may take minutes
_GRACE_S = 3.0  # to remove a half-written file
_SAID = 200  # characters of a dead worker's last line


@dataclass
class Task:
    """A job under way.

    Attributes:
        deaths: of workers that had it.
        why: how the last of them ended.
    """

    job: Any
    deaths: int = 0
    why: str = ""


class Worker:
    """One process of `gcpose_trt.batch.worker`.

    Args:
        role: "files" or "network".
        settings: arguments of that role.
        variables: of its environment.

    Attributes:
        connection: to and from it; at its end when it died.
        ready: it takes jobs.
        tasks: what it has, oldest first.
        knows: id of the last plan that it was sent.
        quiet: seconds that somebody has waited for it since it said something.

    Raises:
        GcposeError: the process cannot be started.
    """

    def __init__(self, role: str, settings: dict[str, Any], variables: dict[str, str]) -> None:
        self.ready = False
        self.tasks: list[Task] = []
        self.knows: str | None = None
        self.quiet = 0.0
        self._said = tempfile.TemporaryFile()  # noqa: SIM115  # closed by `end`
        self.connection, theirs = Pipe()
        try:
            # Not multiprocessing's own processes: they import the caller's main module, which may have no guard. A
            # session of its own: Ctrl-C reaches this process only, which ends the others in order.
            self.process = subprocess.Popen(
                [sys.executable, "-m", "gcpose_trt.batch.worker", str(theirs.fileno())],
                stdin=subprocess.DEVNULL,
                stdout=self._said,
                stderr=self._said,
                pass_fds=[theirs.fileno()],
                start_new_session=True,
                env={**environment(), **variables},
            )
        except OSError as error:
            self.connection.close()
            self._said.close()
            raise GcposeError(
                f"cannot start a worker process ({error.strerror}); use fewer --workers or close other programs"
            ) from error
        finally:
            theirs.close()
        with contextlib.suppress(OSError):  # it died; whoever reads from it sees that
            self.connection.send((role, settings))

    def kill(self) -> None:
        """End the process at once."""
        self.connection.close()
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.process.pid, signal.SIGKILL)  # with whatever it started itself

    def wait(self, seconds: float = _GRACE_S) -> None:
        """Wait until the process has ended. One that a dead mount holds does not, until the mount is back."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(seconds)

    def close(self) -> None:
        """Forget what it said."""
        self._said.close()

    def epitaph(self) -> str:
        """Say how the process ended; it must have closed its end."""
        self.wait()
        code = self.process.poll()
        end = self._said.seek(0, os.SEEK_END)
        self._said.seek(max(0, end - 4096))
        lines = [line.strip() for line in self._said.read().decode(errors="replace").splitlines() if line.strip()]
        said = f": {redact(lines[-1])[:_SAID]}" if lines else ""
        if code == -signal.SIGKILL:
            return "it was killed, as Linux does when memory runs out"
        if code is not None and code < 0:
            name = signal.Signals(-code).name if -code in list(signal.Signals) else f"signal {-code}"
            return f"it crashed with {name}{said}"
        return f"it ended with code {code}{said}"


@dataclass
class Slot:
    """A place for a worker: one GPU, or one share of the cores.

    Attributes:
        settings: arguments of the worker's role.
        deaths: how often one died here before it was ready, in a row.
    """

    settings: dict[str, Any]
    worker: Worker | None = None
    deaths: int = 0


@dataclass
class Pool:
    """Workers of one role, each with up to `ahead` jobs; a worker that dies is replaced, and so is one that hangs.

    A job whose worker died is given out again, to a worker that has nothing else, so that it is known whose fault the
    next death is; after `ATTEMPTS` deaths it is given up.

    Attributes:
        role: see `Worker`.
        slots: where workers may run; those that are not needed are not started.
        ahead: jobs that a worker has at a time.
        variables: of the workers' environment.
        message: what is sent to a worker for a job.
        give_up: the result of a job that its workers died of; gets the reason.
        on_frames: told of each call of the network.
        stall_s: seconds of silence after which a worker counts as dead. It starts when it is ready.
        watched: whether a worker says something now and then as it does a job; else it may be silent for ever.
        feed: jobs to do; None once there are no more.
        results: of jobs done, until somebody takes them.
    """

    role: str
    slots: Sequence[Slot]
    ahead: int
    variables: dict[str, str]
    message: Callable[[Worker, Any], Any]
    give_up: Callable[[Any, str], Any]
    on_frames: Callable[[int], None] = lambda frames: None
    stall_s: float = STALL_S
    watched: Callable[[Any], bool] = lambda job: True
    feed: Iterator[Any] | None = None
    waiting: deque[Task] = field(default_factory=deque)
    results: deque[Any] = field(default_factory=deque)

    @property
    def busy(self) -> bool:
        """Whether jobs wait or are under way."""
        return bool(self.waiting) or self.feed is not None or any(worker.tasks for worker in self._workers())

    def _workers(self) -> list[Worker]:
        return [slot.worker for slot in self.slots if slot.worker is not None]

    def add(self, job: Any) -> None:
        """Queue a job."""
        self.waiting.append(Task(job))

    def connections(self) -> dict[Any, Slot]:
        """Return where something may arrive."""
        return {slot.worker.connection: slot for slot in self.slots if slot.worker is not None}

    def give_out(self) -> None:
        """Start the workers that are needed, and give them jobs.

        Raises:
            GcposeError: no worker can be started.
        """
        self._take(len(self.slots) * self.ahead)
        under_way = sum(len(worker.tasks) for worker in self._workers())
        missing = min(len(self.slots), under_way + len(self.waiting)) - len(self._workers())
        for slot in self.slots:
            if missing > 0 and slot.worker is None:
                slot.worker = Worker(self.role, slot.settings, self.variables)
                missing -= 1
        for depth in range(self.ahead):
            for worker in self._workers():
                if worker.ready and len(worker.tasks) == depth:
                    self._give(worker)

    def _take(self, wanted: int) -> None:
        while self.feed is not None and len(self.waiting) < wanted:
            try:
                self.waiting.append(Task(next(self.feed)))
            except StopIteration:
                self.feed = None

    def _give(self, worker: Worker) -> None:
        if any(task.deaths for task in worker.tasks):
            return
        task = next((task for task in self.waiting if not (task.deaths and worker.tasks)), None)
        if task is not None:
            self.waiting.remove(task)
            if not worker.tasks:
                worker.quiet = 0.0
            worker.tasks.append(task)
            with contextlib.suppress(OSError):  # it died; its end of the connection says so
                worker.connection.send(self.message(worker, task.job))

    def receive(self, slot: Slot) -> None:
        """Take what a worker says, or see that it died.

        Raises:
            GcposeError: what a worker cannot go on for, or workers die before they can do anything.
        """
        worker = slot.worker
        assert worker is not None
        try:
            kind, value = worker.connection.recv()
        except (EOFError, OSError):
            self._bury(slot, worker, worker.epitaph())
            return
        worker.quiet = 0.0
        if kind == "ready":
            worker.ready, slot.deaths = True, 0
        elif kind == "frames":
            self.on_frames(value)
        elif kind == "alive":
            return
        elif kind == "done":
            worker.tasks.pop(0)
            self.results.append(value)
        else:
            raise GcposeError(value)

    def watch(self, seconds: float) -> None:
        """End the workers that hang.

        Args:
            seconds: that were spent waiting for them, and for nothing else, since the last call. Not a clock's: that
                goes on while this process is stopped, or the machine suspended, and nobody listens.
        """
        for slot in list(self.slots):
            worker = slot.worker
            if worker is None or not worker.ready or not worker.tasks or not self.watched(worker.tasks[0].job):
                continue
            worker.quiet += seconds
            if worker.quiet >= self.stall_s:
                self._bury(slot, worker, f"nothing came from it for {self.stall_s:g} s")

    def _bury(self, slot: Slot, worker: Worker, why: str) -> None:
        slot.worker = None
        worker.kill()
        worker.wait()
        worker.close()
        if not worker.ready:
            self._count_start(slot, why)
        for task in reversed(worker.tasks):
            task.deaths, task.why = task.deaths + 1, why
            if task.deaths < ATTEMPTS:
                self.waiting.appendleft(task)
            else:
                self.results.append(self.give_up(task.job, why))

    def _count_start(self, slot: Slot, why: str) -> None:
        """Do without a place where workers die as they start, as long as there is another."""
        slot.deaths += 1
        if slot.deaths < ATTEMPTS:
            return
        self.slots = [other for other in self.slots if other is not slot]
        if not self.slots:
            raise GcposeError(
                f"workers die as they start ({why}); use fewer --workers or a smaller --size, and run the same "
                "command again"
            )

    def end(self) -> None:
        """End all workers, in seconds also where some hang; harmless if there are none."""
        workers = self._workers()
        for slot in self.slots:
            slot.worker = None
        for worker in workers:
            worker.connection.close()  # all of them notice at the same time
        deadline = time.monotonic() + _GRACE_S
        for worker in workers:
            if self.role == "files" and worker.tasks:
                worker.wait(max(0.0, deadline - time.monotonic()))  # it removes what it has half written
        for worker in workers:
            worker.kill()
        deadline = time.monotonic() + _GRACE_S
        for worker in workers:
            worker.wait(max(0.0, deadline - time.monotonic()))
            worker.close()
        self.waiting.clear()
        self.feed = None
