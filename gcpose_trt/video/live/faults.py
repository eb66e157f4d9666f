"""Errors as lines of a log: one each, and not the same one over and over."""

from __future__ import annotations

import os
import sys
import time
import traceback
from collections.abc import Callable

from gcpose_trt.errors import GcposeError

Log = Callable[[str], None]
_QUIET_S = 10.0


def as_gcpose_error(error: BaseException, what: str, remedy: str) -> GcposeError:
    """Return an error of the toolkit as it is, and any other as a line that says what failed and what to do.

    GCPOSE_DEBUG=1 prints the traceback of the others.
    """
    if isinstance(error, GcposeError):
        return error
    if os.environ.get("GCPOSE_DEBUG", "") not in ("", "0"):
        traceback.print_exception(type(error), error, error.__traceback__, file=sys.stderr)
    parts = [what]
    if not (isinstance(error, OSError) and error.strerror):
        parts.append(type(error).__name__)
    said = " ".join(str(getattr(error, "strerror", None) or error).split())
    made = GcposeError(f"{': '.join([*parts, said] if said else parts)}; {remedy}")
    made.__cause__ = error
    return made


class Quiet:
    """Logs a line about something that may happen at every frame: again only after a while, or if it changes."""

    def __init__(self, log: Log) -> None:
        self._log = log
        self._last: dict[object, tuple[str, float]] = {}

    def __call__(self, about: object, line: str) -> None:
        """Log `line` unless it was logged for `about`, one of few, within the last ten seconds."""
        now = time.monotonic()
        text, when = self._last.get(about, ("", now - _QUIET_S))
        if text != line or now - when >= _QUIET_S:
            self._last[about] = (line, now)
            self._log(line)
