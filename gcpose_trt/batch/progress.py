"""How far a batch is, for a person who watches."""

from __future__ import annotations

from types import TracebackType
from typing import Any, Protocol, TextIO

_TERMINAL_S, _FILE_S = 0.2, 15.0  # between two updates: a log file keeps each of them


class Progress(Protocol):
    """Is told how a batch gets on."""

    def start(self, total: int | None, done: int, segments: int, sources: int) -> None:
        """The work is known: frames in all and those done before, segments and sources to do."""

    def frames(self, count: int) -> None:
        """The network is done with so many frames more."""

    def segment(self, people: int) -> None:
        """A segment is recorded."""

    def source(self, more: int) -> None:
        """A source has come to its end, with so many frames more than its container said."""


class Silent:
    """Nobody watches; see `Progress`."""

    def start(self, total: int | None, done: int, segments: int, sources: int) -> None:
        """See `Progress`."""

    def frames(self, count: int) -> None:
        """See `Progress`."""

    def segment(self, people: int) -> None:
        """See `Progress`."""

    def source(self, more: int) -> None:
        """See `Progress`."""


class Bar:
    """A progress bar over frames; see `Progress`. A context manager.

    Args:
        stream: where it is drawn.
        terminal: whether somebody watches; a file gets a line now and then instead.
    """

    def __init__(self, stream: TextIO, terminal: bool) -> None:
        self._stream = stream
        self._interval = _TERMINAL_S if terminal else _FILE_S
        self._bar: Any = None  # before `start` there is none: an error then is one line, and nothing to do is no bar
        self._segments = self._sources = (0, 0)
        self._people = 0

    def log(self, line: str) -> None:
        """Write a line above the bar."""
        from tqdm import tqdm

        tqdm.write(line, file=self._stream)

    def start(self, total: int | None, done: int, segments: int, sources: int) -> None:
        """See `Progress`."""
        from tqdm import tqdm

        self._bar = tqdm(
            desc="batch", unit="frame", total=total, initial=done, file=self._stream, mininterval=self._interval
        )
        self._segments, self._sources = (0, segments), (0, sources)
        self._show()

    def frames(self, count: int) -> None:
        """See `Progress`."""
        if self._bar is not None:
            self._bar.update(count)

    def segment(self, people: int) -> None:
        """See `Progress`."""
        self._people += people
        self._segments = (self._segments[0] + 1, self._segments[1])
        self._show()

    def source(self, more: int) -> None:
        """See `Progress`."""
        self._sources = (self._sources[0] + 1, self._sources[1])
        if self._bar is not None and self._bar.total is not None:
            self._bar.total += more
        self._show()

    def _show(self) -> None:
        words = {
            "segments": f"{self._segments[0]}/{self._segments[1]}",
            "sources": f"{self._sources[0]}/{self._sources[1]}",
            "people": self._people,
        }
        if self._bar is not None:
            self._bar.set_postfix(words, refresh=False)

    def __enter__(self) -> Bar:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar is not None:
            self._bar.close()
