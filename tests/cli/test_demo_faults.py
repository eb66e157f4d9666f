"""`gcpose-trt demo` when things go wrong: a line each, the rest goes on, and the exit code says whether all did."""

from __future__ import annotations

import contextlib
import io
import itertools
import os
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from gcpose_trt import PoseEstimator
from gcpose_trt.cli import main
from gcpose_trt.errors import GcposeError
from gcpose_trt.video.sinks import CsvSink
from tests.support.bundles import make_bundle
from tests.support.clips import make_clip, read_clip
from tests.support.demos import files, records, rows, until, walker, walking
from tests.video.capture.support import MjpegServer, picture
from tests.video.sinks.common import full_disk

Send = Callable[[Any], None]
Demo = Callable[..., int]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(make_bundle(tmp_path_factory.mktemp("model")))


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def errors() -> io.StringIO:
    """What `demo` writes to stderr."""
    return io.StringIO()


@pytest.fixture
def demo(here: Path, model: str, errors: io.StringIO) -> Demo:
    """The command, whose stderr a camera of a test can see while it plays."""

    def run(*arguments: str, quiet: bool = True) -> int:
        with contextlib.redirect_stderr(errors):
            return main(["demo", "--model", model, "--threads", "1", *["--quiet"][:quiet], *arguments])

    return run


def log(errors: io.StringIO) -> list[str]:
    return [line for line in errors.getvalue().replace("\r", "\n").split("\n") if line.strip()]


def play_until(send: Send, condition: Callable[[], object], image: np.ndarray | None = None) -> None:
    """Send pictures at a camera's pace until something has happened."""

    def happened() -> bool:
        send(picture(200) if image is None else image)
        return bool(condition())

    until(happened)


def play_on(send: Send) -> None:
    """Send pictures until nobody takes them, which the server expects."""
    play_until(send, lambda: False)


def end(send: Send) -> None:
    """Press Ctrl-C, for a camera has no end of its own."""
    os.kill(os.getpid(), signal.SIGINT)
    play_on(send)


def count(path: str) -> int:
    return len(records(path)) if Path(path).exists() else 0


def test_a_camera_that_goes_and_comes_back(here: Path, demo: Demo, errors: io.StringIO) -> None:
    gone = threading.Event()

    def first(send: Send) -> None:
        play_until(send, lambda: count("a.jsonl") >= 3)
        gone.set()

    def outage() -> None:
        gone.wait(60)
        before.__exit__()
        until(lambda: "reconnecting" in errors.getvalue())
        with MjpegServer(play_on, port=before.port) as after:
            ended.wait(60)
        assert after.connections == 1

    ended = threading.Event()
    before = MjpegServer(first)
    before.__enter__()
    engineer = threading.Thread(target=outage)
    engineer.start()
    try:
        code = demo("--source", before.address, "--policy", "all", "--max-frames", "40", "--output", "a.jsonl")
    finally:
        gone.set()
        ended.set()
        engineer.join()
    assert code == 0
    lost, back = log(errors)
    assert before.address in lost and "; reconnecting" in lost
    assert back == "gcpose-trt: 127.0.0.1 is back"
    done = records("a.jsonl")
    assert len(done) == 40
    for key in ("frame", "time"):
        assert (np.diff([line[key] for line in done]) > 0).all()


def test_a_camera_that_falls_silent_while_a_clip_goes_on(here: Path, demo: Demo, errors: io.StringIO) -> None:
    silent = threading.Event()

    def play(send: Send) -> None:
        play_until(send, lambda: count("a_127.0.0.1.jsonl") >= 1)
        silent.wait(60)

    walking(here / "clip.mp4", 12)
    with MjpegServer(play) as camera:
        sources = ["--source", f"{camera.address}#timeout=0.5&reconnect=no", "--source", "clip.mp4"]
        code = demo(*sources, "--policy", "all", "--output", "a.jsonl")
        silent.set()
    assert code == 2
    assert len(log(errors)) == 1
    for part in (camera.address, "0.5 s", "; check it"):
        assert part in errors.getvalue()
    assert count("a_127.0.0.1.jsonl") >= 1
    assert [line["frame"] for line in records("a_clip.jsonl")] == list(range(12))


