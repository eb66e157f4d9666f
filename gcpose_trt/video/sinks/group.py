"""Several sinks as one."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from types import TracebackType

from gcpose_trt.video.frames import Result, Sink


class SinkGroup:
    """Several sinks as one."""

    def __init__(self, sinks: Sequence[Sink]) -> None:
        self._sinks = list(sinks)
        self._stack = ExitStack()
        self.needs_picture = any(sink.needs_picture for sink in self._sinks)

    def write(self, result: Result) -> None:
        """Write to each."""
        for sink in self._sinks:
            sink.write(result)

    def __enter__(self) -> SinkGroup:
        for sink in self._sinks:
            self._stack.enter_context(sink)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.__exit__(kind, error, trace)
