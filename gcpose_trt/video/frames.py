"""What sources yield and sinks take."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from gcpose_trt.pose.types import PoseFrame
from gcpose_trt.runtime.timing import Timing

Image = NDArray[np.uint8]


@dataclass(frozen=True)
class Frame:
    """One picture of a source.

    Attributes:
        index: 0, 1, ... in the source.
        time_s: seconds since the clip's first frame; None for images.
        image: (H, W, 3) BGR uint8, upright.
        source: path of the file that it comes from, or the address of a camera or stream, without passwords.
        stream: which of several sources that run side by side, 0, 1, ...
        captured: `time.perf_counter()` when the frame came from its device, network or file; None: nobody looked.
    """

    index: int
    time_s: float | None
    image: Image
    source: str
    stream: int = 0
    captured: float | None = None


@dataclass(frozen=True)
class Result:
    """A frame with what was found in it, as sinks take it.

    Attributes:
        frame: the frame, as captured.
        poses: its people.
        picture: (H, W, 3) BGR uint8 with the people drawn on it; None where no sink asked for pictures.
        timing: what the network took.
        latency_ms: from `frame.captured` until the poses were there; None where nobody looked.
        unix_time: seconds since 1970 when the frame was captured, by the machine's clock; None for files.
    """

    frame: Frame
    poses: PoseFrame
    picture: Image | None = None
    timing: Timing | None = None
    latency_ms: float | None = None
    unix_time: float | None = None


class Source(Protocol):
    """Pictures in order, read as they are asked for.

    Attributes:
        path: what was opened.
        kind: "video", "image" (one) or "images" (several).
        frames: how many there are, or None where the container does not say.
        rate: frames a second, nominal; None for images.
        warnings: what went wrong on the way without ending it, one line each; complete after the last frame.
    """

    path: Path
    kind: str
    frames: int | None
    rate: float | None
    warnings: list[str]

    def __iter__(self) -> Iterator[Frame]: ...

    def __enter__(self) -> Source: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


class Sink(Protocol):
    """Takes frames with their poses. `needs_picture` says whether it wants them drawn.

    A context manager: leaving it normally or by KeyboardInterrupt completes what was written, leaving it by another
    exception removes it.
    """

    needs_picture: bool

    def write(self, result: Result) -> None: ...

    def __enter__(self) -> Sink: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


def completes(kind: type[BaseException] | None) -> bool:
    """Say whether leaving a sink's block by an exception of this `kind` keeps what was written."""
    return kind is None or issubclass(kind, KeyboardInterrupt)