def test_frames_that_change_their_size(here: Path, demo: Demo, errors: io.StringIO) -> None:
    sizes = [(64, 48), (96, 80)]

    def wide(width: int) -> bool:
        people = [line["people"] for line in records("a.jsonl")] if Path("a.jsonl").exists() else []
        return any(abs(entry[0]["box"][2] - width) < 4 for entry in people if entry)

    def play(send: Send) -> None:
        for width, height in sizes:
            seen = partial(wide, width)
            play_until(send, seen, picture(200, width, height))
        end(send)

    with MjpegServer(play) as camera:
        outputs = ["--output", "a.mp4", "--jsonl", "a.jsonl", "--output", "a.csv"]
        assert demo("--source", camera.address, "--policy", "all", *outputs) == 0
    assert log(errors) == ["gcpose-trt: frames of 127.0.0.1 are now 96x80, not 64x48"]
    pictures, _ = read_clip(here / "a.mp4")
    assert {image.shape[:2] for image in pictures} == {(48, 64)}
    assert len(pictures) == count("a.jsonl")
    assert len(rows("a.csv")) == 2 * count("a.jsonl")


def test_damage_in_the_middle_of_a_clip(here: Path, demo: Demo, errors: io.StringIO) -> None:
    with av.open("clip.avi", "w") as container:
        stream = container.add_stream("mjpeg", rate=10)
        stream.width, stream.height, stream.pix_fmt = 80, 60, "yuvj420p"
        for index in range(12):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(walker(index), format="bgr24")))
        container.mux(stream.encode(None))
    data = bytearray(Path("clip.avi").read_bytes())
    starts = [at for at in range(len(data)) if data[at : at + 3] == b"\xff\xd8\xff"]
    data[starts[5] : starts[6] - 8] = bytes(starts[6] - 8 - starts[5])
    Path("clip.avi").write_bytes(data)
    assert demo("--source", "clip.avi", "--output", "a.mp4") == 0
    (line,) = log(errors)
    assert line.startswith("gcpose-trt: warning: clip.avi is truncated or damaged")
    assert count("a.jsonl") == 11, "what follows the damage is read"
    assert len(read_clip(here / "a.mp4")[0]) == 11


def test_a_full_disk_under_the_video(here: Path, demo: Demo, errors: io.StringIO) -> None:
    """A limit on the size of files stands for a disk that is full: only the video reaches it."""
    random = np.random.default_rng(0)
    make_clip(here / "clip.mp4", [random.integers(0, 120, (120, 160, 3), np.uint8) for _ in range(40)])
    with full_disk(100_000):
        code = demo("--source", "clip.mp4", "--output", "a.mp4", "--output", "a.csv")
    assert code == 2
    (line,) = log(errors)
    assert line.startswith(f"gcpose-trt: cannot write {here}/a.mp4 (File too large); free some space")
    assert files(here) == {"clip.mp4", "a.jsonl", "a.csv"}
    assert [line["frame"] for line in records("a.jsonl")] == list(range(40))


def test_a_full_disk_under_all_there_is(here: Path, demo: Demo, errors: io.StringIO) -> None:
    """Nothing is left to be done: the run ends and says why, once."""
    walking(here / "clip.mp4", 12)
    with full_disk(4_000):
        code = demo("--source", "clip.mp4", "--loop", "-1", "--output", "a.jsonl")
    assert code == 2
    (line,) = log(errors)
    assert line.startswith(f"gcpose-trt: error: cannot write {here}/a.jsonl (")
    assert 1 <= count("a.jsonl") < 12, "what was written before is whole"


