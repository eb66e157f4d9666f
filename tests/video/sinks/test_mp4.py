"""Annotated clips: playable, at the right times, complete or not there."""

from __future__ import annotations

import errno
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from gcpose_trt.errors import GcposeError
from gcpose_trt.pose import PoseFrame
from gcpose_trt.video.frames import Frame, Result
from gcpose_trt.video.sinks import h264, mp4
from gcpose_trt.video.sinks.h264 import find_encoder, fit_even
from gcpose_trt.video.sinks.mp4 import Mp4Sink
from tests.support.clips import read_clip

NOBODY = PoseFrame.empty()


def plain(image: np.ndarray, poses: PoseFrame) -> np.ndarray:
    return image


def frame(index: int, time: float | None, level: Any = 100, shape: tuple[int, int] = (48, 64)) -> Frame:
    return Frame(index, time, np.full((*shape, 3), level, np.uint8), "clip.mp4")


def write(path: Path, frames: list[Frame], rate: float = 10) -> tuple[list[np.ndarray], list[float]]:
    with Mp4Sink(path, rate, plain) as sink:
        for item in frames:
            sink.write(Result(item, NOBODY))
    return read_clip(path)


def test_what_browsers_play(tmp_path: Path) -> None:
    path = tmp_path / "out.mp4"
    write(path, [frame(index, index / 10) for index in range(15)])
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        assert stream.codec_context.name == "h264"
        assert stream.codec_context.pix_fmt == "yuv420p"
        assert float(stream.average_rate) == pytest.approx(10)
        assert stream.frames == 15
    data = path.read_bytes()
    assert data.index(b"moov") < data.index(b"mdat"), "the index comes first"
    assert list(tmp_path.iterdir()) == [path]


def test_uneven_times_are_kept(tmp_path: Path) -> None:
    times = [0.0, 0.0333, 0.5, 0.51, 2.25]
    _, found = write(tmp_path / "out.mp4", [frame(index, time) for index, time in enumerate(times)])
    np.testing.assert_allclose(found, times, atol=1e-3)


def test_times_that_stand_still_or_go_back(tmp_path: Path) -> None:
    images, found = write(tmp_path / "out.mp4", [frame(n, time) for n, time in enumerate([0, 0.1, 0.1, 0.05, 0.3])])
    assert len(images) == 5
    assert (np.diff(found) > 0).all()
    assert found[-1] == pytest.approx(0.3, abs=1e-3)


def test_frames_without_times_follow_the_rate(tmp_path: Path) -> None:
    _, found = write(tmp_path / "out.mp4", [frame(index, None) for index in range(5)], rate=4)
    np.testing.assert_allclose(found, np.arange(5) / 4, atol=1e-3)


@pytest.mark.parametrize("colour", [(200, 60, 60), (60, 200, 60), (60, 60, 200), (128, 128, 128), (255, 255, 255)])
def test_colours_survive(tmp_path: Path, colour: tuple[int, int, int]) -> None:
    images, _ = write(tmp_path / "out.mp4", [frame(index, index / 10, colour) for index in range(3)])
    assert np.abs(images[1].reshape(-1, 3).mean(axis=0) - colour).max() < 6


@pytest.mark.parametrize(("shape", "even"), [((1, 1), (2, 2)), ((47, 65), (48, 66)), ((2, 301), (2, 302))])
def test_odd_sides(tmp_path: Path, shape: tuple[int, int], even: tuple[int, int]) -> None:
    images, _ = write(tmp_path / "out.mp4", [frame(index, index / 10, 200, shape) for index in range(3)])
    assert images[0].shape[:2] == even
    assert np.abs(images[2].astype(int) - 200).max() < 6


def test_fit_even_repeats_the_edge() -> None:
    image = np.arange(9, dtype=np.uint8).reshape(3, 3, 1).repeat(3, axis=2)
    padded = fit_even(image, (3, 3))
    assert padded.shape == (4, 4, 3)
    np.testing.assert_array_equal(padded[:3, :3], image)
    np.testing.assert_array_equal(padded[3, :3], image[2])


def test_a_change_of_size_in_the_middle(tmp_path: Path) -> None:
    images, _ = write(
        tmp_path / "out.mp4", [frame(0, 0, 50), frame(1, 0.1, 50, (96, 128)), frame(2, 0.2, 50, (33, 33))]
    )
    assert {image.shape for image in images} == {(48, 64, 3)}


def test_8k(tmp_path: Path) -> None:
    images, _ = write(tmp_path / "out.mp4", [frame(0, 0, 50, (4320, 7680))])
    assert images[0].shape == (4320, 7680, 3)


def test_ctrl_c_keeps_the_frames_so_far(tmp_path: Path) -> None:
    path = tmp_path / "out.mp4"
    with pytest.raises(KeyboardInterrupt), Mp4Sink(path, 10, plain) as sink:
        for index in range(7):
            sink.write(Result(frame(index, index / 10), NOBODY))
        raise KeyboardInterrupt
    assert len(read_clip(path)[0]) == 7


def test_an_error_leaves_nothing_and_spares_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "out.mp4"
    path.write_text("an older result")
    with pytest.raises(ZeroDivisionError), Mp4Sink(path, 10, plain) as sink:
        sink.write(Result(frame(0, 0), NOBODY))
        raise ZeroDivisionError
    assert path.read_text() == "an older result"
    assert list(tmp_path.iterdir()) == [path]


def test_no_frames_no_file(tmp_path: Path) -> None:
    with Mp4Sink(tmp_path / "out.mp4", 10, plain):
        pass
    assert list(tmp_path.iterdir()) == []


def test_full_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*args: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(mp4.os, "replace", full)
    with pytest.raises(GcposeError, match="No space left"), Mp4Sink(tmp_path / "out.mp4", 10, plain) as sink:
        sink.write(Result(frame(0, 0), NOBODY))
    assert list(tmp_path.iterdir()) == []


def test_unwritable(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(GcposeError, match="cannot write"):
        Mp4Sink(tmp_path / "file" / "out.mp4", 10, plain)


def test_encoders_are_tried_in_turn(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert find_encoder() == "libx264"
    monkeypatch.setattr(h264, "ENCODERS", {"no_such_encoder": {}, "libx264": {}})
    assert find_encoder() == "libx264"
    monkeypatch.setattr(h264, "ENCODERS", {"no_such_encoder": {}})
    with pytest.raises(GcposeError, match=r"no H\.264 encoder"):
        Mp4Sink(tmp_path / "out.mp4", 10, plain)
