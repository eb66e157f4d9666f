"""Scaling, turning and thinning out."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from gcpose_trt.video.capture import open_capture
from gcpose_trt.video.capture.transform import TransformedCapture
from gcpose_trt.video.capture.uri import CaptureOptions
from gcpose_trt.video.frames import Frame
from gcpose_trt.video.live_types import Reading, Status
from tests.support.clips import corner_image, make_clip
from tests.video.capture.support import drain, picture


class Scripted:
    """A capture that gives frames at the times it is told."""

    name, uri, kind, path, live, rate = "camera", "v4l2:///dev/video0", "camera", None, True, 30.0
    reconnects = 0

    def __init__(self, times: list[float]) -> None:
        self.frames: int | None = len(times)
        self.warnings: list[str] = []
        self._left = [Frame(number, time, picture(9), self.uri) for number, time in enumerate(times)]
        self.closed = False

    def read(self, timeout: float) -> Reading:
        return Reading(Status.OK, self._left.pop(0)) if self._left else Reading(Status.END)

    def close(self) -> None:
        self.closed = True


TURNS = {
    "none": lambda image: image,
    "horizontal": lambda image: cv2.flip(image, 1),
    "vertical": lambda image: cv2.flip(image, 0),
    "rotate-90": lambda image: cv2.rotate(image, cv2.ROTATE_90_CLOCKWISE),
    "rotate-180": lambda image: cv2.rotate(image, cv2.ROTATE_180),
    "rotate-270": lambda image: cv2.rotate(image, cv2.ROTATE_90_COUNTERCLOCKWISE),
}


@pytest.mark.parametrize("flip", TURNS)
def test_turns(tmp_path: Path, flip: str) -> None:
    path = tmp_path / "corner.png"
    cv2.imwrite(str(path), corner_image())
    frames, _ = drain(open_capture(f"{path}#flip={flip}"))
    np.testing.assert_array_equal(frames[0].image, TURNS[flip](corner_image()))
    assert frames[0].image.flags.c_contiguous


@pytest.mark.parametrize("size", [(32, 24), (128, 100)])
def test_scaled_before_it_is_turned(tmp_path: Path, size: tuple[int, int]) -> None:
    path = make_clip(tmp_path / "clip.mp4", [picture(100)] * 2)
    frames, _ = drain(open_capture(f"{path}#size={size[0]}x{size[1]}&flip=rotate-90"))
    assert frames[0].image.shape == (size[0], size[1], 3)
    assert abs(float(frames[0].image.mean()) - 100) < 4


@pytest.mark.parametrize(
    ("fps", "wanted"), [(30.0, 300), (15.0, 150), (10.0, 100), (25.0, 250), (7.0, 70), (60.0, 300)]
)
def test_no_more_frames_than_asked_for(fps: float, wanted: int) -> None:
    random = np.random.default_rng(0)
    times = (np.arange(300) / 30 + random.uniform(-0.003, 0.003, 300)).tolist()
    capture = TransformedCapture(Scripted(times), CaptureOptions(fps=fps))
    frames, last = drain(capture)
    assert last.status is Status.END
    assert abs(len(frames) - wanted) <= 0.04 * wanted
    assert capture.rate == min(fps, 30.0)
    assert capture.frames == (None if fps < 30 else 300)
    assert [frame.index for frame in frames] == [times.index(frame.time_s or 0) for frame in frames]


def test_after_a_gap_frames_do_not_come_in_a_burst() -> None:
    times = [number / 30 for number in range(30)] + [10 + number / 30 for number in range(30)]
    frames, _ = drain(TransformedCapture(Scripted(times), CaptureOptions(fps=10)))
    assert np.diff([frame.time_s or 0 for frame in frames]).min() > 0.06


def test_nothing_left_out_blocks_for_longer_than_asked() -> None:
    capture = TransformedCapture(Scripted([0.0] * 5), CaptureOptions(fps=1))
    assert capture.read(0).status is Status.OK
    reading = capture.read(0)
    assert reading.status is Status.TIMEOUT and reading.message
    capture.close()
    assert capture._inner.closed  # type: ignore[attr-defined]
