"""A thread a sink, behind a bounded queue: a slow one holds nobody up, a failing one fails alone."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

from gcpose_trt.errors import GcposeError
from gcpose_trt.video.frames import Result, Sink
from gcpose_trt.video.live.faults import as_gcpose_error
from gcpose_trt.video.live.queues import Lanes, StoppedError
from gcpose_trt.video.live_types import SinkStatistics

_DEPTH_FILE = 8  # short enough for memory at any frame size, long enough for a disk that stutters
_DEPTH_LIVE = 2  # what waits longer is old
_IDLE_S = 0.05  # a window that nobody looks after longer than that feels stuck
_CLOSE_S = 10.0  # a window or a connection that hangs is left alone after that; files are waited for


@dataclass(frozen=True)
class Output:
    """A sink and what it gets.

    Attributes:
        name: for people, and unique: "mp4", "web".
        sink: not yet entered; one thread enters it, writes to it and leaves it. If it has a method `idle`, that is
            called there while no results come.
        stream: the source whose frames it gets; None gets all.
        lossless: it wants every frame, and the network waits for it where the run takes every frame (policy "all").
    """

    name: str
    sink: Sink
    stream: int | None = None
    lossless: bool = False


class SinkWorker:
    """Writes to one sink.

    Args:
        output: the sink.
        patient: a full queue holds up whoever puts, instead of dropping its oldest frame.
        failed: called once if it fails while it runs, mostly in its thread.

    Attributes:
        error: why it failed.
    """

    def __init__(self, output: Output, *, patient: bool, failed: Callable[[SinkWorker], None]) -> None:
        self.output, self.patient = output, patient
        self.error: GcposeError | None = None
        self._failed = failed
        self._queue: Lanes[Result] = Lanes(1, _DEPTH_FILE if output.lossless else _DEPTH_LIVE)
        self._lock = threading.Lock()
        self._state, self._written, self._dropped = "running", 0, 0
        self._drawing: Counter[int] = Counter()
        self._ready = threading.Event()
        self._leave_by: GcposeError | None = None
        self._thread = threading.Thread(target=self._run, name=f"gcpose-sink-{output.name}", daemon=True)

    @property
    def alive(self) -> bool:
        """Whether it still takes frames."""
        return self._state == "running"

    @property
    def needs_picture(self) -> bool:
        """Whether the sink wants the next frame drawn; it may change its mind."""
        return self.output.sink.needs_picture

    def takes(self, stream: int) -> bool:
        """Say whether it gets the frames of a source."""
        return self.output.stream in (None, stream)

    def open(self) -> None:
        """Enter the sink, in its thread.

        Raises:
            GcposeError: it cannot be opened.
        """
        self._thread.start()
        self._ready.wait()
        if self.error is not None:
            raise self.error

    def put(self, result: Result) -> None:
        """Hand over a result; does nothing once the sink has failed."""
        try:
            dropped = self._queue.put(result, overwrite=not self.patient)
        except StoppedError:
            return
        if dropped is not None:
            self.drop()

    def drop(self) -> None:
        """Note a frame that it does not get."""
        with self._lock:
            self._dropped += 1

    def drawing(self, stream: int, change: int = 0) -> int:
        """Return how many of a source's frames are being drawn for it, after a change of that number."""
        with self._lock:
            self._drawing[stream] += change
            return self._drawing[stream]

    def finish(self, error: GcposeError | None) -> None:
        """Let no more come; the sink is left once it has written what waits, by an `error` if there is one."""
        self._leave_by = error
        self._queue.close()

    def join(self) -> None:
        """Wait until the sink has been left."""
        if self._thread.ident is None:
            return
        self._thread.join(None if self.output.lossless else _CLOSE_S)
        if self._thread.is_alive():
            self._fail(
                GcposeError(f"{self.output.name} did not finish within {_CLOSE_S:.0f} s; check what it sends to")
            )

    def statistics(self) -> SinkStatistics:
        """Return how it does."""
        with self._lock:
            message = str(self.error) if self.error is not None else ""
            output = self.output
            return SinkStatistics(output.name, output.stream, self._state, message, self._written, self._dropped)

    def _run(self) -> None:
        try:
            with self.output.sink:
                self._ready.set()
                while results := self._take():
                    self.output.sink.write(results[0])
                    with self._lock:
                        self._written += 1
                    del results  # a frame must not outlive its turn while the next is waited for
                if self._leave_by is not None:
                    raise self._leave_by
        except BaseException as error:
            if error is not self._leave_by:
                self._fail(as_gcpose_error(error, f"{self.output.name} failed", "the rest goes on without it"))
        with self._lock:
            self._state = "closed" if self._state == "running" else self._state
        self._ready.set()

    def _take(self) -> list[Result]:
        idle: Callable[[], object] | None = getattr(self.output.sink, "idle", None)
        while idle is not None and not self._queue.wait(_IDLE_S) and not self._queue.ended:
            idle()
        return self._queue.take()

    def _fail(self, error: GcposeError) -> None:
        with self._lock:
            if self._state != "running":
                return
            self._state, self.error = "failed", error
        self._queue.stop()
        if self._ready.is_set():  # else whoever opens it raises the error
            self._failed(self)
