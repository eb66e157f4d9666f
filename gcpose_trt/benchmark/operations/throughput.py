"""Frames a second with several frames a call, or with several threads that each run frame after frame."""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from gcpose_trt.benchmark.contender import BatchContender, Contender, Image
from gcpose_trt.benchmark.operations.pictures import pictures
from gcpose_trt.errors import GcposeError


def run(contender: Contender, request: dict[str, Any]) -> dict[str, Any]:
    """Measure the frames a second over some frames, after an untimed start.

    Args:
        contender: what runs.
        request: "clip", "indices" (numbers of the frames, in order), and either "batch" (frames a call) or "streams"
            (threads).

    Returns:
        "fps", and "frames", how many were counted; or "left_out" with the reason.
    """
    frames = pictures(request["clip"], tuple(request["indices"]))
    try:
        if "batch" in request:
            return _batches(contender, frames, request["batch"])
        return _streams(contender, frames, request["streams"])
    except GcposeError as error:
        return {"left_out": str(error)}


def _batches(contender: Contender, frames: Sequence[Image], batch: int) -> dict[str, Any]:
    if batch > 1 and not isinstance(contender, BatchContender):
        return {"left_out": "it takes one frame a call"}
    # The last batch is filled up from the front: all calls are of the same size.
    count = -(-len(frames) // batch)
    endless = itertools.cycle(frames)
    calls = [list(itertools.islice(endless, batch)) for _ in range(count)]

    def call(some: list[Image]) -> None:
        if isinstance(contender, BatchContender):
            contender.run_batch(some)
        else:
            contender.run(some[0])

    call(calls[-1])
    start = time.perf_counter()
    for some in calls:
        call(some)
    return _rate(batch * count, time.perf_counter() - start)


def _streams(contender: Contender, frames: Sequence[Image], streams: int) -> dict[str, Any]:
    if streams > 1 and not getattr(contender, "thread_safe", False):
        return {"left_out": "it does not say that several threads may call it at once"}
    count = -(-len(frames) // streams) * streams  # so that every stream does the same number of frames
    endless = itertools.cycle(frames)
    ends = sorted(_finish(contender.run, list(itertools.islice(endless, count + streams)), streams))
    # From the first frame that was done to the one after which the first stream found nothing left to do: at both ends
    # and between them all streams were busy.
    return _rate(count, ends[count] - ends[0])


def _finish(run: Callable[[Image], object], frames: Sequence[Image], streams: int) -> list[float]:
    """Return when each frame was done, with `streams` threads that each take the next one."""
    todo = iter(frames)
    guard = threading.Lock()
    together = threading.Barrier(streams)
    ends: list[float] = []

    def work() -> None:
        together.wait()
        while True:
            with guard:
                frame = next(todo, None)
            if frame is None:
                return
            run(frame)
            ends.append(time.perf_counter())

    with ThreadPoolExecutor(streams) as pool:
        for future in [pool.submit(work) for _ in range(streams)]:
            future.result()
    return ends


def _rate(count: int, seconds: float) -> dict[str, Any]:
    if seconds <= 0:
        raise GcposeError(f"{count} frames took no time by this machine's clock; measure more frames with --frames")
    return {"fps": count / seconds, "frames": count}
