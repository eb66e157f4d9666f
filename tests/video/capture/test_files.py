"""Files as captures: once, again and again, damaged, closed in between."""

from __future__ import annotations

import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest

from gcpose_trt.errors import GcposeError
from gcpose_trt.video.capture import CaptureOptions, open_capture
from gcpose_trt.video.live_types import Status
from tests.support.clips import make_clip
from tests.video.capture.support import drain, picture


def clip(folder: Path, frames: int = 6) -> Path:
    return make_clip(folder / "clip.mp4", [picture(20 * number) for number in range(frames)])


def test_a_clip_comes_whole_and_at_any_pace(tmp_path: Path) -> None:
    path = clip(tmp_path)
    capture = open_capture(str(path), stream=2)
    frames, last = drain(capture)
    assert (capture.kind, capture.live, capture.path, capture.frames, capture.rate) == ("video", False, path, 6, 10.0)
    assert [frame.index for frame in frames] == list(range(6))
    np.testing.assert_allclose([frame.image.mean() for frame in frames], 20 * np.arange(6), atol=4)
    assert {frame.stream for frame in frames} == {2} and all(frame.captured for frame in frames)
    assert last.status is Status.END and capture.read(0).status is Status.END
    capture.close()


def test_loops_go_on_counting(tmp_path: Path) -> None:
    capture = open_capture(f"{clip(tmp_path)}#loop=2")
    frames, last = drain(capture)
    assert capture.frames == 18 and last.status is Status.END
    assert [frame.index for frame in frames] == list(range(18))
    np.testing.assert_allclose([frame.time_s or 0 for frame in frames], np.arange(18) / 10, atol=2e-3)
    np.testing.assert_allclose(frames[13].image.mean(), 20, atol=4)


def test_for_ever_is_until_closed(tmp_path: Path) -> None:
    capture = open_capture(str(clip(tmp_path)), CaptureOptions(loop=-1))
    readings = [capture.read(1) for _ in range(50)]
    assert capture.frames is None
    assert all(reading.status is Status.OK for reading in readings)
    capture.close()
    capture.close()
    assert capture.read(1).status is Status.END


def test_images_have_no_time(tmp_path: Path) -> None:
    for number in range(3):
        cv2.imwrite(str(tmp_path / f"{number}.png"), picture(50 * number))
    capture = open_capture(f"{tmp_path}/*.png#loop=1&fps=1")
    frames, _ = drain(capture)
    assert (capture.kind, capture.rate, capture.frames) == ("images", None, 6)
    assert [frame.time_s for frame in frames] == [None] * 6
    assert [int(frame.image.mean()) for frame in frames] == [0, 50, 100] * 2


def test_damage_is_a_warning_said_once(tmp_path: Path) -> None:
    whole = make_clip(tmp_path / "clip.ts", [picture(20 * number) for number in range(12)])
    data = bytearray(whole.read_bytes())
    data[len(data) // 2 : len(data) // 2 + 800] = bytes(800)
    whole.write_bytes(data)
    capture = open_capture(f"{whole}#loop=2")
    frames, last = drain(capture)
    assert last.status is Status.END and len(frames) >= 9
    assert len(capture.warnings) <= 1


def test_a_file_that_vanishes_between_two_rounds(tmp_path: Path) -> None:
    path = clip(tmp_path)
    capture = open_capture(f"{path}#loop=1")
    for _ in range(6):
        assert capture.read(1).status is Status.OK
    path.unlink()
    reading = capture.read(1)
    assert reading.status is Status.ERROR and f"no file {path}; check" in reading.message
    assert capture.read(1) == reading
    capture.close()


def test_nothing_there(tmp_path: Path) -> None:
    with pytest.raises(GcposeError, match="no file"):
        open_capture(str(tmp_path / "none.mp4"))
    broken = tmp_path / "broken.mp4"
    shutil.copy(clip(tmp_path), broken)
    broken.write_bytes(broken.read_bytes()[:300])
    with pytest.raises(GcposeError, match="truncated"):
        open_capture(f"file://{broken}")
