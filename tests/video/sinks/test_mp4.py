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
from tests.video.sinks.common import full_disk

NOBODY = PoseFrame.empty()


def plain(frame: Frame, **more: Any) -> Result:
    """A result whose picture is the frame itself."""
    return Result(frame, NOBODY, picture=frame.image, **more)


def frame(index: int, time: float | None, level: Any = 100, shape: tuple[int, int] = (48, 64)) -> Frame:
    return Frame(index, time, np.full((*shape, 3), level, np.uint8), "clip.mp4")


def write(path: Path, frames: list[Frame], rate: float = 10) -> tuple[list[np.ndarray], list[float]]:
    with Mp4Sink(path, rate) as sink:
        for item in frames:
            sink.write(plain(item))
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


def test_a_turned_picture_is_not_stretched(tmp_path: Path) -> None:
    images, _ = write(tmp_path / "out.mp4", [frame(0, 0, 50), frame(1, 0.1, 200, (64, 48))])
    columns = images[1].mean(axis=(0, 2))
    bright = np.flatnonzero(columns > 100)
    assert (bright[0], bright[-1]) == (14, 49), "36 of 64 columns, in the middle"
    assert columns[:12].max() < 30


def test_8k(tmp_path: Path) -> None:
    images, _ = write(tmp_path / "out.mp4", [frame(0, 0, 50, (4320, 7680))])
    assert images[0].shape == (4320, 7680, 3)


def test_ctrl_c_keeps_the_frames_so_far(tmp_path: Path) -> None:
    path = tmp_path / "out.mp4"
    with pytest.raises(KeyboardInterrupt), Mp4Sink(path, 10) as sink:
        for index in range(7):
            sink.write(plain(frame(index, index / 10)))
        raise KeyboardInterrupt
    assert len(read_clip(path)[0]) == 7


def test_an_error_leaves_nothing_and_spares_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "out.mp4"
    path.write_text("an older result")
    with pytest.raises(ZeroDivisionError), Mp4Sink(path, 10) as sink:
        sink.write(plain(frame(0, 0)))
        raise ZeroDivisionError
    assert path.read_text() == "an older result"
    assert list(tmp_path.iterdir()) == [path]


def test_no_frames_no_file(tmp_path: Path) -> None:
    with Mp4Sink(tmp_path / "out.mp4", 10):
        pass
    assert list(tmp_path.iterdir()) == []


def test_full_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*args: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(mp4.os, "replace", full)
    with pytest.raises(GcposeError, match="No space left"), Mp4Sink(tmp_path / "out.mp4", 10) as sink:
        sink.write(plain(frame(0, 0)))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("size", [0, 30, 20_000, 270_000])
def test_a_disk_that_fills_up(tmp_path: Path, size: int) -> None:
    path = tmp_path / "out.mp4"
    path.write_text("an older result")
    noise = np.random.default_rng(0)
    with pytest.raises(GcposeError, match="cannot write") as caught, full_disk(size), Mp4Sink(path, 10) as sink:
        for index in range(60):
            sink.write(plain(frame(index, index / 10, noise.integers(0, 256, (96, 128, 3)), (96, 128))))
    assert "\n" not in str(caught.value)
    assert path.read_text() == "an older result"
    assert list(tmp_path.iterdir()) == [path]


def test_only_the_index_does_not_fit(tmp_path: Path) -> None:
    frames = [plain(frame(index, index / 10)) for index in range(60)]
    path = tmp_path / "out.mp4"
    with Mp4Sink(path, 10) as sink:
        for item in frames:
            sink.write(item)
    data = path.read_bytes()
    path.unlink()
    with pytest.raises(GcposeError, match="cannot write"), full_disk(len(data) - 100), Mp4Sink(path, 10) as sink:
        for item in frames:
            sink.write(item)
    assert list(tmp_path.iterdir()) == []


def test_unwritable(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(GcposeError, match="cannot write"):
        Mp4Sink(tmp_path / "file" / "out.mp4", 10)


def test_encoders_are_tried_in_turn(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert find_encoder() == "libx264"
    monkeypatch.setattr(h264, "ENCODERS", {"no_such_encoder": {}, "libx264": {}})
    assert find_encoder() == "libx264"
    monkeypatch.setattr(h264, "ENCODERS", {"no_such_encoder": {}})
    with pytest.raises(GcposeError, match=r"no H\.264 encoder"):
        Mp4Sink(tmp_path / "out.mp4", 10)


def test_the_picture_is_what_is_encoded(tmp_path: Path) -> None:
    path = tmp_path / "out.mp4"
    with Mp4Sink(path, 10) as sink:
        assert sink.needs_picture
        sink.write(Result(frame(0, 0.0, 20), NOBODY, picture=frame(0, 0.0, 200).image))
    assert read_clip(path)[0][0].mean() > 190
    with pytest.raises(GcposeError, match="without a picture"), Mp4Sink(path, 10) as sink:
        sink.write(Result(frame(0, 0.0), NOBODY))


def test_clocks_that_jump(tmp_path: Path) -> None:
    times = [1000.0, 1000.1, 50_000_000.0, 50_000_000.1, 3.0, 3.1, 63.1]
    _, found = write(tmp_path / "out.mp4", [frame(index, time) for index, time in enumerate(times)])
    np.testing.assert_allclose(found, [0, 0.1, 0.2, 0.3, 0.4, 0.5, 60.5], atol=1e-3)


def test_segments_of_a_clip(tmp_path: Path) -> None:
    with Mp4Sink(tmp_path / "out.mp4", 10, segment_minutes=1 / 60) as sink:
        for index in range(25):
            sink.write(plain(frame(index, index / 10, 10 * index)))
            assert len(list(tmp_path.glob("out_*.mp4"))) == index // 10, "each is complete as soon as the next begins"
    clips = [read_clip(tmp_path / f"out_{number:04d}.mp4") for number in range(3)]
    assert [len(images) for images, _ in clips] == [10, 10, 5]
    assert [times[0] for _, times in clips] == [0, 0, 0]
    levels = [image.mean() for images, _ in clips for image in images]
    np.testing.assert_allclose(levels, 10 * np.arange(25), atol=6)
    assert len(list(tmp_path.iterdir())) == 3


def test_segments_are_named_by_the_clock(tmp_path: Path) -> None:
    for _ in range(2):  # a second run, by a clock that was put back, costs nothing of the first
        with Mp4Sink(tmp_path / "out.mp4", 10, segment_minutes=1 / 60) as sink:
            for index in range(20):
                sink.write(plain(frame(index, index / 10), unix_time=1767225600.0 + index / 10))
    names = ["out_20260101T000000Z", "out_20260101T000001Z"]
    found = sorted(path.stem for path in tmp_path.iterdir())
    assert found == sorted([*names, *(f"{name}_2" for name in names)])


def test_a_full_disk_spares_earlier_segments(tmp_path: Path) -> None:
    noise = np.random.default_rng(0)
    sink = Mp4Sink(tmp_path / "out.mp4", 10, segment_minutes=1 / 60)
    with pytest.raises(GcposeError, match="out_0001"), sink, full_disk(50_000):
        for index in range(30):
            level = 100 if index < 10 else noise.integers(0, 256, (96, 128, 3))
            sink.write(plain(frame(index, index / 10, level, (96, 128))))
    assert [path.name for path in tmp_path.iterdir()] == ["out_0000.mp4"]
    assert len(read_clip(tmp_path / "out_0000.mp4")[0]) == 10
