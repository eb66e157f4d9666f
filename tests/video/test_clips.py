"""Video files: turned, with uneven times, without a frame count, and damaged ones."""

from __future__ import annotations

import gc
import os
from pathlib import Path

import av
import numpy as np
import pytest

from gcpose_trt.assets import SAMPLE
from gcpose_trt.errors import GcposeError
from gcpose_trt.pose import PoseFrame
from gcpose_trt.video.clips import VideoSource
from gcpose_trt.video.frames import Frame, Result
from gcpose_trt.video.sinks import Mp4Sink
from tests.support.clips import corner_image, make_clip, set_display_matrix


def read(path: Path) -> tuple[list, VideoSource]:
    with VideoSource(path) as source:
        return list(source), source


def levels(count: int) -> list[np.ndarray]:
    return [np.full((48, 64, 3), 10 * index, np.uint8) for index in range(count)]


def test_frames_in_order_with_their_times(tmp_path: Path) -> None:
    frames, source = read(make_clip(tmp_path / "clip.mp4", levels(20)))
    assert (source.frames, source.rate, source.kind) == (20, 10.0, "video")
    assert [frame.index for frame in frames] == list(range(20))
    np.testing.assert_allclose([frame.time_s for frame in frames], np.arange(20) / 10, atol=1e-6)
    np.testing.assert_allclose([frame.image.mean() for frame in frames], 10 * np.arange(20), atol=4)
    assert source.warnings == []


# What a player does with (a b c d) of ISO/IEC 14496-12, applied to an image by NumPy.
@pytest.mark.parametrize(
    ("matrix", "turn"),
    [
        ((1, 0, 0, 1), lambda image: image),
        ((0, 1, -1, 0), lambda image: np.rot90(image, -1)),  # a quarter turn clockwise
        ((-1, 0, 0, -1), lambda image: np.rot90(image, 2)),
        ((0, -1, 1, 0), lambda image: np.rot90(image, 1)),
        ((-1, 0, 0, 1), lambda image: image[:, ::-1]),  # mirrored, as by a front camera
        ((1, 0, 0, -1), lambda image: image[::-1]),
        ((0, 1, 1, 0), lambda image: np.transpose(image, (1, 0, 2))),
    ],
)
def test_clips_are_turned_upright(tmp_path: Path, matrix: tuple[int, ...], turn) -> None:  # type: ignore[no-untyped-def]
    path = make_clip(tmp_path / "phone.mp4", [corner_image()] * 3)
    set_display_matrix(path, *matrix)
    frames, _ = read(path)
    wanted = turn(corner_image())
    assert frames[0].image.shape == wanted.shape
    assert frames[0].image.flags.c_contiguous
    assert np.abs(frames[0].image.astype(int) - wanted).mean() < 8


def test_uneven_times(tmp_path: Path) -> None:
    times = [0.0, 0.04, 0.5, 0.51, 2.0]
    frames, _ = read(make_clip(tmp_path / "uneven.mp4", levels(5), times))
    np.testing.assert_allclose([frame.time_s for frame in frames], times, atol=2e-3)


def test_times_count_from_the_first_frame(tmp_path: Path) -> None:
    frames, _ = read(make_clip(tmp_path / "late.ts", levels(5), [5.0, 5.1, 5.2, 5.3, 5.4]))
    np.testing.assert_allclose([frame.time_s for frame in frames], np.arange(5) / 10, atol=2e-3)


@pytest.mark.parametrize("name", ["clip.mkv", "clip.ts", "clip.h264"])
def test_unknown_frame_count(tmp_path: Path, name: str) -> None:
    frames, source = read(make_clip(tmp_path / name, levels(12)))
    assert source.frames is None
    assert len(frames) == 12
    assert source.warnings == []
    steps = np.diff([frame.time_s for frame in frames])
    assert (steps > 0).all()


