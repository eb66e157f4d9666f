"""Ctrl-C, SIGTERM and a terminal that is closed as a call instead of an exception."""

from __future__ import annotations

import queue
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager


class Interruption:
    """Whether a signal has come: `seen` is True from the very moment."""

    seen = False


@contextmanager
def interruptions(at_once: Callable[[], None], stop: Callable[[], None]) -> Iterator[Interruption]:
    """Let SIGINT, SIGTERM and SIGHUP call `at_once` in the handler and `stop` in a thread, while the block runs.

    An exception between any two instructions could strike while a file is being completed. The handler itself, which
    runs between any two instructions too, may take no lock: `at_once` only sets what is to be seen.
    """
    state = Interruption()
    if threading.current_thread() is not threading.main_thread():
        yield state  # only the main thread may handle signals; whoever runs us in another handles them
        return
    arrived: queue.SimpleQueue[bool] = queue.SimpleQueue()  # whose `put` may be called within itself

    def handle(*_: object) -> None:
        state.seen = True
        at_once()
        arrived.put(True)

    def watch() -> None:
        while arrived.get():
            stop()

    watcher = threading.Thread(target=watch, name="gcpose-signals", daemon=True)
    watcher.start()
    signals = [signal.SIGINT, signal.SIGTERM]
    if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:  # as under nohup
        signals.append(signal.SIGHUP)
    before = [signal.signal(number, handle) for number in signals]
    try:
        yield state
    finally:
        for number, handler in zip(signals, before, strict=True):
            signal.signal(number, handler)
        arrived.put(False)
        watcher.join()
