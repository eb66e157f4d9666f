"""What a video's parts hold, put together, is what reading it in one go gives: pixels, times and number of frames."""

from __future__ import annotations

from pathlib import Path

import av
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gcpose_trt.assets import SAMPLE
from gcpose_trt.video.segments import Clip, Notes, cutting, find_cuts, read_window
from gcpose_trt.video.segments.reading import within
from tests.support.clips import set_display_matrix
from tests.video.segments.support import FRAMES, Recipe, hide_key_frames, make, moving, parts, whole


def h264(open_gop: int, extra: str = "") -> dict[str, str]:
    group = f"keyint=10:min-keyint=10:scenecut=0:bframes=3:b-adapt=0:open-gop={open_gop}{extra}"
    return {"preset": "veryfast", "x264-params": group}


def hevc(open_gop: int) -> dict[str, str]:
    group = f"keyint=12:min-keyint=12:scenecut=0:bframes=4:b-adapt=0:open-gop={open_gop}"
    return {"preset": "ultrafast", "x265-params": f"{group}:log-level=none:pools=none:frame-threads=1"}


VP = {"g": "15", "deadline": "good", "cpu-used": "5", "b": "100k"}
UNEVEN = tuple(np.cumsum([0.02 + 0.1 * (n % 5 == 0) + 0.4 * (n == 17) for n in range(FRAMES)]).round(3).tolist())
LATE = tuple(5 + n / 25 for n in range(FRAMES))
REFRESH = {"preset": "veryfast", "x264-params": "intra-refresh=1:keyint=10:bframes=0"}

# The clip, and how many parts it has at most.
CLIPS = {
    "h264 closed": (Recipe(".mp4", "libx264", h264(0)), 6),
    "h264 open": (Recipe(".mp4", "libx264", h264(1)), 6),
    "h264 open, index first": (Recipe(".mp4", "libx264", h264(1), {"movflags": "faststart"}), 6),
    "h264 fragments": (Recipe(".mp4", "libx264", h264(0), {"movflags": "frag_keyframe+empty_moov"}), 6),
    "h264 open mkv": (Recipe(".mkv", "libx264", h264(1)), 6),
    "h264 open ts": (Recipe(".ts", "libx264", h264(1)), 6),
    "h264 flv": (Recipe(".flv", "libx264", h264(0)), 6),
    "hevc closed": (Recipe(".mp4", "libx265", hevc(0)), 5),
    "hevc open": (Recipe(".mp4", "libx265", hevc(1)), 5),
    "hevc open mkv": (Recipe(".mkv", "libx265", hevc(1)), 5),
    "hevc open ts": (Recipe(".ts", "libx265", hevc(1)), 5),
    "mpeg-4": (Recipe(".mp4", "mpeg4", {"g": "9", "bf": "2"}), 7),
    "mpeg-4 avi": (Recipe(".avi", "mpeg4", {"g": "9", "bf": "2"}), 7),
    "mpeg-2 ts": (Recipe(".ts", "mpeg2video", {"g": "9", "bf": "2"}), 7),
    "vp8": (Recipe(".webm", "libvpx", VP), 4),
    "vp9": (Recipe(".webm", "libvpx-vp9", VP), 4),
    "av1": (Recipe(".mp4", "libsvtav1", {"g": "15", "preset": "12", "svtav1-params": "lp=1"}), 4),
    "mjpeg avi": (Recipe(".avi", "mjpeg", pix_fmt="yuvj420p"), FRAMES),
    "uneven mp4": (Recipe(".mp4", "libx264", h264(1), times=UNEVEN), 6),
    "uneven mkv": (Recipe(".mkv", "libx264", h264(0), times=UNEVEN), 6),
    "late mp4": (Recipe(".mp4", "libx264", h264(1), times=LATE), 6),
    "late ts": (Recipe(".ts", "libx264", h264(1), times=LATE), 6),
    # What cannot be cut.
    "one key frame": (Recipe(".mp4", "libx264", {"preset": "ultrafast"}), 1),
    "gradual refresh": (Recipe(".ts", "libx264", REFRESH), 1),
    "gradual refresh mp4": (Recipe(".mp4", "libx264", REFRESH), 1),
    "bare h264": (Recipe(".h264", "libx264", h264(0)), 1),
    "bare mjpeg": (Recipe(".mjpeg", "mjpeg", pix_fmt="yuvj420p"), 1),
    "mpeg-2 of several frames a packet": (Recipe(".mpg", "mpeg2video", {"g": "9", "bf": "2"}), 1),
    "gif": (Recipe(".gif", "gif", pix_fmt="rgb8"), 1),
}


@pytest.fixture(scope="module", params=CLIPS)
def clip(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, int]:
    recipe, most = CLIPS[request.param]
    return make(tmp_path_factory.mktemp("clips") / f"clip{recipe.suffix}", recipe), most


