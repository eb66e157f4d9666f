"""The sink that shows results on the page."""

from __future__ import annotations

import time
from collections.abc import Callable
from types import TracebackType

from gcpose_trt.errors import GcposeError
from gcpose_trt.video.frames import Result
from gcpose_trt.web.limits import one_line
from gcpose_trt.web.server import WebServer


class WebSink:
    """Hands results of all sources to the page; costs next to nothing while nobody watches.

    It never fails for a client's sake, nor waits for one: what cannot be shown is logged and left out. The server is
    started and stopped by whoever made it.

    Args:
        server: the page's.
        max_fps: frames a second of each source at most; what comes between is left out.
        quality: of the JPEG pictures, 1..100.
        clock: seconds, never running backwards.

    Raises:
        GcposeError: a rate or a quality out of range.
    """

    needs_picture = False

    def __init__(
        self,
        server: WebServer,
        *,
        max_fps: float = 20.0,
        quality: int = 75,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        if not 0 < max_fps <= 1000:
            raise GcposeError(f"the page is to show {max_fps} frames a second; choose 1 to 1000")
        if not 1 <= quality <= 100:
            raise GcposeError(f"the pictures' quality is {quality}; choose 1 to 100")
        self._server, self._period, self._quality, self._clock = server, 1 / max_fps, quality, clock
        self._due: dict[int, float] = {}

    def write(self, result: Result) -> None:
        """Show a result, unless one of the same source was shown just before."""
        now = self._clock()
        stream = result.frame.stream
        due = self._due.get(stream, now)
        if now < due:
            return
        # From when it was due, not from now: frames at 30 a second become 20, not 15. After a pause there is no burst.
        self._due[stream] = (due if now < due + self._period else now) + self._period
        try:
            self._server.publish(result, self._quality)
        except Exception as error:
            self._server.journal(f"a frame could not be shown ({one_line(error)})")

    def __enter__(self) -> WebSink:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        return None
