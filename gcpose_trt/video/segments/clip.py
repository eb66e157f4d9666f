"""A video that is opened to read parts of it."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO

import av

from gcpose_trt.video.clips import nominal_rate, open_stream

_BACK = (
    0,
    1,
    4,
    16,
    64,
)  # seconds before a key frame at which to look for it, before all of the file is looked through


class Clip:
    """The first video stream of a file. A context manager; does not close a file object that it was given.

    Args:
        file: path on this machine, or a file object that can seek.
        name: what it is called in messages.

    Raises:
        GcposeError: missing, empty, damaged, or not a video.

    Attributes:
        frames: how many there are, None where the container does not say.
        rate: frames a second, nominal.
        time_base: seconds of a tick of time stamps.
    """

    def __init__(self, file: Path | BinaryIO, name: str) -> None:
        self.name = name
        self._file = file
        self._open()
        self.frames: int | None = self.stream.frames or None
        self.rate = nominal_rate(self.stream)
        self.time_base = float(self.stream.time_base)

    def _open(self) -> None:
        self.container, self.stream = open_stream(self._file, self.name)
        # One thread: what a decoder makes of damaged data must not depend on who came first, and several segments are
        # decoded side by side anyway.
        self.stream.thread_type = "NONE"
        self.stream.codec_context.thread_count = 1

    def restart(self) -> None:
        """Go to the start for sure: not every container can seek there.

        Raises:
            GcposeError: the file is not there any more.
        """
        self.container.close()
        if not isinstance(self._file, Path):
            self._file.seek(0)
        self._open()

    def packets(self) -> Iterator[Any]:
        """Yield the packets from where the stream stands, the empty one at the end included.

        Raises:
            av.error.FFmpegError, OSError: as reading goes on.
        """
        return iter(self.container.demux(self.stream))

    def packets_from(self, time: int) -> Iterator[Any]:
        """Yield the packets that have data, from about a time stamp on; none where that fails."""
        try:
            self.container.seek(max(time, self.stream.start_time or 0), stream=self.stream, backward=True)
            yield from (packet for packet in self.packets() if packet.size)
        except MemoryError:  # PyAV's is one of its other errors, too
            raise
        except (av.error.FFmpegError, OSError):
            return

    def all_packets(self) -> Iterator[Any]:
        """Yield the packets that have data, from the start to where reading fails."""
        self.restart()
        try:
            yield from (packet for packet in self.packets() if packet.size)
        except MemoryError:
            raise
        except (av.error.FFmpegError, OSError):
            return

    def enter(self, pts: int, patient: bool = True) -> Iterator[Any] | None:
        """Go to the key frame with this time stamp.

        Containers seek by time stamps of decoding, or by guessing from the bit rate, so the way goes farther to the
        front until the key frame is not passed.

        Args:
            pts: time stamp of showing.
            patient: look through all of the file if seeking does not find it.

        Returns:
            Packets from the key frame's on; None if there is no such key frame, or no way to it.
        """
        step = max(1, round(1 / self.time_base))
        ways = [self.packets_from(pts - step * back) for back in _BACK]
        for packets in [*ways, self.all_packets()] if patient else ways:
            for packet in packets:
                if packet.pts == pts and packet.is_keyframe:
                    return itertools.chain([packet], self.packets())
                if packet.dts is not None and packet.dts > pts:  # it would have come, nothing is shown before decoded
                    break
        return None

    def __enter__(self) -> Clip:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.container.close()
