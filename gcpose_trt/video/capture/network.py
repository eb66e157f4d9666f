"""Streams over a network, through PyAV."""

from __future__ import annotations

import errno
import socket
import time
import urllib.parse
from collections.abc import Iterator
from typing import Any

import av

from gcpose_trt.errors import GcposeError
from gcpose_trt.video.capture.feed import Grabbed, note
from gcpose_trt.video.clips import Upright

# Each frame is shown when it is complete. Not FFmpeg's "nobuffer": it throws away what was read to find out what the
# stream is, often its only key frame for seconds, and saves nothing here, where a backlog is decoded at once.
_LOW_LATENCY = {"fflags": "discardcorrupt", "flags": "low_delay", "analyzeduration": "1000000"}
_RTSP = {"rtsp_transport": "tcp"}  # over UDP, one lost packet smears a picture; firewalls often drop all of them
_DAMAGED = 100  # packets in a row that cannot be decoded: garbage, or a codec that is not supported


class ProtocolMissingError(GcposeError):
    """PyAV's FFmpeg was built without what this address needs."""


class NetworkDevice:
    """An open stream, as a `Device`.

    An address whose length is known, such as that of a clip or an image on a web server, is a file: not live.

    Args:
        address: with its password.
        shown: without it.
        timeout_s: for opening, and for each packet.

    Raises:
        GcposeError: nobody answers, refused, not found, no video in it.
        ProtocolMissingError: PyAV lacks the protocol.
    """

    def __init__(self, address: str, shown: str, timeout_s: float) -> None:
        self._shown, self._timeout_s = shown, timeout_s
        self.warnings: list[str] = []
        self._container = self._open(address)
        streams = self._container.streams.video
        if not streams:
            self._container.close()
            raise GcposeError(f"{shown} has no video in it; check the address")
        self._stream = streams[0]
        # Threads that decode frames side by side hold back as many frames as they are.
        self._stream.thread_type = "SLICE"
        still = self._container.format.name.endswith("_pipe") or self._container.format.name == "image2"
        self.live = not still and self._container.duration is None
        self.kind = "image" if still else "stream" if self.live else "video"
        self.frames: int | None = 1 if still else (self._stream.frames or None) if not self.live else None
        rate = self._stream.average_rate or self._stream.guessed_rate
        self.rate: float | None = None if still else min(float(rate), 240.0) if rate else 25.0
        self._pictures = self._decode()

    def grab(self) -> Grabbed | None:
        """See `Device.grab`."""
        return next(self._pictures, None)

    def interrupt(self) -> None:
        """Do nothing: FFmpeg looks only at its own time limit, which is short."""

    def release(self) -> None:
        """See `Device.release`."""
        self._container.close()

    def _open(self, address: str) -> Any:
        options = dict(_LOW_LATENCY)
        began = time.monotonic()
        if address.lower().startswith("rtsp"):
            options |= _RTSP
        try:
            return av.open(address, mode="r", options=options, timeout=(self._timeout_s, self._timeout_s))
        except av.error.ProtocolNotFoundError as error:
            scheme = urllib.parse.urlsplit(address).scheme
            raise ProtocolMissingError(
                f"the package av cannot read {scheme}://; install ffmpeg (apt-get install ffmpeg)"
            ) from error
        except (av.error.FFmpegError, OSError, ValueError) as error:
            late = time.monotonic() - began >= self._timeout_s  # FFmpeg's RTSP calls that invalid data
            reason = self._silence() if late else _unknown_machine(error, address) or self._reason(error)
            raise GcposeError(f"cannot open {self._shown}: {reason}; check the address and the camera") from error

    def _decode(self) -> Iterator[Grabbed]:
        packets = self._container.demux(self._stream)
        start: float | None = None
        damaged = 0
        upright = Upright()
        while True:
            try:
                packet = next(packets)
                captured = time.perf_counter()
            except StopIteration:
                return
            except av.error.InvalidDataError as error:
                damaged = self._tolerate(damaged, error)
                packets = self._container.demux(self._stream)  # a generator that raised is over
                continue
            except (av.error.FFmpegError, OSError) as error:
                raise GcposeError(f"lost {self._shown}: {self._reason(error)}; check its connection") from error
            try:
                pictures = packet.decode()
            except (av.error.FFmpegError, OSError) as error:
                damaged = self._tolerate(damaged, error)
                continue
            for picture in pictures:
                damaged = 0
                start = picture.time if start is None else start
                yield Grabbed(upright(picture), captured, self._time(picture, start))

    def _time(self, picture: Any, start: float | None) -> float | None:
        if self.live or picture.time is None or start is None:
            return None
        return max(0.0, picture.time - start)

    def _tolerate(self, damaged: int, error: Exception) -> int:
        note(self.warnings, f"{self._shown}: some pictures are damaged ({self._reason(error)})")
        if damaged + 1 >= _DAMAGED:
            raise GcposeError(f"{self._shown} sends nothing that can be read; check what the camera sends") from error
        return damaged + 1

    def _reason(self, error: Exception) -> str:
        if isinstance(error, av.error.ExitError):  # how FFmpeg calls being stopped by the time limit
            return self._silence()
        # Not str(error), which holds the address with its password.
        return getattr(error, "strerror", None) or type(error).__name__

    def _silence(self) -> str:
        return f"no answer within {self._timeout_s:g} s"


def _unknown_machine(error: Exception, address: str) -> str:
    """Return why a name could not be looked up, which FFmpeg only calls an input or output error; else nothing."""
    host = urllib.parse.urlsplit(address).hostname
    if getattr(error, "errno", None) != errno.EIO or not host:
        return ""
    try:
        socket.getaddrinfo(host, None)
    except OSError as reason:
        return f"{host} is not known ({reason.strerror})"
    return ""
