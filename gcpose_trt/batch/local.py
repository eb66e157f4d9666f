"""A batch on this machine: one process a GPU or a core, and some more that cut and finish sources."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from multiprocessing.connection import wait as wait_for
from types import TracebackType
from typing import Any

import numpy as np

from gcpose_trt.batch.devices import choose_devices, cores
from gcpose_trt.batch.processes import ATTEMPTS, STALL_S, Pool, Slot, Worker
from gcpose_trt.batch.types import (
    FinishJob,
    Outcome,
    PlanJob,
    Recipe,
    SegmentJob,
    SegmentPoses,
    SourceFailure,
)
from gcpose_trt.batch.worker import Network

_MOST_FILE_WORKERS = 8
_TICK_S = 5.0  # of waiting at a time


class LocalExecutor:
    """Processes of this machine; see `Executor`.

    Any of them may die: its job is given out again, at most 3 times in all. One that has work and says nothing for
    `stall_s` (a codec that loops, a mount that is stuck) is killed and counts as dead; opening the model takes as long
    as it takes, and so does finishing a source, whose MP4 is rewritten in silence at its end. They end with this
    process, however it ends.

    Args:
        recipe: what the networks are.
        workers: networks at a time; None takes one a GPU, or one for each `recipe.threads` cores.
        device: "cpu" or one GPU ("cuda:1"); None takes all.
        on_frames: told how many frames the network is done with, as they come; some may come twice when a worker died.
        network: opens what finds people, by reference so that it can be pickled; None takes `Inference`.
        stall_s: seconds without a frame decoded, a block read or a call of the network that a worker may take.

    Attributes:
        workers: networks at a time.

    Raises:
        GcposeError: no such device.
    """

    def __init__(
        self,
        recipe: Recipe,
        workers: int | None = None,
        device: str | None = None,
        on_frames: Callable[[int], None] = lambda frames: None,
        network: Network | None = None,
        stall_s: float = STALL_S,
    ) -> None:
        devices = choose_devices(recipe, workers, device)
        self.workers = len(devices)
        variables = {"OPENCV_LOG_LEVEL": "SILENT", "OMP_WAIT_POLICY": "passive"}
        if recipe.threads is not None:
            variables["OMP_NUM_THREADS"] = str(recipe.threads)
        settings = [{"recipe": recipe, "device": device, "network": network} for device in devices]
        self._networks = Pool(
            "network", [Slot(words) for words in settings], 2, variables, _words, _lost_segment, on_frames, stall_s
        )
        files = max(1, min(_MOST_FILE_WORKERS, cores() // 2))
        self._files = Pool(
            "files",
            [Slot({}) for _ in range(files)],
            1,
            variables,
            lambda _, job: job,
            _lost_source,
            stall_s=stall_s,
            watched=lambda job: isinstance(job, PlanJob),
        )
        self._tick_s = min(_TICK_S, stall_s / 4)

    def submit(self, job: PlanJob | FinishJob) -> None:
        """See `Executor.submit`."""
        self._files.add(job)

    def collect(self, wait: bool) -> list[Outcome]:
        """See `Executor.collect`."""
        self._step(wait=False)
        while wait and not self._files.results and self._files.busy:
            self._step(wait=True)
        return _taken(self._files.results)

    def estimate(self, jobs: Iterable[SegmentJob]) -> Iterator[SegmentPoses]:
        """See `Executor.estimate`."""
        self._networks.feed = iter(jobs)
        self._networks.give_out()
        while self._networks.busy or self._networks.results:
            yield from _taken(self._networks.results)
            if self._networks.busy:
                self._step(wait=True)

    def _step(self, wait: bool) -> None:
        """Give out jobs and take what has come; with `wait`, wait until something does."""
        pools: Sequence[Pool] = (self._files, self._networks)
        for pool in pools:
            pool.give_out()
        owners = {connection: (pool, slot) for pool in pools for connection, slot in pool.connections().items()}
        start = time.monotonic()
        waited = wait_for(list(owners), self._tick_s if wait and any(pool.busy for pool in pools) else 0)
        # More than that is no silence of theirs: this process was stopped, or the machine asleep.
        spent = min(time.monotonic() - start, self._tick_s)
        for connection in waited:
            pool, slot = owners[connection]
            pool.receive(slot)
        for pool in pools:
            pool.watch(spent)
        for pool in pools:
            pool.give_out()

    def __enter__(self) -> LocalExecutor:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._networks.end()
        self._files.end()


def _taken(results: Any) -> list[Any]:
    taken = list(results)
    results.clear()
    return taken


def _words(worker: Worker, job: SegmentJob) -> Any:
    """Return what a worker is sent; the plan only once, because it names all pictures of a folder."""
    known = worker.knows == job.plan.spec.id
    worker.knows = job.plan.spec.id
    return (None if known else job.plan, job.segment)


def _lost_segment(job: SegmentJob, why: str) -> SegmentPoses:
    reason = f"its worker died {ATTEMPTS} times ({why}); use fewer --workers, or convert the file, and run again"
    none = np.zeros(0, np.int64)
    return SegmentPoses(job.plan.spec.id, job.segment.index, [], [], none, none.astype(np.float64), (), reason, True)


def _lost_source(job: PlanJob | FinishJob, why: str) -> SourceFailure:
    spec = job.spec if isinstance(job, PlanJob) else job.plan.spec
    return SourceFailure(
        spec.uri, f"its worker died {ATTEMPTS} times ({why}); convert the file, and run the same command again", spec.id
    )
