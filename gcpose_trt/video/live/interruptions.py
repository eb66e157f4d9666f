"""Ctrl-C, SIGTERM and a terminal that is closed as a call instead of an exception."""

from __future__ import annotations

import signal
import socket
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
    signals = [signal.SIGINT, signal.SIGTERM]
    if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:  # as under nohup
        signals.append(signal.SIGHUP)

    def see() -> None:
        state.seen = True
        at_once()

    def watch() -> None:
        while numbers := arriving.recv(64):
            if not set(numbers).isdisjoint(signals):
                see()
                stop()

    # Python runs a handler when the main thread next gets to run code, which may be never if it is waiting: a signal
    # that another thread takes, or that comes right before a wait, does not end the wait. A byte in the socket of
    # wake-ups is there at once.
    arriving, leaving = socket.socketpair()
    leaving.setblocking(False)
    watcher = threading.Thread(target=watch, name="gcpose-signals", daemon=True)
    watcher.start()
    woken = signal.set_wakeup_fd(leaving.fileno(), warn_on_full_buffer=False)
    before = [signal.signal(number, lambda *_: see()) for number in signals]
    try:
        yield state
    finally:
        for number, handler in zip(signals, before, strict=True):
            signal.signal(number, handler)
        signal.set_wakeup_fd(woken)
        leaving.close()
        watcher.join()
        arriving.close()
