"""The process of one worker: `python -m gcpose_trt.batch.worker FD`, started by `gcpose_trt.batch.processes`.

It speaks pickles over the socket FD. The first message is its role; then come jobs. It answers ("ready", None) once it
can take jobs, ("done", result) for each job, in the order in which they came, ("frames", n) after each call of the
network, ("alive", None) now and then as it gets on with reading and decoding, and ("error", line) when it cannot go on.
When the other side is gone it ends, whatever it is doing.
"""

from __future__ import annotations

import contextlib
import os
import queue
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from multiprocessing.connection import Connection
from typing import Any

from gcpose_trt.batch.addresses import redact
from gcpose_trt.batch.faults import Beat, StorageError, nothing, passes
from gcpose_trt.batch.types import (
    Chunk,
    ChunkPoses,
    FinishJob,
    Outcome,
    PlanJob,
    Recipe,
    Segment,
    SegmentPoses,
    SourceFailure,
    SourcePlan,
    join,
)
from gcpose_trt.errors import GcposeError

_AHEAD = 4  # chunks decoded before the network wants them
_BEAT_S = 0.5  # between two signs of life
_GRACE_S = 2.0  # to remove a half-written file once nobody is there any more

Send = Callable[[str, Any], None]
Network = Callable[[Recipe, str | None], Callable[[Chunk], ChunkPoses]]


def main() -> None:
    """Do jobs until the other side closes its end."""
    # Ctrl-C in a terminal is the parent's affair, which ends us in order.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    connection: Any = Connection(int(sys.argv[1]))
    os.set_inheritable(connection.fileno(), False)

    sending = threading.Lock()  # the thread that decodes sends, too

    def send(kind: str, value: Any) -> None:
        with sending:
            connection.send((kind, value))

    role, settings = connection.recv()
    jobs: queue.SimpleQueue[Any] = queue.SimpleQueue()
    threading.Thread(target=_receive, args=(connection, jobs), daemon=True).start()
    try:
        _ROLES[role](jobs, send, **settings)
    except GcposeError as error:
        send("error", str(error))
    except MemoryError:
        send("error", "out of memory; use fewer --workers or a smaller --size")


def _receive(connection: Any, jobs: queue.SimpleQueue[Any]) -> None:
    with contextlib.suppress(EOFError, OSError):
        while True:
            jobs.put(connection.recv())
    os.kill(os.getpid(), signal.SIGTERM)  # in the main thread an exception, by which half-written files go
    time.sleep(_GRACE_S)
    os._exit(1)


def _beat(send: Send) -> Beat:
    """Return what says that there is progress, as often as anybody needs to know."""
    last = -_BEAT_S

    def beat() -> None:
        nonlocal last
        now = time.monotonic()
        if now - last >= _BEAT_S:
            last = now
            send("alive", None)

    return beat


def _prepare_files(jobs: queue.SimpleQueue[Any], send: Send) -> None:
    """Plan and finish sources."""
    import gcpose_trt.batch.planning  # noqa: F401  # so that it is not the first job that waits for it

    send("ready", None)
    beat = _beat(send)
    while True:
        send("done", do_file_job(jobs.get(), beat))


def do_file_job(job: PlanJob | FinishJob, beat: Beat = nothing) -> Outcome:
    """Cut a source, or make its output.

    Args:
        job: what to do.
        beat: told as a plan gets on.

    Raises:
        GcposeError: the output cannot be written.
    """
    spec = job.spec if isinstance(job, PlanJob) else job.plan.spec
    try:
        if isinstance(job, PlanJob):
            from gcpose_trt.batch.planning import plan_source

            return plan_source(job.spec, job.recipe, beat)
        return _finish(job)
    except StorageError as error:  # the source's, whose segments are kept for the next run
        reason = str(error)
    except GcposeError:
        raise
    except MemoryError:
        reason = "out of memory; close other programs and run the same command again"
    except Exception as error:  # whatever a library raises is this source's failure, not the end of the others
        reason = f"{explain(error)}; check the file, then run the same command again"
    return SourceFailure(spec.uri, reason, spec.id)


