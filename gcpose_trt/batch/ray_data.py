"""A batch on a Ray cluster, by Ray Data: segments are decoded on CPUs and go through a pool of networks."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from types import TracebackType
from typing import Any

from gcpose_trt.batch.processes import ATTEMPTS, STALL_S
from gcpose_trt.batch.ray_cluster import Shape, choose_shape, joined
from gcpose_trt.batch.ray_jobs import FileJobs
from gcpose_trt.batch.ray_stages import Run, decode, pack_job
from gcpose_trt.batch.ray_streaming import Gathering, block_bytes, failed_segment, read_chunks, settings
from gcpose_trt.batch.recipe import host_rule
from gcpose_trt.batch.types import FinishJob, Outcome, PlanJob, Recipe, SegmentJob, SegmentPoses
from gcpose_trt.batch.worker import Network, explain
from gcpose_trt.errors import GcposeError
from gcpose_trt.runtime.preprocess import SizeRule

_Key = tuple[str, int]

_MOST_TASKS = 10_000  # of a round; more segments than that share tasks, so that the list of tasks stays small
_RETRIES = 1  # of a task by Ray, in each round


class RayExecutor:
    """Workers of a Ray cluster; see `Executor`. It joins the cluster when it is entered, and never stops it.

    Every machine of the cluster needs this package, the model's files at the same path, and the inputs: in a shared
    folder or an object store. A machine that lacks a file fails that source, and says so. The output's folder is seen
    by this process alone.

    Decoders resize frames where networks would do it on a CPU, to the same bytes: then what travels is what the network
    takes. Engines of TensorRT get whole frames, which they resize on the GPU.

    Back-pressure is Ray Data's: a decoding task stops when two of its blocks (64 MiB, or less where there is little to
    do) are not taken yet, and no more tasks are started than their share of the object store has room for.

    What is lost with a process or a machine is done again. Ray starts the actor elsewhere, repeats tasks and decodes
    blocks again that were lost; where it gives up, or where nothing moves for `stall_s` (networks that hold all CPUs
    of what is left of a cluster), the segments that have not come are given out once more, to as many networks as fit
    by then. A segment that did not come in three such rounds is that segment's failure: it keeps killing its worker. If
    Ray Data itself fails three times and nothing came in between, the run ends; the same command goes on.

    Args:
        recipe: what the networks are.
        address: "auto" for the cluster of this machine, or HOST:PORT of its head.
        workers: networks at a time; None takes one a GPU, or on CPUs all cores but one in eight, which decode.
        cpus_per_worker: cores of each; None takes `recipe.threads`, 1 beside a GPU.
        gpus_per_worker: GPUs of each, may be a fraction; None takes 1 where the backend runs on GPUs.
        decoders: decoding tasks at a time, a core each; None leaves it to Ray Data.
        on_frames: told how many frames the network is done with, as they come; some twice when something was lost.
        network: opens what finds people, by reference so that it can be pickled; None takes `Inference`. It is given
            frames that are resized already, `Placed`, unless the backend is tensorrt.
        stall_s: seconds without any progress after which segments are given out again.

    Attributes:
        workers: networks at a time.

    Raises:
        GcposeError: on entering, no cluster answers, nothing fits on it, or the model is gone.
        MissingDependencyError: Ray is not installed.
    """

    def __init__(
        self,
        recipe: Recipe,
        address: str = "auto",
        workers: int | None = None,
        cpus_per_worker: float | None = None,
        gpus_per_worker: float | None = None,
        decoders: int | None = None,
        on_frames: Callable[[int], None] = lambda frames: None,
        network: Network | None = None,
        stall_s: float = STALL_S,
    ) -> None:
        self._recipe = recipe
        self._address = address
        self._wishes = (workers, cpus_per_worker, gpus_per_worker, decoders)
        self._on_frames = on_frames
        self._network = network
        self._stall_s = stall_s
        self._stack = contextlib.ExitStack()
        self._ray: Any = None
        self._files: FileJobs
        self._rule: SizeRule | None = None
        self.workers = workers or 0

    def __enter__(self) -> RayExecutor:
        self._rule = host_rule(self._recipe)
        with contextlib.ExitStack() as stack:
            self._ray = stack.enter_context(joined(self._address))
            shape = self._shape()
            self.workers = shape.workers
            self._files = FileJobs(self._ray, shape.files)
            self._stack = stack.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()

    def submit(self, job: PlanJob | FinishJob) -> None:
        """See `Executor.submit`."""
        self._files.submit(job)

    def collect(self, wait: bool) -> list[Outcome]:
        """See `Executor.collect`."""
        try:
            return self._files.collect(wait)
        except self._ray.exceptions.RayError as error:
            raise _lost(error) from error

    def estimate(self, jobs: Iterable[SegmentJob]) -> Iterator[SegmentPoses]:
        """See `Executor.estimate`."""
        missing = {(job.plan.spec.id, job.segment.index): job for job in jobs}
        rounds = dict.fromkeys(missing, 0)
        broken = 0  # rounds that Ray Data ended with an error, in a row, in which nothing came
        careful = False
        while missing:
            before = len(missing)
            error: Exception | None = None
            try:
                with contextlib.closing(self._round(list(missing.values()), careful)) as segments:
                    for segment in segments:
                        del missing[segment.source_id, segment.segment]
                        yield segment
            except GcposeError:
                raise
            except Exception as caught:  # of Ray and Ray Data, which raise what they like
                error = caught
            careful = True
            broken = broken + 1 if error is not None and len(missing) == before else 0
            if error is not None:
                if broken == ATTEMPTS:
                    raise _lost(error) from error
                continue
            for key in missing:
                rounds[key] += 1
            for key in [key for key in missing if rounds[key] == ATTEMPTS]:
                del missing[key]
                yield _given_up(key)

    def _shape(self) -> Shape:
        return choose_shape(self._recipe, self._ray.nodes(), *self._wishes)

    def _round(self, jobs: Sequence[SegmentJob], careful: bool) -> Generator[SegmentPoses, None, None]:
        """Yield the segments that Ray Data returns, each once.

        Args:
            jobs: what to do.
            careful: give a network one block at a time, so that one that dies takes no other segment with it.
        """
        gathering = Gathering({(job.plan.spec.id, job.segment.index) for job in jobs})
        shape = self._shape()
        with settings(self._ray, self._stall_s, block_bytes(jobs, self._rule, shape.workers)):
            dataset = self._pipeline(jobs, shape, careful)
        for chunk in read_chunks(dataset):
            if gathering.is_new(chunk):
                self._on_frames(len(chunk.poses))
            yield from gathering.add(chunk)

    def _pipeline(self, jobs: Sequence[SegmentJob], shape: Shape, careful: bool) -> Any:
        from ray.data import ActorPoolStrategy, TaskPoolStrategy

        device = None if self._recipe.backend == "onnxruntime" else "cuda" if shape.gpus else "cpu"
        pool = ActorPoolStrategy(
            # One is enough to go on with: what is left of a cluster may have no room for more beside a decoder.
            min_size=1,
            initial_size=shape.start,
            # After a fault no more than fit beside a decoder: what is left of a cluster must not fill up with networks
            # that wait for frames that nobody has the room to decode.
            max_size=shape.start if careful else shape.workers,
            max_tasks_in_flight_per_actor=1 if careful else 2,
        )
        rows = [dict(zip(("job", "moved"), pack_job(job), strict=True)) for job in jobs]
        segments = self._ray.data.from_items(rows, override_num_blocks=min(len(rows), _MOST_TASKS))
        # Ray Data repeats tasks without end, unless told otherwise. That the two stages are told different things
        # also keeps it from making one of them.
        decoded = segments.flat_map(
            decode,
            fn_args=(self._rule,),
            compute=TaskPoolStrategy(shape.decoders),
            num_cpus=1,
            max_retries=_RETRIES,
            scheduling_strategy="SPREAD",
        )
        return decoded.map_batches(
            Run,
            batch_size=None,
            batch_format="pyarrow",
            zero_copy_batch=True,
            fn_constructor_args=(self._recipe, device, self._network),
            compute=pool,
            num_cpus=shape.cpus,
            num_gpus=shape.gpus,
            max_restarts=-1,
            max_task_retries=_RETRIES,
        )


def _given_up(key: _Key) -> SegmentPoses:
    reason = (
        f"its worker died {ATTEMPTS} times; convert the file, or use fewer --workers, and run the same command again"
    )
    return failed_segment(key, reason)


def _lost(error: Exception) -> GcposeError:
    return GcposeError(f"the Ray cluster failed ({explain(error)}); see `ray status`, then run the same command again")
