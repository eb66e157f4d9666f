"""What the parts of a live system hand to each other: readings, settings, statistics."""

from __future__ import annotations

import enum
import threading
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Protocol

from gcpose_trt.errors import GcposeError
from gcpose_trt.video.frames import Frame


class Status(enum.Enum):
    """How an attempt to read a frame ended."""

    OK = "ok"
    END = "end"
    TIMEOUT = "timeout"
    ERROR = "error"


@dataclass(frozen=True)
class Reading:
    """One attempt to read.

    Attributes:
        status: END and ERROR are final, except that whoever reconnects may try again after an ERROR.
        frame: of an OK.
        message: of a TIMEOUT or an ERROR: one line for people, ending with what to do.
    """

    status: Status
    frame: Frame | None = None
    message: str = ""


class Capture(Protocol):
    """Frames of one source, one `read` at a time.

    Attributes:
        name: short; usable as a file name: "video0", "street", "camera.local".
        uri: for people; without passwords.
        kind: "camera", "stream", "pattern", "video", "image" or "images".
        path: of what was opened, where it is a file or a folder.
        live: frames come at their own pace, and an old one is worth nothing.
        frames: how many there will be, or None where nobody knows.
        rate: frames a second, nominal; None for images.
        warnings: what went wrong without ending it, one line each.
        reconnects: how often a lost connection came back.
    """

    name: str
    uri: str
    kind: str
    path: Path | None
    live: bool
    frames: int | None
    rate: float | None
    warnings: list[str]
    reconnects: int

    def read(self, timeout: float) -> Reading:
        """Wait at most `timeout` seconds for the next frame. Called from one thread."""
        ...

    def close(self) -> None:
        """Free the source. From any thread, any number of times; a read under way ends soon with END."""
        ...


@dataclass(frozen=True)
class Settings:
    """What may be changed while it runs.

    Attributes:
        min_score: people below this score are left out, 0..1.
        smooth: smoothing of joints over time, 0 (none) to 1 (most).
        paused: nothing is estimated; live sources go on being emptied.
        blur_heads: heads are made unrecognisable in every picture that leaves the program.
    """

    min_score: float = 0.3
    smooth: float = 0.0
    paused: bool = False
    blur_heads: bool = False


class Controls:
    """The settings, shared by threads: the pipeline reads them each frame, the page changes them."""

    def __init__(self, settings: Settings) -> None:
        self._lock = threading.Lock()
        self._settings = _checked(settings)

    @property
    def settings(self) -> Settings:
        """The settings as they are now."""
        with self._lock:
            return self._settings

    def update(self, **changes: Any) -> Settings:
        """Change some settings and return all.

        Raises:
            GcposeError: no such setting, a wrong type, or a value out of range; then nothing changes.
        """
        with self._lock:
            unknown = sorted(set(changes) - set(asdict(self._settings)))
            if unknown:
                known = ", ".join(asdict(self._settings))
                raise GcposeError(f"no setting is called {unknown[0]!r}; choose from {known}")
            self._settings = _checked(replace(self._settings, **changes))
            return self._settings


def _checked(settings: Settings) -> Settings:
    for name, value in asdict(settings).items():
        if isinstance(getattr(Settings, name), bool):
            if not isinstance(value, bool):
                raise GcposeError(f"{name} is {value!r}; choose true or false")
        elif isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value <= 1:
            raise GcposeError(f"{name} is {value!r}; choose a number from 0 to 1")
    return settings


@dataclass(frozen=True)
class SourceStatistics:
    """How one source does. Rates and latencies are of the last seconds, counts since the start.

    Attributes:
        state: "starting", "running", "paused", "reconnecting", "ended" or "failed".
        message: why it does not run; empty while it does.
        width, height: of its frames; 0 before the first.
        captured, estimated, dropped: frames. Dropped ones were captured, but too old when their turn came.
        source_fps, inference_fps: frames a second.
        latency_p50_ms, latency_p99_ms: from capture to poses; None before the first.
        people: in the latest frame.
    """

    name: str
    uri: str
    live: bool
    state: str
    message: str
    width: int
    height: int
    captured: int
    estimated: int
    dropped: int
    reconnects: int
    source_fps: float
    inference_fps: float
    latency_p50_ms: float | None
    latency_p99_ms: float | None
    people: int


@dataclass(frozen=True)
class SinkStatistics:
    """How one sink does.

    Attributes:
        stream: the source whose frames it takes; None takes all.
        state: "running", "failed" or "closed".
        message: why it failed.
        dropped: frames that it was too slow for.
    """

    name: str
    stream: int | None
    state: str
    message: str
    written: int
    dropped: int


@dataclass(frozen=True)
class Snapshot:
    """How the whole does at one moment.

    Attributes:
        uptime_s: seconds since the start.
        device: such as "cpu" or "cuda:0".
        failures: frames for which the network failed.
        stages_ms: median milliseconds a frame of each stage, over the last seconds: "wait", "preprocess", "detector",
            "pose", "postprocess", "track", "draw".
    """

    uptime_s: float
    model: str
    backend: str
    precision: str
    device: str
    settings: Settings
    failures: int
    stages_ms: dict[str, float]
    sources: tuple[SourceStatistics, ...]
    sinks: tuple[SinkStatistics, ...]

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for JSON."""
        return asdict(self)