def _finish(job: FinishJob) -> Outcome:
    from gcpose_trt.batch.merging import merge

    finished = merge(job.plan, job.recipe, job.segments, job.part)
    if job.video is not None and not isinstance(finished, SourceFailure):
        from gcpose_trt.batch.rendering import render

        warnings = render(job.plan, job.recipe, job.part, job.video)
        finished = replace(finished, warnings=(*finished.warnings, *warnings))
    return finished


def _run_network(
    jobs: queue.SimpleQueue[Any], send: Send, recipe: Recipe, device: str | None, network: Network | None
) -> None:
    """Find the people of segments; a thread decodes the next chunks meanwhile, across the ends of segments."""
    if recipe.backend == "onnxruntime" or device == "cpu":
        import cv2

        cv2.setNumThreads(recipe.threads or 1)  # each core has a process of its own
    if network is None:
        from gcpose_trt.batch.inference import Inference

        network = Inference
    import gcpose_trt.batch.reading  # noqa: F401  # so that it is not the first job that waits for it

    infer = network(recipe, device)
    send("ready", None)
    chunks: queue.Queue[Chunk] = queue.Queue(_AHEAD)
    threading.Thread(target=_decode, args=(jobs, recipe, chunks, _beat(send)), daemon=True).start()
    while True:
        send("done", _segment(chunks, infer, send))


def _segment(chunks: queue.Queue[Chunk], infer: Callable[[Chunk], ChunkPoses], send: Send) -> SegmentPoses:
    parts: list[ChunkPoses] = []
    while not parts or not parts[-1].last:
        parts.append(infer(chunks.get()))
        send("frames", len(parts[-1].poses))
    return join(parts)


def _decode(jobs: queue.SimpleQueue[Any], recipe: Recipe, chunks: queue.Queue[Chunk], beat: Beat) -> None:
    plan: SourcePlan | None = None
    while True:
        sent, segment = jobs.get()
        plan = sent or plan  # sent with the first segment of each source only: pictures may have many files
        assert plan is not None
        for chunk in read_safely(plan, segment, recipe, beat):
            chunks.put(chunk)


def read_safely(plan: SourcePlan, segment: Segment, recipe: Recipe, beat: Beat = nothing) -> Iterator[Chunk]:
    """Yield the chunks of a segment, see `read_segment`; what goes wrong comes as the failure of its last chunk."""
    from gcpose_trt.batch.reading import read_segment

    number, again = 0, False
    try:
        for chunk in read_segment(plan, segment, recipe, beat):
            number = chunk.number + 1
            yield chunk
            if chunk.last:
                return
        reason = "it ended before its end; report it with the file"
    except GcposeError as error:
        reason = str(error)
    except MemoryError:
        reason, again = "out of memory while decoding; use fewer --workers", True
    except Exception as error:  # whatever a library raises is this segment's failure
        reason, again = f"{explain(error)}; check the file, then run the same command again", passes(error)
    yield failed_chunk(plan.spec.id, segment.index, number, reason, again)


def failed_chunk(source_id: str, segment: int, number: int, reason: str, again: bool = False) -> Chunk:
    """Return the last chunk of a segment that cannot be read."""
    import numpy as np

    return Chunk(source_id, segment, number, True, [], np.zeros(0, np.int64), np.zeros(0), failure=reason, again=again)


def explain(error: BaseException) -> str:
    """Return one line about an error of a library, without secrets."""
    text = " ".join(redact(str(error)).split())[:300]
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


_ROLES: dict[str, Callable[..., None]] = {"files": _prepare_files, "network": _run_network}


if __name__ == "__main__":
    code = 0
    try:
        main()
    except SystemExit:
        pass
    except (BrokenPipeError, ConnectionResetError, EOFError):
        code = 1  # the parent is gone
    sys.stderr.flush()
    # Not sys.exit: at Python's shutdown some libraries crash, and everything has been sent.
    os._exit(code)
