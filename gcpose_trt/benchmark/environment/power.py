"""From power to energy: what every source of joules offers, and sums over time for sensors that tell watts only."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from typing import Protocol

# How often watts are read. A sample costs a fraction of a millisecond, so this stays under one percent of a core.
PERIOD = 0.05
# A longer silence cannot be bridged: nobody knows what was drawn in it.
LONGEST_GAP = 5.0
Clock = Callable[[], float]


class Source(Protocol):
    """Sensors that are read together.

    Attributes:
        covers: what each sensor measures, in words, by its name; the widest first.
        lost: why a sensor that was there gives nothing any more, by its name.
    """

    covers: dict[str, str]
    lost: dict[str, str]

    def read(self) -> dict[str, float]:
        """Return the joules of each sensor since it was opened; what is lost is left out."""

    def close(self) -> None:
        """Stop."""


class Integral:
    """Joules from samples of watts.

    Args:
        held: whether a sample holds until the next one; else power is taken to change evenly between two.
    """

    def __init__(self, held: bool = False) -> None:
        self._held = held
        self._joules = 0.0
        self._last: tuple[float, float] | None = None

    def add(self, now: float, watts: float) -> None:
        """Take a sample; one that is not later than the last is ignored."""
        if self._last is not None:
            then, before = self._last
            if now <= then:
                return
            self._joules += (before if self._held else (before + watts) / 2) * (now - then)
        self._last = now, watts

    def age(self, now: float) -> float:
        """Return the seconds since the last sample; infinite if there was none."""
        return float("inf") if self._last is None else now - self._last[0]

    def joules(self, now: float | None = None) -> float:
        """Return the joules up to the last sample, or with the last sample held up to `now`."""
        if now is None or self._last is None:
            return self._joules
        return self._joules + self._last[1] * max(0.0, now - self._last[0])


class Polled:
    """Sensors that tell watts when asked: a thread asks them, and so does every reading.

    Args:
        meter: returns watts by sensor; a sensor that does not answer is left out.
        covers: see `Source`.
        clock: seconds, monotonic.
    """

    def __init__(
        self, meter: Callable[[], Mapping[str, float]], covers: Mapping[str, str], clock: Clock = time.monotonic
    ) -> None:
        self.covers = dict(covers)
        self.lost: dict[str, str] = {}
        self._meter, self._clock = meter, clock
        self._integrals = {name: Integral() for name in covers}
        self._lock, self._stop = threading.Lock(), threading.Event()
        self._thread: threading.Thread | None = None
        self.sample()

    def start(self) -> None:
        """Start the thread."""
        self._thread = threading.Thread(target=self._run, name="power", daemon=True)
        self._thread.start()

    def _run(self) -> None:
        while not self._stop.wait(PERIOD):
            self.sample()

    def sample(self) -> None:
        """Ask every sensor once."""
        with self._lock:
            watts = self._meter()
            now = self._clock()
            for name, integral in self._integrals.items():
                if name in self.lost:
                    continue
                age = integral.age(now)
                if LONGEST_GAP < age < float("inf"):
                    self.lost[name] = f"gave no reading for {age:.0f} s"
                elif name in watts:
                    integral.add(now, watts[name])

    def read(self) -> dict[str, float]:
        """See `Source.read`."""
        self.sample()
        with self._lock:
            return {name: total.joules() for name, total in self._integrals.items() if name not in self.lost}

    def close(self) -> None:
        """See `Source.close`."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join(1.0)
