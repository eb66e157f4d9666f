"""Names of sources, the options behind them, and what must not be shown."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gcpose_trt.errors import GcposeError
from gcpose_trt.video.capture.uri import GRAMMAR, CaptureOptions, mask, parse, safe_name


@pytest.mark.parametrize(
    ("uri", "scheme", "target", "name"),
    [
        ("0", "v4l2", "/dev/video0", "video0"),
        ("12", "v4l2", "/dev/video12", "video12"),
        ("v4l2:///dev/video1", "v4l2", "/dev/video1", "video1"),
        ("v4l2://2", "v4l2", "/dev/video2", "video2"),
        ("/dev/video3", "v4l2", "/dev/video3", "video3"),
        ("v4l2:///dev/v4l/by-id/usb-Cam-0", "v4l2", "/dev/v4l/by-id/usb-Cam-0", "usb-Cam-0"),
        ("csi://1", "csi", "1", "csi1"),
        ("rtsp://camera.local/street", "stream", "rtsp://camera.local/street", "camera.local"),
        ("HTTP://u:p@10.0.0.7:81/v", "stream", "HTTP://u:p@10.0.0.7:81/v", "10.0.0.7"),
        ("gst:videotestsrc ! a", "gst", "videotestsrc ! a", "gst"),
        ("gst://videotestsrc", "gst", "videotestsrc", "gst"),
        ("pattern://", "pattern", "", "pattern"),
        ("pattern://?people=3", "pattern", "people=3", "pattern"),
        ("clip.mp4", "file", "clip.mp4", "clip"),
        ("a b/my clip (1).mp4", "file", "a b/my clip (1).mp4", "my_clip_1"),
        ("file:///tmp/a%20b.mp4", "file", "/tmp/a b.mp4", "a_b"),
        ("photos/*.jpg", "file", "photos/*.jpg", "source"),
        ("C:odd:name.png", "file", "C:odd:name.png", "C_odd_name"),
    ],
)
def test_every_kind_of_name(uri: str, scheme: str, target: str, name: str) -> None:
    address = parse(uri)
    assert (address.scheme, address.target, address.name) == (scheme, target, name)
    assert address.options == CaptureOptions()


@pytest.mark.parametrize(
    "uri",
    [
        *("", " ", "gst:", "csi://front", "csi://", "v4l2://dev", "foo://bar", "pattern://people=2"),
        *("rtsp://", "rtsp:///street", "http://host:port/x", "file://other/a.mp4"),
    ],
)
def test_names_that_are_refused_in_one_line(uri: str) -> None:
    with pytest.raises(GcposeError, match="; ") as caught:
        parse(uri)
    assert "\n" not in str(caught.value)


def test_options_behind_a_name_win_over_flags() -> None:
    flags = CaptureOptions(fps=30, flip="vertical", loop=2)
    address = parse("rtsp://camera/x#fps=15&size=640x480&reconnect=no&timeout=2.5", flags)
    assert address.target == "rtsp://camera/x"
    assert address.options == CaptureOptions((640, 480), 15.0, "vertical", 2, None, 2.5, False)
    assert parse("clip.mp4#loop=-1&codec=h264").options == CaptureOptions(loop=-1, codec="h264")


def test_other_hashes_belong_to_the_name(tmp_path: Path) -> None:
    assert parse("take#2.mp4").target == "take#2.mp4"
    assert parse("take#fps=2&colour=red").target == "take#fps=2&colour=red"
    assert parse("#fps=2").target == "#fps=2"
    there = tmp_path / "take#fps=2"
    there.touch()
    assert parse(str(there)).target == str(there)
    assert parse(f"{there}#fps=3").options.fps == 3


@pytest.mark.parametrize(
    "options",
    [
        *("fps=0", "fps=nan", "fps=fast", "size=640", "size=0x4", "size=99999x9", "flip=left", "loop=-2", "loop=x"),
        *("codec=vp9", "timeout=0", "timeout=inf", "reconnect=perhaps"),
    ],
)
def test_options_out_of_range(options: str) -> None:
    with pytest.raises(GcposeError, match="; ") as caught:
        parse(f"clip.mp4#{options}")
    assert "\n" not in str(caught.value)


@given(
    user=st.text("abc", min_size=1, max_size=3),
    password=st.text("xyz:@/!$%", min_size=1, max_size=8).map(lambda text: f"geheim{text}"),
)
@settings(deadline=None, max_examples=50, derandomize=True)
def test_passwords_are_never_shown(user: str, password: str) -> None:
    uri = f"rtsp://{user}:{password}@camera.local/street"
    try:
        address = parse(uri)
    except GcposeError as error:  # a / in the password makes it another address, or none
        assert "geheim" not in str(error)
    else:
        assert "geheim" not in address.shown
        assert address.shown.endswith("@camera.local/street")
        assert address.target == uri


def test_secrets_in_queries_and_pipelines() -> None:
    assert "geheim" not in mask("http://h/v?user=a&password=geheim&x=1 http://h/?access_token=geheim")
    assert "geheim" not in parse("gst:rtspsrc location=rtsp://u:geheim@h/s user-pw=geheim ! decodebin").shown
    assert mask("http://h/v?size=3") == "http://h/v?size=3"


@given(st.text(max_size=80))
@settings(deadline=None, max_examples=100, derandomize=True)
def test_names_are_file_names(text: str) -> None:
    name = safe_name(text)
    assert 0 < len(name) <= 40 and "/" not in name and name not in (".", "..")


def test_the_grammar_names_every_option() -> None:
    for word in ("size=", "fps=", "flip=", "loop=", "codec=", "timeout=", "reconnect=", "pattern://", "gst:", "csi://"):
        assert word in GRAMMAR
    assert max(map(len, GRAMMAR.splitlines())) < 120


def test_the_grammar_loads_no_library() -> None:
    code = (
        "import sys; import gcpose_trt.video.capture as c; c.GRAMMAR; print('cv2' in sys.modules, 'av' in sys.modules)"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.split() == ["False", "False"]