def check(path: Path, seconds: float) -> int:
    """Compare the parts of a video with all of it; return how many they are."""
    images, times = whole(path)
    found = parts(path, seconds)
    assert all(found), "a part without frames"
    frames = [frame for part in found for frame in part]
    assert len(frames) == len(images)
    np.testing.assert_allclose([time - frames[0][0] for time, _ in frames], times, rtol=0, atol=1e-9)
    for (_, image), wanted in zip(frames, images, strict=True):
        np.testing.assert_array_equal(image, wanted)
    return len(found)


def test_cut_at_every_key_frame(clip: tuple[Path, int]) -> None:
    path, most = clip
    assert check(path, 0.001) == most


def test_one_part(clip: tuple[Path, int]) -> None:
    assert check(clip[0], 1000.0) == 1


@settings(max_examples=5, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(seconds=st.floats(0.02, 4.0))
def test_any_length(clip: tuple[Path, int], seconds: float) -> None:
    check(clip[0], seconds)


@pytest.mark.parametrize("name", ["h264 open", "hevc open"])
def test_the_clips_have_leading_frames(name: str, tmp_path: Path) -> None:
    path = make(tmp_path / "clip.mp4", CLIPS[name][0])
    with av.open(str(path)) as container:
        packets = [packet for packet in container.demux(video=0) if packet.size]
    keys = [index for index, packet in enumerate(packets) if packet.is_keyframe]
    leading = [packets[index + 1].pts < packets[index].pts for index in keys[1:]]
    assert all(leading) and len(leading) >= 4, "else nothing that is special about open groups was tried"


def test_hidden_frames(tmp_path: Path) -> None:
    plain = make(tmp_path / "plain.webm", CLIPS["vp9"][0])
    path = hide_key_frames(plain, tmp_path / "hidden.webm")
    assert len(whole(path)[0]) == FRAMES - 4
    assert check(path, 0.1) == 4


@pytest.mark.parametrize("name", ["h264 open", "h264 open mkv", "mpeg-4 avi", "uneven mp4"])
def test_without_an_index_the_cuts_are_the_same(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = make(tmp_path / f"clip{CLIPS[name][0].suffix}", CLIPS[name][0])
    with Clip(path, "clip") as clip:
        wanted = find_cuts(clip, 0.1)
    assert len(wanted) == CLIPS[name][1] - 1
    monkeypatch.setattr(cutting, "_scanned", None)
    with Clip(path, "clip") as clip:
        assert find_cuts(clip, 0.1) == wanted, "it was the index that gave them"
    monkeypatch.undo()
    monkeypatch.setattr(cutting, "_INDEXED", frozenset())  # as before PyAV 18
    with Clip(path, "clip") as clip:
        assert find_cuts(clip, 0.1) == wanted


def test_turned_clips(tmp_path: Path) -> None:
    path = make(tmp_path / "phone.mp4", CLIPS["h264 open"][0])
    set_display_matrix(path, 0, 1, -1, 0)
    assert check(path, 0.5) == 5
    assert parts(path, 0.5)[2][0][1].shape == (96, 64, 3)


def test_sample() -> None:
    assert check(SAMPLE, 2.0) == 4


def test_a_start_that_is_no_key_frame_is_read_the_long_way(tmp_path: Path) -> None:
    path = make(tmp_path / "clip.mp4", CLIPS["h264 open"][0])
    images, _ = whole(path)
    with Clip(path, "clip") as clip:
        tick = round(1 / 25 / clip.time_base)
        found = list(read_window(clip, 13 * tick, 17 * tick, Notes()))
    assert [round(25 * time) for time, _ in found] == [13, 14, 15, 16]
    for (_, image), wanted in zip(found, images[13:17], strict=True):
        np.testing.assert_array_equal(image, wanted)


def test_time_stamps_that_jump_back_are_not_cut(tmp_path: Path) -> None:
    parts_of = Recipe(".ts", "libx264", h264(0))
    once = make(tmp_path / "once.ts", parts_of, moving(30)).read_bytes()
    path = tmp_path / "twice.ts"
    path.write_bytes(once + once)  # recordings are joined like this
    images, _ = whole(path)
    found = parts(path, 0.1)
    assert len(images) >= 59
    assert len(found) == 1
    assert len(found[0]) == len(images)


def test_a_wrong_time_stamp_costs_one_frame_only(tmp_path: Path) -> None:
    path = make(tmp_path / "clip.ts", CLIPS["h264 open ts"][0])
    with Clip(path, "clip") as clip:
        cuts = find_cuts(clip, 0.1)
        packets = list(clip.all_packets())
    for packet in packets:
        if packet.pts == cuts[0] + 7200:  # two frames after the first cut
            packet.pts += 90_000_000
    found = list(within(iter(packets), None, cuts[2], Notes()))
    assert len(found) == 29
