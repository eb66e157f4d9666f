"""COCO's results format: one JSON array for an evaluation."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import IO

from gcpose_trt.errors import GcposeError
from gcpose_trt.evaluation.results import frame_to_results
from gcpose_trt.files import check_writable
from gcpose_trt.video.frames import Frame, Result, completes


class CocoResultsSink:
    """Writes keypoint results as COCO's evaluation, pycocotools and `gcpose-trt eval` read them.

    One object a person with `image_id`, `category_id` 1, `keypoints` (17 x, y, score; COCO counts from the centre of
    the first pixel, half a pixel less than a `PoseFrame`), `score`, `box` [x, y, width, height] and `box_score`; see
    `gcpose_trt.evaluation.frame_to_results`. The id of an image is its file's name where that is a number, as COCO's
    are (000000397133.jpg), else, and for clips and cameras, the number of the frame.

    The file appears under its name once it is complete, which it also is after Ctrl-C. Memory does not grow with the
    length of a clip.

    Args:
        path: the file, *.json.
        rank: what `score` is: "box", or "box*keypoints", that times the mean score of the joints.

    Raises:
        GcposeError: the file cannot be written.
    """

    needs_picture = False

    def __init__(self, path: Path, rank: str = "box") -> None:
        self.path = check_writable(path)
        self._partial = self.path.with_name(f".{self.path.name}.{os.getpid()}.part")
        self._rank = rank
        self._stream: IO[str] | None = None
        self._separator = "[\n"
        self._images: dict[int, str] = {}

    def write(self, result: Result) -> None:
        """Write the people of one frame."""
        image = self._image_id(result.frame)
        with self._errors():
            if self._stream is None:
                self._stream = self._partial.open("w", encoding="ascii")
            for entry in frame_to_results(image, result.poses, rank=self._rank):
                self._stream.write(self._separator + json.dumps(entry, separators=(",", ":")))
                self._separator = ",\n"

    def _image_id(self, frame: Frame) -> int:
        if frame.time_s is not None:
            return frame.index
        stem = Path(frame.source).stem
        number = int(stem) if stem.isascii() and stem.isdigit() and len(stem) <= 18 else frame.index
        other = self._images.setdefault(number, frame.source)
        if other != frame.source:
            raise GcposeError(
                f"{other} and {frame.source} would both have the image_id {number}; "
                "rename them, or give each folder a results file of its own"
            )
        return number

    def _finish(self) -> None:
        if self._stream is None:
            return
        with self._errors():
            self._stream.write("[]\n" if self._separator == "[\n" else "\n]\n")
            self._stream.close()
            os.replace(self._partial, self.path)

    def _discard(self) -> None:
        if self._stream is not None:
            with contextlib.suppress(OSError):  # closing writes what is left, to a disk that may be full
                self._stream.close()
            self._partial.unlink(missing_ok=True)

    @contextlib.contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise GcposeError(
                f"cannot write {self.path} ({error.strerror}); free some space or choose another folder"
            ) from error

    def __enter__(self) -> CocoResultsSink:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if completes(kind):
                self._finish()
        finally:
            self._discard()
