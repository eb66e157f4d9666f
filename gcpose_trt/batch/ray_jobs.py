"""Planning and finishing of sources as tasks of a Ray cluster; files travel as bytes, since machines share no disk."""

from __future__ import annotations

import contextlib
import tempfile
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from gcpose_trt.batch.processes import ATTEMPTS
from gcpose_trt.batch.ray_cluster import address_of_this_node
from gcpose_trt.batch.ray_stages import absent
from gcpose_trt.batch.types import FinishJob, Outcome, PlanJob, SourceFailure
from gcpose_trt.batch.worker import do_file_job, explain
from gcpose_trt.errors import GcposeError
from gcpose_trt.files import atomic_write

PIECE = 16 * 2**20  # bytes of a file that travel together

# What a task yields: ("outcome", Outcome) or ("error", line) first, then ("part" or "video", bytes) in order.
_Word = tuple[str, Any]


@dataclass
class _Task:
    job: PlanJob | FinishJob
    words: Any  # generator of references to _Word
    deaths: int = 0


class FileJobs:
    """Queue of planning and finishing tasks.

    A task whose worker or machine is lost is done again, at most 3 times in all; then it is its source's failure.

    Args:
        ray: the module, joined to a cluster.
        most: tasks at a time; others wait here, so that files are read only when it is their turn.
    """

    def __init__(self, ray: Any, most: int) -> None:
        self._ray = ray
        self._most = most
        self._waiting: deque[tuple[PlanJob | FinishJob, int]] = deque()
        self._running: list[_Task] = []
        # Retried here, not by Ray: a generator done again by Ray has to yield the same pieces, and an MP4 may differ.
        self._remote = ray.remote(num_cpus=1, max_retries=0)(work)

    def submit(self, job: PlanJob | FinishJob) -> None:
        """See `Executor.submit`."""
        self._waiting.append((job, 0))
        self._launch()

    def collect(self, wait: bool) -> list[Outcome]:
        """See `Executor.collect`."""
        done: list[Outcome] = []
        self._launch()
        while self._running:
            heads = {task.words: task for task in self._running}
            timeout = None if wait and not done else 0
            ready, _ = self._ray.wait(list(heads), num_returns=1, timeout=timeout)
            if not ready:
                break
            task = heads[ready[0]]
            self._running.remove(task)
            done += self._take(task)
            self._launch()
        return done

    def _launch(self) -> None:
        while self._waiting and len(self._running) < self._most:
            job, deaths = self._waiting.popleft()
            segments = self._put(job.segments) if isinstance(job, FinishJob) else []
            self._running.append(_Task(job, self._remote.remote(job, segments), deaths))

    def _put(self, paths: Sequence[str]) -> list[Any]:
        try:
            return [self._ray.put(Path(path).read_bytes()) for path in paths]
        except OSError as error:
            raise GcposeError(f"cannot read {error.filename} ({error.strerror}); run the same command again") from error

    def _take(self, task: _Task) -> list[Outcome]:
        """Return what came of a task, its files written; nothing if it is to be done again."""
        try:
            return [_receive(task.job, (self._ray.get(word) for word in task.words))]
        except self._ray.exceptions.RayError as error:  # a lost process or machine: errors of ours are words
            why = explain(error)
        deaths = task.deaths + 1
        if deaths < ATTEMPTS:
            self._waiting.append((task.job, deaths))
            return []
        spec = task.job.spec if isinstance(task.job, PlanJob) else task.job.plan.spec
        reason = f"its worker died {ATTEMPTS} times ({why}); convert the file, and run the same command again"
        return [SourceFailure(spec.uri, reason, spec.id)]


def _receive(job: PlanJob | FinishJob, words: Iterator[_Word]) -> Outcome:
    """Write the files of a job where they belong, each whole or not at all.

    Raises:
        GcposeError: a file cannot be written, here or there.
    """
    kind, outcome = next(words)
    if kind == "error":
        raise GcposeError(outcome)
    if not isinstance(job, FinishJob) or isinstance(outcome, SourceFailure):
        return outcome
    with contextlib.ExitStack() as stack:
        streams = {"part": stack.enter_context(atomic_write(job.part))}
        if job.video is not None:
            streams["video"] = stack.enter_context(atomic_write(job.video))
        for kind, piece in words:
            streams[kind].write(piece)
    return outcome


def work(job: PlanJob | FinishJob, segments: Sequence[Any]) -> Iterator[_Word]:
    """Do a job, as a task of Ray.

    Args:
        job: a FinishJob's paths mean nothing here, the machine has a disk of its own.
        segments: references to the contents of a FinishJob's files.
    """
    lacking = absent(job.spec) if isinstance(job, PlanJob) else None
    if lacking is not None:
        assert isinstance(job, PlanJob)
        yield "outcome", SourceFailure(job.spec.uri, lacking, job.spec.id)
        return
    try:
        with tempfile.TemporaryDirectory(prefix="gcpose-") as folder:
            moved = job if isinstance(job, PlanJob) else _move(job, segments, Path(folder))
            yield "outcome", do_file_job(moved)
            if isinstance(moved, FinishJob):
                yield from _pieces("part", moved.part)
                yield from _pieces("video", moved.video)
    except GcposeError as error:
        yield "error", _there(str(error))
    except OSError as error:
        yield "error", _there(f"cannot write {error.filename} ({error.strerror}); free some space in its TMPDIR")


def _there(line: str) -> str:
    return f"on the machine {address_of_this_node()} of the Ray cluster: {line}"


def _move(job: FinishJob, segments: Sequence[Any], folder: Path) -> FinishJob:
    """Return a job whose files are in a folder of this machine."""
    import ray

    paths = []
    for path, reference in zip(job.segments, segments, strict=True):
        paths.append(folder / Path(path).name)
        paths[-1].write_bytes(ray.get(reference))
    video = None if job.video is None else str(folder / "video.mp4")
    return replace(job, segments=tuple(map(str, paths)), part=str(folder / "part.parquet"), video=video)


def _pieces(kind: str, path: str | None) -> Iterator[_Word]:
    if path is None or not Path(path).exists():  # a failure has no files
        return
    with Path(path).open("rb") as stream:
        while piece := stream.read(PIECE):
            yield kind, piece
