"""A batch from its inputs to its table: what is done already, what is left, and who does it."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from gcpose_trt.batch import sources_table
from gcpose_trt.batch.inputs import expand
from gcpose_trt.batch.local import LocalExecutor
from gcpose_trt.batch.progress import Progress, Silent
from gcpose_trt.batch.recipe import make_recipe
from gcpose_trt.batch.store import Store
from gcpose_trt.batch.summary import Summary
from gcpose_trt.batch.types import (
    Executor,
    Finished,
    FinishJob,
    Outcome,
    PlanJob,
    Recipe,
    SegmentJob,
    SegmentPoses,
    SourceFailure,
    SourcePlan,
    SourceSpec,
)
from gcpose_trt.engine.process import terminable
from gcpose_trt.errors import GcposeError

MakeExecutor = Callable[[Recipe, Callable[[int], None]], Executor]


def run_batch(
    inputs: Sequence[str | os.PathLike[str]],
    output: str | os.PathLike[str],
    *,
    workers: int | None = None,
    device: str | None = None,
    executor: MakeExecutor | None = None,
    fresh: bool = False,
    log: Callable[[str], None] = lambda line: None,
    progress: Progress | None = None,
    **options: Any,
) -> Summary:
    """Find the people of many videos and pictures; go on where an earlier call for the same folder ended.

    Args:
        inputs: videos, pictures, folders, patterns, manifests or addresses; see `inputs.expand`.
        output: folder of the results; see `store` for what is in it.
        workers: networks at a time on this machine; None takes one a GPU or a core.
        device: "cpu" or one GPU ("cuda:1"); None takes all.
        executor: makes what does the work, from the recipe and from what is to be told of frames done; None takes
            processes of this machine.
        fresh: begin anew: what an earlier batch left in the folder is removed.
        log: told a line now and then.
        progress: told how it gets on.
        **options: what the results depend on; see `recipe.make_recipe`.

    Returns:
        What it came to. Ctrl-C and SIGTERM end it in order: the summary says so, and the same call goes on.

    Raises:
        GcposeError: a bad option, another batch in the folder, or the results cannot be written; what was recorded
            stays, and the same call goes on.
        MissingDependencyError: the extra "batch" is not installed.

    Example:
        >>> from gcpose_trt.batch import run_batch
        >>> summary = run_batch(["videos/"], "poses", model="mobile", precision="int8")  # doctest: +SKIP
        >>> [failure.reason for failure in summary.failures]  # doctest: +SKIP
        []
    """
    start = time.monotonic()
    shown = progress or Silent()
    recipe = make_recipe(device=device, **options)
    specs, failures = expand([os.fspath(name) for name in inputs])
    with Store(output) as store:
        specs = [spec for spec in specs if not _is_own(spec, store.folder)]
        if store.open(recipe, fresh):
            log("going on with the batch that is there")
        batch = _Batch(store, recipe, specs, shown)
        make: MakeExecutor = executor or (lambda recipe, on_frames: LocalExecutor(recipe, workers, device, on_frames))
        interrupted = _run(batch, make, failures)
        return Summary(
            store.folder,
            batch.finished,
            batch.skipped,
            [*failures, *batch.failures],
            len(specs) + len(failures),
            batch.frames,
            time.monotonic() - start,
            interrupted,
        )


def _run(batch: _Batch, make: MakeExecutor, failures: Sequence[SourceFailure]) -> bool:
    """Run a batch, write its table of sources however it ends, and return whether it was interrupted."""
    try:
        with terminable():
            if batch.look():
                with make(batch.recipe, batch.progress.frames) as executor:
                    batch.run(executor)
    except KeyboardInterrupt:
        batch.write_table(failures)
        return True
    except GcposeError:
        with contextlib.suppress(GcposeError):  # the disk is full, perhaps: that was said already
            batch.write_table(failures)
        raise
    batch.write_table(failures)
    return False


def _is_own(spec: SourceSpec, output: Path) -> bool:
    """Say whether a source is a result of the batch, whose folder may lie in that of the inputs."""
    own = os.path.realpath(output) + os.sep
    first = spec.files[0] if spec.files else spec.uri
    return "://" not in first and os.path.realpath(first).startswith(own)


@dataclass
class _Source:
    """A source under way.

    Attributes:
        missing: segments that have not come.
        lost: why some will not come in this run.
    """

    plan: SourcePlan
    missing: set[int]
    lost: str | None = None


class _Batch:
    """One run: which sources are finished, under way and failed."""

    def __init__(self, store: Store, recipe: Recipe, specs: Sequence[SourceSpec], progress: Progress) -> None:
        self.recipe, self.progress = recipe, progress
        self._store, self._specs = store, specs
        self._todo: list[SourceSpec] = []
        self._sources: dict[str, _Source] = {}
        self._pending = 0  # jobs submitted whose outcome has not come
        self._done_before = 0  # frames of segments that an earlier run recorded
        self.finished: list[Finished] = []
        self.skipped: list[Finished] = []
        self.failures: list[SourceFailure] = []
        self.frames = 0

    def look(self) -> bool:
        """See what is finished; return whether something is left to do."""
        for spec in self._specs:
            done = self._store.finished(spec)
            if done is not None:
                self.skipped.append(done)
            else:
                self._todo.append(spec)
        return bool(self._todo)

    def run(self, executor: Executor) -> None:
        """Plan all sources that are left, then do their segments source by source, each finished as soon as it can."""
        self._plan(executor)
        ready = [source for source in self._sources.values() if not source.missing]
        jobs = [
            SegmentJob(source.plan, segment, self.recipe)
            for source in self._sources.values()
            for segment in source.plan.segments
            if segment.index in source.missing
        ]
        known = [source.plan.frames for source in self._sources.values()]
        total = None if None in known else sum(count or 0 for count in known)
        self.progress.start(total, self._done_before, len(jobs), len(self._sources))
        for source in ready:
            self._finish(executor, source)
        with contextlib.closing(_generator(executor.estimate(jobs))) as segments:
            for poses in segments:
                self._record(executor, poses)
                self._settle(executor.collect(wait=False))
        while self._pending:
            self._settle(executor.collect(wait=True))

    def _plan(self, executor: Executor) -> None:
        plans: dict[str, SourcePlan] = {}
        for spec in self._todo:
            plan = self._store.plan(spec.id)
            if plan is not None and plan.spec == spec:
                plans[spec.id] = replace(plan, spec=spec)  # a record lacks the secrets of links
            else:  # new, or changed since
                self._store.forget(spec.id)
                executor.submit(PlanJob(spec, self.recipe))
                self._pending += 1
        while self._pending:
            for outcome in executor.collect(wait=True):
                self._pending -= 1
                if isinstance(outcome, SourcePlan):
                    self._store.write_plan(outcome)
                    plans[outcome.spec.id] = outcome
                elif isinstance(outcome, SourceFailure):
                    self._fail(outcome)
        for spec in self._todo:  # in the order in which they were named, whatever order their plans came in
            if spec.id in plans:
                plan = plans[spec.id]
                self._sources[spec.id] = _Source(plan, {segment.index for segment in plan.segments} - self._there(plan))

    def _there(self, plan: SourcePlan) -> set[int]:
        """Return the segments that an earlier run recorded; those that could not be read are tried again."""
        there = set()
        for poses in self._store.recorded(plan):
            if poses.failure is None:
                there.add(poses.segment)
                self._done_before += len(poses.poses)
        return there

    def _record(self, executor: Executor, poses: SegmentPoses) -> None:
        source = self._sources[poses.source_id]
        if poses.again:
            where = f"segment {poses.segment + 1} of {len(source.plan.segments)}: "
            source.lost = source.lost or f"{where if len(source.plan.segments) > 1 else ''}{poses.failure}"
        else:
            self._store.write_segment(poses)
            self.frames += len(poses.poses)
        self.progress.segment(sum(len(frame) for frame in poses.poses))
        source.missing.discard(poses.segment)
        if not source.missing:
            self._finish(executor, source)

    def _finish(self, executor: Executor, source: _Source) -> None:
        spec = source.plan.spec
        if source.lost is not None:
            self._fail(SourceFailure(spec.uri, source.lost, spec.id))
            self.progress.source(0)
            return
        video = self._store.video_path(spec.id) if self.recipe.annotate and spec.kind == "video" else None
        segments = tuple(str(path) for path in self._store.segment_paths(source.plan))
        part = str(self._store.part_path(spec.id))
        executor.submit(FinishJob(source.plan, self.recipe, segments, part, None if video is None else str(video)))
        self._pending += 1

    def _settle(self, outcomes: Sequence[Outcome]) -> None:
        for outcome in outcomes:
            self._pending -= 1
            more = 0
            if isinstance(outcome, Finished):
                self._store.write_finished(outcome)
                self.finished.append(outcome)
                more = outcome.frames - (self._sources[outcome.spec.id].plan.frames or 0)
            elif isinstance(outcome, SourceFailure):
                self._fail(outcome)
            self.progress.source(more)

    def _fail(self, failure: SourceFailure) -> None:
        self._store.write_failure(failure)
        self.failures.append(failure)

    def write_table(self, failures: Sequence[SourceFailure]) -> None:
        """Write a row for each source of this run and of earlier ones that has come to an end."""
        finished = self._store.results()
        there = {done.spec.id for done in finished}
        failed = [failure for failure in self._store.failures() if failure.id not in there]
        sources_table.write(self._store.sources_path, [*finished, *failed, *failures])


def _generator(segments: Iterator[SegmentPoses]) -> Any:
    """Return a generator that ends when it is closed, whatever kind of iterator an executor gives."""
    yield from segments
