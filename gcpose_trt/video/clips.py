"""Video files as a source, decoded by PyAV."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO

import av
import numpy as np
from av.video.reformatter import Colorspace, VideoReformatter

from gcpose_trt.errors import GcposeError
from gcpose_trt.video.frames import Frame, Image

_REMEDY = "give a video such as .mp4, .mov, .mkv or .avi"
# FFmpeg reads text files as pictures of a terminal, and playlists as what they point at.
_NO_VIDEO = {"tty", "hls", "concat", "ansi", "bin"}
# Titles in some old encoding must not keep a clip from being shown. PyAV 19 no longer decodes them strictly, nor takes
# the option.
_METADATA: dict[str, Any] = {} if int(av.__version__.split(".")[0]) >= 19 else {"metadata_errors": "replace"}
_BT709, _UNSPECIFIED = 1, 2  # ISO/IEC 23091-2's numbers of colour matrices


class VideoSource:
    """The frames of a video file, upright, with their presentation times.

    Raises:
        GcposeError: missing, empty, truncated so that nothing can be shown, or not a video.
    """

    kind = "video"

    def __init__(self, path: Path) -> None:
        self.path = path
        self.warnings: list[str] = []
        self._container, self._stream = open_stream(path, str(path))
        self._stream.thread_type = "AUTO"
        self.frames: int | None = self._stream.frames or None
        self.rate: float | None = nominal_rate(self._stream)

    def __iter__(self) -> Iterator[Frame]:
        start: float | None = None
        index = 0
        upright = Upright()
        for picture in self._decode():
            time = picture.time
            if time is None:
                time = (start or 0.0) + index / (self.rate or 25)
            start = time if start is None else start
            yield Frame(index, max(0.0, time - start), upright(picture), str(self.path))
            index += 1
        if index == 0:
            raise GcposeError(no_frames(str(self.path)))
        if self.warnings or (self.frames and index < 0.98 * self.frames):
            expected = f" of {self.frames}" if self.frames else ""
            why = f" ({self.warnings[0]})" if self.warnings else ""
            self.warnings[:] = [f"{self.path} is truncated or damaged{why}: read {index}{expected} frames"]

    def _decode(self) -> Iterator[Any]:
        """Yield decoded frames; damage is noted, what follows it in the file is still tried."""
        packets = self._container.demux(self._stream)
        while True:
            try:
                packet = next(packets)
            except StopIteration:
                return
            except (av.error.FFmpegError, OSError) as error:
                self._note(error)
                return
            try:
                yield from packet.decode()
            except av.error.EOFError:
                return
            except (av.error.FFmpegError, OSError) as error:
                self._note(error)

    def _note(self, error: Exception) -> None:
        self.warnings.append(reason_of(error))

    def __enter__(self) -> VideoSource:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._container.close()


def open_stream(file: Path | BinaryIO, name: str) -> tuple[Any, Any]:
    """Open a video.

    Args:
        file: path on this machine, or a file object that can seek.
        name: what it is called in messages.

    Returns:
        PyAV's container, to be closed, and the first video stream in it.

    Raises:
        GcposeError: see `VideoSource`.
    """
    try:
        # A file, whatever its name: FFmpeg would take "a:b.mp4" for an address.
        target: Any = f"file:{file}" if isinstance(file, Path) else file
        container = av.open(target, mode="r", **_METADATA)
    except FileNotFoundError:
        raise GcposeError(f"no file {name}; check the path") from None
    except MemoryError:
        raise
    except (av.error.FFmpegError, OSError, ValueError) as error:
        reason = reason_of(error)
        raise GcposeError(f"{name} is truncated, damaged or not a video ({reason}); {_REMEDY}") from error
    streams = container.streams.video
    if not streams or container.format.name in _NO_VIDEO:
        container.close()
        raise GcposeError(f"{name} has no video in it; {_REMEDY}")
    return container, streams[0]


def nominal_rate(stream: Any) -> float:
    """Return the frames a second that a stream of PyAV says it has; 25 where it says nothing."""
    return float(stream.average_rate or stream.guessed_rate or 25)


def reason_of(error: Exception) -> str:
    """Return what an error of PyAV or of the operating system says, without number and file name."""
    return getattr(error, "strerror", None) or str(error)


def no_frames(name: str) -> str:
    """Return the message about a video of which nothing can be shown."""
    return f"{name} is truncated or damaged, no frame can be read; {_REMEDY}"


class Upright:
    """Turns decoded frames of one stream into BGR uint8, as the container's display matrix says."""

    def __init__(self) -> None:
        self._seen: tuple[int, int, int] | None = None
        self._matrix: tuple[int, int, int, int] | None = None
        # One for all frames, and without threads: making either anew takes longer than the conversion.
        self._reformatter = VideoReformatter()

    def __call__(self, picture: Any) -> Image:
        """Return a frame of PyAV as (H, W, 3) BGR uint8, turned and mirrored."""
        # Said outright, because PyAV before 17 reads every clip as standard definition. An HD clip that does not say
        # what its colours are is shown as BT.709 by players, too.
        hd = picture.colorspace == _BT709 or (
            picture.colorspace == _UNSPECIFIED and min(picture.width, picture.height) >= 720
        )
        matrix = Colorspace.ITU709 if hd else Colorspace.ITU601
        converted: Any = self._reformatter.reformat(picture, format="bgr24", src_colorspace=matrix, threads=1)
        image: Image = converted.to_ndarray()
        turn = self._turn(picture)
        if turn is None:
            return image
        a, b, c, d = turn
        # The matrix maps a pixel (x, y) to (a x + c y, b x + d y); quarter turns and mirrors are all that files carry.
        if abs(b) > abs(a):
            image, a, d = np.transpose(image, (1, 0, 2)), c, b
        if a < 0:
            image = image[:, ::-1]
        if d < 0:
            image = image[::-1]
        return np.ascontiguousarray(image)

    def _turn(self, picture: Any) -> tuple[int, int, int, int] | None:
        # A frame whose side data was looked at is in a reference cycle with it and stays, with its megabytes, until
        # Python's collector happens to run. So only frames that may differ from the one before are looked at.
        seen = (picture.rotation, picture.width, picture.height)
        if seen != self._seen:
            self._seen = seen
            data = picture.side_data.get("DISPLAYMATRIX")
            self._matrix = None
            if data is not None:
                a, b, _, c, d = struct.unpack_from("=5i", bytes(data))
                self._matrix = a, b, c, d
        return self._matrix
