"""Settings of Ray Data for decoded video, and what the process that started the batch does with the rows that come."""

from __future__ import annotations

import contextlib
import math
import pickle
import warnings
from collections.abc import Generator, Iterator, Sequence
from typing import Any

import numpy as np

from gcpose_trt.batch.types import ChunkPoses, SegmentJob, SegmentPoses, join
from gcpose_trt.errors import GcposeError
from gcpose_trt.runtime.preprocess import SizeRule, fit

# A decoder's output waits in blocks of about this size: small enough that many lie in an object store at once, large
# enough that the one process that schedules all blocks has few of them to look after.
BLOCK_BYTES = 64 * 2**20
# Little work makes smaller blocks, so that it is spread over all networks.
_LEAST_BYTES = 4 * 2**20
_BLOCKS_A_NETWORK = 4

_Key = tuple[str, int]


def block_bytes(jobs: Sequence[SegmentJob], rule: SizeRule | None, networks: int) -> int:
    """Return how large blocks of decoded frames are to become.

    Args:
        jobs: all that there is to do, as far as its size is known.
        rule: how decoders resize frames; None for whole ones.
        networks: how many are to have work.
    """
    total = 0.0
    for plan in (job.plan for job in jobs):
        if plan.frames is None or plan.size is None:
            return BLOCK_BYTES
        pixels = math.prod(plan.size)
        if rule is not None:
            pixels = min(pixels, math.prod(fit(plan.size, rule).content))
        total += 3 * pixels * plan.frames / len(plan.segments)
    return min(BLOCK_BYTES, max(_LEAST_BYTES, int(total / networks / _BLOCKS_A_NETWORK)))


@contextlib.contextmanager
def settings(ray: Any, stall_s: float, block_size: int) -> Iterator[None]:
    """Make datasets that are built inside as a batch needs them; they keep the settings.

    Args:
        ray: the module.
        stall_s: seconds without progress until Ray Data gives up.
        block_size: bytes of a block, more or less.
    """
    context = ray.data.DataContext.get_current()
    wanted = {
        "target_max_block_size": block_size,
        # A block whose tasks keep dying is left out; what comes of it is noticed as missing, and given out again.
        "max_errored_blocks": -1,
        "max_consecutive_actor_init_deaths": 8,  # machines that go while a network is opened there
        "execution_no_progress_timeout_s": stall_s,
    }
    before = {name: getattr(context, name) for name in wanted if hasattr(context, name)}
    for name in before:
        setattr(context, name, wanted[name])
    try:
        with warnings.catch_warnings():
            # How often a task is repeated can be said in no other way than by what Ray 2.64 will no longer take.
            warnings.simplefilter("ignore")
            yield
    finally:
        for name, value in before.items():
            setattr(context, name, value)


def read_chunks(dataset: Any) -> Iterator[ChunkPoses]:
    """Run a dataset and yield its chunks as they come.

    Raises:
        GcposeError: a worker cannot open the model.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that there are fewer segments than networks
        rows: Generator[dict[str, Any], None, None] = iter(dataset.iter_rows())
    with contextlib.closing(rows):
        for row in rows:
            chunk = pickle.loads(row["poses"])
            if isinstance(chunk, str):
                raise GcposeError(chunk)
            yield chunk


class Gathering:
    """Puts segments together; chunks come in any order, and some twice, when Ray has done a task again.

    Args:
        wanted: source and index of the segments that are to come.
    """

    def __init__(self, wanted: set[_Key]) -> None:
        self._wanted = set(wanted)
        self._parts: dict[_Key, dict[int, ChunkPoses]] = {}

    def add(self, chunk: ChunkPoses) -> Iterator[SegmentPoses]:
        """Yield the segment that `chunk` completes, if it does."""
        key = (chunk.source_id, chunk.segment)
        if not self.is_new(chunk):
            return
        parts = self._parts.setdefault(key, {})
        parts[chunk.number] = chunk
        if any(part.last and part.number == len(parts) - 1 for part in parts.values()):
            self._wanted.remove(key)
            yield _whole(self._parts.pop(key))

    def is_new(self, chunk: ChunkPoses) -> bool:
        """Say whether a chunk has not come before."""
        key = (chunk.source_id, chunk.segment)
        return key in self._wanted and chunk.number not in self._parts.get(key, {})


def _whole(parts: dict[int, ChunkPoses]) -> SegmentPoses:
    """Return a segment of its chunks; one whose network failed for some frames has none, and says why."""
    failed = [part for part in parts.values() if part.failure is not None and len(part.poses) != len(part.ordinals)]
    if not failed:
        return join(parts.values())
    first = min(failed, key=lambda part: part.number)
    return failed_segment((first.source_id, first.segment), str(first.failure))


def failed_segment(key: _Key, reason: str) -> SegmentPoses:
    """Return a segment of which nothing came; the next run tries it again."""
    return SegmentPoses(*key, [], [], np.zeros(0, np.int64), np.zeros(0, np.float64), (), reason, True)
