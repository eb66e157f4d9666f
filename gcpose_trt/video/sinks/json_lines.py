"""JSON lines: one object a frame."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

from gcpose_trt.video.frames import Result, completes
from gcpose_trt.video.sinks.line_file import LineFile

SCHEMA = 1


def record(result: Result, streams: Sequence[str] = ()) -> dict[str, Any]:
    """Return a result as plain values for JSON.

    Schema 1. Readers leave keys alone that they do not know: later versions of the toolkit may add some. The number
    goes up only when a key changes its meaning or goes away::

        {"schema": 1,              version of this layout
         "source": "clip.mp4",     file that the frame comes from, or address of a camera or stream
         "frame": 12,              0, 1, ... in the source; numbers are left out where frames were dropped
         "time": 0.4,              seconds since the first frame; null for images
         "people": [               best first; empty where nobody was found
           {"box": [x1, y1, x2, y2],            pixels of the frame, (0, 0) its top left corner
            "score": 0.97,                      confidence of the box, 0..1
            "keypoints": [[x, y, score], ...],  17 joints in COCO's order, pixels of the frame
            "id": 3}],                          only where people are tracked; theirs as long as they are seen
         "stream": "door",         only where several sources run side by side: the name of this one
         "unix_time": 1767225600.125,  only live: seconds since 1970 when the frame was captured
         "latency_ms": 41.7}       only live: from then until the poses were there

    Args:
        result: a frame and its people.
        streams: names of the sources, where there are several.
    """
    frame = result.frame
    values: dict[str, Any] = {
        "schema": SCHEMA,
        "source": frame.source,
        "frame": frame.index,
        "time": None if frame.time_s is None else round(frame.time_s, 6),
        **result.poses.to_dict(),
    }
    if streams:
        values["stream"] = streams[frame.stream]
    if result.unix_time is not None:
        values["unix_time"] = round(result.unix_time, 3)
        # Of a file read as fast as it goes, it would say how many frames waited, and nothing about a system.
        if result.latency_ms is not None:
            values["latency_ms"] = round(result.latency_ms, 1)
    return values


def encode(result: Result, streams: Sequence[str] = ()) -> bytes:
    """Return a result's record as JSON on one line, without a line break."""
    return json.dumps(record(result, streams), separators=(",", ":")).encode()


class JsonLinesSink:
    """Writes one JSON object a frame and line, see `record`; each complete on disk before the next frame.

    Args:
        path: the file; made anew.
        streams: names of the sources, where there are several.

    Raises:
        GcposeError: the file cannot be written.
    """

    needs_picture = False

    def __init__(self, path: Path, streams: Sequence[str] = ()) -> None:
        self._file = LineFile(path)
        self.path = self._file.path
        self._streams = tuple(streams)

    def write(self, result: Result) -> None:
        """Write one line."""
        self._file.write(encode(result, self._streams) + b"\n")

    def __enter__(self) -> JsonLinesSink:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close(keep=completes(kind))
