"""Reading ahead and writing behind in threads: decoding and encoding overlap with the network.

PyAV and OpenCV release Python's lock while they work. Queues are short, so that memory stays bounded at any frame size.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterable, Iterator
from types import TracebackType
from typing import Generic, TypeVar

from gcpose_trt.pose.types import PoseFrame
from gcpose_trt.video.frames import Frame, Result, Sink

T = TypeVar("T")
DEPTH = 3  # frames that wait on either side
_POLL = 0.1  # seconds after which a waiting thread looks whether it should stop


class ReadAhead(Generic[T]):
    """Iterates over `items` in a thread of its own, a few items ahead.

    Leaving the `with` block stops and joins the thread, so that what it reads from can be closed. An exception of
    `items` is raised where the next item would have come.
    """

    def __init__(self, items: Iterable[T], depth: int = DEPTH) -> None:
        self._items = items
        self._queue: queue.Queue[tuple[bool, T | BaseException | None]] = queue.Queue(depth)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._read, name="gcpose-read", daemon=True)

    def _read(self) -> None:
        try:
            for item in self._items:
                if not self._put((True, item)):
                    return
        except BaseException as error:  # raised again in the thread that iterates
            self._put((False, error))
        else:
            self._put((False, None))

    def _put(self, entry: tuple[bool, T | BaseException | None]) -> bool:
        while not self._stop.is_set():
            try:
                self._queue.put(entry, timeout=_POLL)
            except queue.Full:
                continue
            return True
        return False

    def __iter__(self) -> Iterator[T]:
        while True:
            is_item, entry = self._queue.get()
            if is_item:
                yield entry  # type: ignore[misc]  # the flag tells items from errors
            elif isinstance(entry, BaseException):
                raise entry
            else:
                return

    def __enter__(self) -> ReadAhead[T]:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        self._thread.join()


class WriteBehind:
    """Writes to `sink` in a thread of its own.

    What the sink raises is raised by the next `write` or at the end of the block. Leaving the block normally or by
    KeyboardInterrupt first writes what still waits.
    """

    def __init__(self, sink: Sink, depth: int = DEPTH) -> None:
        self._sink = sink
        self._queue: queue.Queue[tuple[Frame, PoseFrame] | None] = queue.Queue(depth)
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._work, name="gcpose-write", daemon=True)

    def _work(self) -> None:
        # Goes on emptying the queue after an error: whoever waits to put something in must not wait forever.
        while (entry := self._queue.get()) is not None:
            if self._error is None:
                try:
                    self._sink.write(Result(*entry))
                except BaseException as error:  # raised again in the thread that writes
                    self._error = error

    def write(self, frame: Frame, poses: PoseFrame) -> None:
        """Queue one frame; waits while the queue is full."""
        if self._error is not None:
            raise self._error
        self._queue.put((frame, poses))

    def __enter__(self) -> WriteBehind:
        self._sink.__enter__()
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._queue.put(None)
        self._thread.join()
        late = self._error if error is None or isinstance(error, KeyboardInterrupt) else None
        if late is None:
            self._sink.__exit__(kind, error, trace)
            return
        self._sink.__exit__(type(late), late, late.__traceback__)
        raise late