def test_an_output_that_fails(
    here: Path, demo: Demo, errors: io.StringIO, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    write = CsvSink.write

    def fail(self: CsvSink, result: Any) -> None:
        if result.frame.index == 3:
            raise ValueError("a table without legs")
        write(self, result)

    monkeypatch.setattr(CsvSink, "write", fail)
    walking(here / "clip.mp4", 12)
    arguments = ["--source", "clip.mp4", "--output", "a.csv", "--output", "a.mp4"]
    assert demo(*arguments, quiet=False) == 2
    said = "csv failed: ValueError: a table without legs; the rest goes on without it"
    assert [line for line in log(errors) if "12/12" not in line and "%" not in line] == [f"gcpose-trt: {said}"]
    assert f"failed      {said}" in capsys.readouterr().out
    assert count("a.jsonl") == len(read_clip(here / "a.mp4")[0]) == 12


@pytest.mark.parametrize("error", [RuntimeError("a spark"), GcposeError("a spark; wait")])
def test_the_network_fails_once(
    here: Path,
    demo: Demo,
    errors: io.StringIO,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    error: Exception,
) -> None:
    run_batch, calls = PoseEstimator.run_batch, itertools.count()

    def fail(self: PoseEstimator, images: Any) -> Any:
        if len(images) == 1 and images[0].shape == (60, 80, 3) and next(calls) == 4:
            raise error
        return run_batch(self, images)

    monkeypatch.setattr(PoseEstimator, "run_batch", fail)
    walking(here / "clip.mp4", 12)
    assert demo("--source", "clip.mp4", "--output", "a.mp4", quiet=False) == 0
    assert len([line for line in log(errors) if "a spark" in line]) == 1
    assert [line["frame"] for line in records("a.jsonl")] == [index for index in range(12) if index != 4]
    assert len(read_clip(here / "a.mp4")[0]) == 11
    assert "skipped     1 frames" in capsys.readouterr().out


def test_a_clock_that_jumps(here: Path, demo: Demo, errors: io.StringIO, monkeypatch: pytest.MonkeyPatch) -> None:
    now = itertools.chain([1.7e9, 1.7e9 + 0.1, 1.6e9, 1.8e9], itertools.repeat(1.5e9))
    monkeypatch.setattr("time.time", lambda: next(now))
    arguments = ["--source", "pattern://?people=1#size=64x48&fps=100", "--max-frames", "8", "--policy", "all"]
    assert demo(*arguments, "--output", "a.jsonl", "--output", "a.mp4", "--smooth", "0.5") == 0
    assert log(errors) == []
    done = records("a.jsonl")
    assert len({round(line["unix_time"], -6) for line in done}) > 2, "the clock did jump"
    assert (np.diff([line["time"] for line in done]) > 0).all()
    assert all(0 < line["latency_ms"] < 60e3 for line in done)
    times = read_clip(here / "a.mp4")[1]
    assert len(times) == 8
    assert times[-1] - times[0] == pytest.approx(done[-1]["time"] - done[0]["time"], abs=0.01)


def test_a_camera_that_is_dead_ends_all_before_it_begins(here: Path, demo: Demo, errors: io.StringIO) -> None:
    walking(here / "clip.mp4", 3)
    assert demo("--source", "clip.mp4", "--source", "v4l2:///dev/video99", "--output", "a.jsonl") == 2
    assert len(log(errors)) == 1
    assert "no camera /dev/video99" in errors.getvalue()
    assert files(here) == {"clip.mp4"}


def test_nobody_reads_what_goes_wrong(here: Path, model: str) -> None:
    """A terminal that is gone, or a journal that starts again, ends no recording."""
    arguments = ["--source", "pattern://?people=1#size=64x48&fps=100", "--output", "a.jsonl", "--output", "a.mp4"]
    reading, writing = os.pipe()
    command = [sys.executable, "-m", "gcpose_trt", "demo", "--model", model, "--threads", "1", *arguments]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=writing, text=True) as process:
        try:
            os.close(writing)
            until(lambda: count("a.jsonl") > 0)
            os.close(reading)
            start = count("a.jsonl")
            until(lambda: count("a.jsonl") > start + 20)  # the progress bar was drawn again
            process.send_signal(signal.SIGHUP)  # which a terminal sends that is closed
            output, _ = process.communicate(timeout=60)
        finally:
            process.kill()
    assert process.returncode == 0
    assert "frames " in output
    assert read_clip(here / "a.mp4")[0]


def test_a_broker_that_dies_and_returns(here: Path, demo: Demo, errors: io.StringIO) -> None:
    pytest.importorskip("paho.mqtt.client")
    if not (shutil.which("mosquitto") or shutil.which("mosquitto", path="/usr/sbin:/usr/local/sbin")):
        pytest.skip("the program mosquitto is not installed")
    from tests.video.sinks.test_publish import Mosquitto

    broker = Mosquitto(here, "allow_anonymous true")

    def play(send: Send) -> None:
        play_until(send, lambda: count("a.jsonl") >= 3)
        broker.stop()
        play_until(send, lambda: "connection lost" in errors.getvalue())
        start = count("a.jsonl")
        play_until(send, lambda: count("a.jsonl") >= start + 5)
        broker.start()
        play_until(send, lambda: "connected again" in errors.getvalue())
        end(send)

    try:
        with MjpegServer(play) as camera:
            address = f"mqtt://127.0.0.1:{broker.port}/poses"
            assert demo("--source", camera.address, "--output", address, "--output", "a.jsonl") == 0
    finally:
        broker.stop()
    lost, back = log(errors)
    assert address in lost and address in back
    assert "messages were dropped" in back
