"""A thread a source: reads frames, puts them where the network takes them, and says how the source does."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, replace

from gcpose_trt.errors import GcposeError
from gcpose_trt.video.frames import Frame
from gcpose_trt.video.live.faults import Log, as_gcpose_error
from gcpose_trt.video.live.queues import Lanes, StoppedError
from gcpose_trt.video.live.statistics import Meters
from gcpose_trt.video.live_types import Capture, Controls, Status

READ_TIMEOUT_S = 2.0
_CLOSE_S = 5.0  # a driver that does not let go of a read is left alone after that


@dataclass(frozen=True)
class Arrival:
    """A frame that waits for the network.

    Attributes:
        unix_time: when it was captured, seconds since 1970; None for files.
        arrived: `time.perf_counter()` when it was put here.
    """

    frame: Frame
    unix_time: float | None
    arrived: float


class CaptureStage:
    """Reads one source until it ends, fails or is stopped.

    Args:
        capture: the source.
        stream: its number, and its lane.
        lanes: where its frames go.
        latest: a frame that nobody took makes way for the next, instead of that waiting.
        controls: whether the run is paused: files then wait for its end.
        meters: where frames and states are noted.
        log: gets one line whenever the state changes for the worse or back.
        alone: there is no other source, so the run ends with an error that ends this one: that is not logged, too.

    Attributes:
        error: why the source failed for good.
    """

    def __init__(
        self,
        capture: Capture,
        stream: int,
        lanes: Lanes[Arrival],
        *,
        latest: bool,
        controls: Controls,
        meters: Meters,
        log: Log,
        alone: bool = False,
    ) -> None:
        self.error: GcposeError | None = None
        self._capture, self._stream, self._lanes = capture, stream, lanes
        self._latest, self._controls, self._meters, self._log = latest, controls, meters, log
        self._state, self._alone = "starting", alone
        self._thread = threading.Thread(target=self._run, name=f"gcpose-capture-{stream}", daemon=True)

    def start(self) -> None:
        """Begin to read."""
        self._thread.start()

    def close(self) -> None:
        """Free the source and wait until its thread has ended."""
        try:
            self._capture.close()
        except Exception as error:
            self._log(str(as_gcpose_error(error, f"cannot close {self._capture.name}", "check the device")))
        if self._thread.ident is None:
            return
        self._thread.join(_CLOSE_S)
        if self._thread.is_alive():
            self._log(f"{self._capture.name} does not answer and was left alone; check the device")

    def _run(self) -> None:
        try:
            self._read_all()
        except StoppedError:
            self._become("ended")
        except Exception as error:
            if not self._lanes.takes(self._stream):  # closing it under the read made it fail
                self._become("ended")
                return
            self.error = as_gcpose_error(error, f"cannot read {self._capture.name}", "check the source")
            self._become("failed", str(self.error))
        finally:
            self._lanes.close(self._stream)

    def _read_all(self) -> None:
        while True:
            reading = self._capture.read(READ_TIMEOUT_S)
            if reading.status is Status.OK and reading.frame is not None:
                self._put(reading.frame)
            elif reading.status is Status.END:
                self._become("ended")
                return
            elif reading.status is Status.TIMEOUT:
                self._become("reconnecting", reading.message or f"{self._capture.name} sends nothing; check it")
            else:
                raise GcposeError(reading.message or f"{self._capture.name} failed; check the source")
            if not self._lanes.takes(self._stream):  # a source that times out does not meet `put`
                raise StoppedError

    def _put(self, frame: Frame) -> None:
        self._become("running")
        now = time.perf_counter()
        if frame.captured is None or frame.stream != self._stream:
            frame = replace(frame, captured=now if frame.captured is None else frame.captured, stream=self._stream)
        assert frame.captured is not None
        # The wall clock may jump; how long ago it was, the monotonic one knows.
        unix_time = time.time() - (now - frame.captured) if self._capture.live else None
        self._meters.captured(self._stream, frame.image.shape)
        if self._lanes.put(Arrival(frame, unix_time, now), self._stream, overwrite=self._overwrites) is not None:
            self._meters.dropped(self._stream)

    def _overwrites(self) -> bool:
        return self._capture.live if self._controls.settings.paused else self._latest

    def _become(self, state: str, message: str = "") -> None:
        if state == self._state:
            if message:  # how it goes on is shown, not logged
                self._meters.state(self._stream, state, message)
            return
        before, self._state = self._state, state
        self._meters.state(self._stream, state, message)
        if message and not (state == "failed" and self._alone):  # the run ends with that error
            self._log(message)
        elif before == "reconnecting" and state == "running":
            self._log(f"{self._capture.name} is back")
