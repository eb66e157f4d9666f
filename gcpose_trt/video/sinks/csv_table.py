"""CSV: one row a person."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

from gcpose_trt.pose.skeleton import COCO17
from gcpose_trt.video.frames import Result, completes
from gcpose_trt.video.sinks.line_file import LineFile

COLUMNS = (
    *("source", "frame", "time", "unix_time", "id", "score", "x1", "y1", "x2", "y2"),
    *(f"{name}_{part}" for name in COCO17.names for part in ("x", "y", "score")),
)


class CsvSink:
    """Writes a table (RFC 4180, UTF-8) with a header and one row a person; a frame without people has no row.

    The columns are `COLUMNS`: where the frame comes from, its number and time in seconds (empty for images), the
    machine's clock in seconds since 1970 (live sources only), the person's id (where people are tracked), score 0..1,
    box and 17 joints. Boxes and joints are in pixels of the frame, (0, 0) is its top left corner. The rows of a frame
    are on disk before the next frame.

    Args:
        path: the file; made anew.

    Raises:
        GcposeError: the file cannot be written.
    """

    needs_picture = False

    def __init__(self, path: Path) -> None:
        self._file = LineFile(path, _encode([COLUMNS]))
        self.path = self._file.path

    def write(self, result: Result) -> None:
        """Write the rows of one frame."""
        self._file.write(_encode(_rows(result)))

    def __enter__(self) -> CsvSink:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close(keep=completes(kind))


def _rows(result: Result) -> Iterator[Sequence[Any]]:
    frame = result.frame
    time = "" if frame.time_s is None else round(frame.time_s, 6)
    unix_time = "" if result.unix_time is None else f"{result.unix_time:.3f}"
    for person in result.poses.to_dict()["people"]:
        joints = [value for joint in person["keypoints"] for value in joint]
        start = (frame.source, frame.index, time, unix_time, person.get("id", ""), person["score"])
        yield (*start, *person["box"], *joints)


def _encode(rows: Sequence[Sequence[Any]] | Iterator[Sequence[Any]]) -> bytes:
    text = io.StringIO(newline="")
    csv.writer(text).writerows(rows)  # the dialect "excel" is RFC 4180's: CR LF, quotes doubled
    # File names need not be UTF-8.
    return text.getvalue().encode("utf-8", "backslashreplace")