def test_names_that_look_like_addresses(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    make_clip(tmp_path / "clip.mp4", levels(2)).rename("http:läufer %d.mp4")
    frames, _ = read(Path("http:läufer %d.mp4"))
    assert len(frames) == 2


def test_truncated_in_the_middle_gives_what_is_there(tmp_path: Path) -> None:
    data = SAMPLE.read_bytes()
    path = tmp_path / "half.mp4"
    path.write_bytes(data[: len(data) // 8])
    frames, source = read(path)
    assert 1 <= len(frames) < 100
    assert len(source.warnings) == 1
    assert f"read {len(frames)} of 230 frames" in source.warnings[0]
    assert str(path) in source.warnings[0]


def test_damage_in_the_middle_is_passed_over(tmp_path: Path) -> None:
    path = make_clip(
        tmp_path / "clip.mp4", [np.random.default_rng(n).integers(0, 256, (48, 64, 3), np.uint8) for n in range(40)]
    )
    data = bytearray(path.read_bytes())
    start = data.index(b"mdat") + len(data) // 3
    data[start : start + 4000] = os.urandom(4000)
    path.write_bytes(data)
    frames, source = read(path)
    assert 5 <= len(frames) <= 40
    assert len(source.warnings) <= 1, "one line, however many packets are bad"


@pytest.mark.parametrize("keep", [1, 40, 500, -300])
def test_truncated_to_nothing(tmp_path: Path, keep: int) -> None:
    path = make_clip(tmp_path / "clip.mp4", levels(20))
    path.write_bytes(path.read_bytes()[:keep])  # the index is at the end
    with pytest.raises(GcposeError, match="truncated") as caught:
        read(path)
    assert "\n" not in str(caught.value)


def test_index_without_frames(tmp_path: Path) -> None:
    path = make_clip(tmp_path / "clip.mp4", levels(20), movflags="faststart")
    data = path.read_bytes()
    path.write_bytes(data[: data.index(b"mdat") + 8])
    with pytest.raises(GcposeError, match="no frame can be read"):
        read(path)


@pytest.mark.parametrize(
    "content", [b"hello\n" * 100, b"#EXTM3U\n#EXTINF:1,\nother.ts\n", bytes(5000), np.random.default_rng(0).bytes(5000)]
)
@pytest.mark.parametrize("name", ["file.mp4", "file.txt", "file.m3u8"])
def test_not_a_video(tmp_path: Path, name: str, content: bytes) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(GcposeError, match=name):
        read(path)


def test_sound_only(tmp_path: Path) -> None:
    path = tmp_path / "sound.wav"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("pcm_s16le", rate=8000)
        sound = av.AudioFrame.from_ndarray(np.zeros((1, 800), np.int16), format="s16", layout="mono")
        sound.rate = 8000
        container.mux(stream.encode(sound))
        container.mux(stream.encode(None))
    with pytest.raises(GcposeError, match="has no video"):
        read(path)


@pytest.mark.parametrize("colour", [(200, 60, 60), (60, 200, 60), (60, 60, 200)])
def test_hd_colours(tmp_path: Path, colour: tuple[int, int, int]) -> None:
    frame = Frame(0, 0.0, np.full((48, 64, 3), colour, np.uint8), "x")
    with Mp4Sink(tmp_path / "hd.mp4", 10) as sink:  # tags its colours as BT.709
        sink.write(Result(frame, PoseFrame.empty(), picture=frame.image))
    frames, _ = read(tmp_path / "hd.mp4")
    assert np.abs(frames[0].image[24, 32].astype(int) - colour).max() < 6


def test_frames_that_were_used_are_gone_at_once(tmp_path: Path) -> None:
    path = make_clip(tmp_path / "clip.mp4", [np.full((48, 64, 3), 9 * index, np.uint8) for index in range(12)])
    gc.collect()
    before = [thing for thing in gc.get_objects() if isinstance(thing, av.VideoFrame)]  # other tests' frames
    gc.disable()  # what waits for the collector shows
    try:
        with VideoSource(path) as source:
            assert sum(1 for _ in source) == 12
        kept = [thing for thing in gc.get_objects() if isinstance(thing, av.VideoFrame)]
    finally:
        gc.enable()
    assert len(kept) - len(before) <= 2
