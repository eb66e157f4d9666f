"""How much one client, and all together, may ask of the server."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from gcpose_trt.errors import GcposeError


@dataclass(frozen=True)
class Limits:
    """What the server gives at most. Further clients are refused, slow ones dropped, never waited for.

    Attributes:
        streams: videos watched at once.
        sockets: WebSockets at once.
        connections: TCP connections at once, of every kind.
        message_bytes: of one message of a WebSocket.
        messages_per_second: of one WebSocket, on average.
        messages_burst: of one WebSocket, at once.
        body_bytes: of the body of a request.
        header_bytes: of the request line, and of each header.
        drain_s: seconds in which a client must have taken what is sent to it.
        idle_s: seconds in which a request must have arrived as a whole, and after which an idle connection is closed.
        repeat_s: seconds without a new picture after which a stream repeats the last, so that dead clients are noticed.
        statistics_s: seconds between statistics.
        sessions: people logged in at once; the one that was idle for longest makes room.
        session_s: seconds of idleness after which a session ends.
        login_burst: wrong tokens that one address may try at once.
        login_refill_s: seconds after which an address may try another.
        login_total: wrong tokens that all addresses may try in a minute.
        login_delay_s: seconds before a wrong token is answered.
    """

    streams: int = 16
    sockets: int = 16
    connections: int = 96
    message_bytes: int = 4096
    messages_per_second: float = 20.0
    messages_burst: int = 40
    body_bytes: int = 4096
    header_bytes: int = 8190
    drain_s: float = 5.0
    idle_s: float = 15.0
    repeat_s: float = 5.0
    statistics_s: float = 0.5
    sessions: int = 64
    session_s: float = 24 * 3600.0
    login_burst: int = 5
    login_refill_s: float = 15.0
    login_total: int = 60
    login_delay_s: float = 0.5

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            if not value > 0 and name != "login_delay_s":
                raise GcposeError(f"the limit {name} is {value}; choose more than 0")


class Bucket:
    """Allows `burst` at once and `rate` a second over time.

    Args:
        rate: a second.
        burst: at once.
        clock: seconds, never running backwards.
    """

    def __init__(self, rate: float, burst: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._rate, self._burst, self._clock = rate, burst, clock
        self._level, self._when = burst, clock()

    @property
    def wait(self) -> float:
        """Seconds until the next is allowed; 0 now."""
        now = self._clock()
        self._level = min(self._burst, self._level + (now - self._when) * self._rate)
        self._when = now
        return max(0.0, (1 - self._level) / self._rate)

    def take(self) -> bool:
        """Use one up, or say that none is left."""
        if self.wait > 0:
            return False
        self._level -= 1
        return True


class Journal:
    """Hands lines to a log: one line each, and at most `a_minute`, so that a client cannot fill a disk.

    Args:
        log: takes a line.
        a_minute: lines on average; as many at once.
        clock: seconds, never running backwards.
    """

    def __init__(
        self, log: Callable[[str], None], a_minute: float = 30.0, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._log = log
        self._bucket = Bucket(a_minute / 60, a_minute, clock)
        self._left_out = 0

    def __call__(self, line: str) -> None:
        """Log a line."""
        if not self._bucket.take():
            self._left_out += 1
            return
        if self._left_out:
            line = f"{line} (and {self._left_out} lines left out)"
            self._left_out = 0
        self._log(f"page: {one_line(line)}")


def one_line(text: object, most: int = 300) -> str:
    """Return what a client or an exception says, on one line, printable, of bounded length."""
    try:
        line = " ".join(str(text).split())
    except Exception:
        # An exception whose text cannot be made must not take the place of the one that is reported.
        line = type(text).__name__
    line = "".join(letter if letter.isprintable() else "?" for letter in line)
    return line if len(line) <= most else f"{line[:most]}..."
