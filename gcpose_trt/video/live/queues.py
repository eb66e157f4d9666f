"""Bounded queues between the stages of a live system."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")


class StoppedError(Exception):
    """The queue takes nothing any more."""


class Lanes(Generic[T]):
    """Queues side by side, one a lane, that one thread empties together.

    Any thread may put. Nobody polls: whoever waits is woken by what it waits for, or by `close` or `stop`.

    Args:
        count: how many lanes there are.
        depth: how many items wait in a lane at most.
    """

    def __init__(self, count: int, depth: int) -> None:
        self._lock = threading.Lock()
        self._filled = threading.Condition(self._lock)
        self._freed = threading.Condition(self._lock)
        self._halted = threading.Condition(self._lock)
        self._lanes: list[deque[T]] = [deque() for _ in range(count)]
        self._open = [True] * count
        self._depth = depth
        self._stopped = False

    def put(self, item: T, lane: int = 0, *, overwrite: bool | Callable[[], bool] = False) -> T | None:
        """Append an item to a lane.

        Args:
            item: what to append.
            lane: where.
            overwrite: at a full lane drop its oldest item instead of waiting; a function is asked when it matters.

        Returns:
            The item that had to go, None if none had to.

        Raises:
            StoppedError: the lane is closed, or becomes so while this waits.
        """
        with self._lock:
            waiting = self._lanes[lane]
            dropped: T | None = None
            if len(waiting) >= self._depth and self._taking(lane):
                if overwrite() if callable(overwrite) else overwrite:
                    dropped = waiting.popleft()
                else:
                    self._freed.wait_for(lambda: len(waiting) < self._depth or not self._taking(lane))
            if not self._taking(lane):
                raise StoppedError
            waiting.append(item)
            self._filled.notify()
            return dropped

    def wait(self, timeout: float | None = None) -> bool:
        """Wait until some lane has an item; False: none has and none will, or none came within `timeout` seconds."""
        with self._lock:
            self._filled.wait_for(lambda: self._ended() or any(self._lanes), timeout)
            return any(self._lanes)

    def take(self) -> list[T]:
        """Wait for an item and return the oldest of each lane that has one; nothing at the end."""
        with self._lock:
            self._filled.wait_for(lambda: self._ended() or any(self._lanes))
            if self._ended():
                return []
            items = [lane.popleft() for lane in self._lanes if lane]
            self._freed.notify_all()
            return items

    def drain(self, lane: int) -> list[T]:
        """Return all that waits in a lane, without waiting."""
        with self._lock:
            items = list(self._lanes[lane])
            self._lanes[lane].clear()
            self._freed.notify_all()
            return items

    def sleep(self, seconds: float) -> None:
        """Let time pass, but return at once when stopped."""
        with self._lock:
            self._halted.wait_for(lambda: self._stopped, seconds)

    def close(self, lane: int = 0) -> None:
        """Let a lane take nothing more; what waits in it can still be taken."""
        with self._lock:
            self._open[lane] = False
            self._wake()

    def stop(self) -> None:
        """Throw away what waits and let no lane take anything more."""
        with self._lock:
            self._stopped = True
            for lane in self._lanes:
                lane.clear()
            self._wake()

    def takes(self, lane: int) -> bool:
        """Say whether something may still be put into a lane."""
        with self._lock:
            return self._taking(lane)

    @property
    def ended(self) -> bool:
        """Whether nothing waits and nothing will."""
        with self._lock:
            return self._ended()

    def _taking(self, lane: int) -> bool:
        return self._open[lane] and not self._stopped

    def _ended(self) -> bool:
        return self._stopped or not (any(self._open) or any(self._lanes))

    def _wake(self) -> None:
        self._filled.notify_all()
        self._freed.notify_all()
        self._halted.notify_all()
