"""`gcpose-trt demo` as a live system: several sources, every output, the page; on the synthetic model."""

from __future__ import annotations

import json
import signal
import socket
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from gcpose_trt.cli import main
from gcpose_trt.errors import MissingDependencyError
from tests.support.bundles import make_bundle
from tests.support.clips import read_clip
from tests.support.demos import Running, files, records, rows, until, walking


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(make_bundle(tmp_path_factory.mktemp("model")))


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder to work in, on a machine without a screen."""
    monkeypatch.chdir(tmp_path)
    for name in ("DISPLAY", "WAYLAND_DISPLAY", "GCPOSE_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path


def demo(model: str, *arguments: str) -> int:
    return main(["demo", "--model", model, "--threads", "1", *arguments])


def boxes(path: str) -> np.ndarray:
    """The best person's box of each frame."""
    return np.array([record["people"][0]["box"] for record in records(path)])


def joints(path: str) -> np.ndarray:
    return np.array([record["people"][0]["keypoints"] for record in records(path)])[..., :2]


def ids(path: str) -> list[list[int | None]]:
    return [[person.get("id") for person in record["people"]] for record in records(path)]


def test_two_sources_and_every_kind_of_file(here: Path, model: str, capsys: pytest.CaptureFixture[str]) -> None:
    counts = {"door": 9, "yard": 5}
    for name, frames in counts.items():
        walking(here / f"{name}.mp4", frames)
    sources = ["--source", "door.mp4", "--source", "yard.mp4"]
    names = ["out/a.mp4", "out/a.jsonl", "out/a.csv", "out/a.json", "out/pics/*.jpg"]
    assert demo(model, *sources, *(word for name in names for word in ("--output", name))) == 0
    wanted = {f"out/a_{name}.{kind}" for name in counts for kind in ("mp4", "jsonl", "csv", "json")}
    pictures = {f"out/pics/{name}/frame_{index:06d}.jpg" for name, count in counts.items() for index in range(count)}
    assert files(here) == {"door.mp4", "yard.mp4"} | wanted | pictures
    for name, count in counts.items():
        lines = records(f"out/a_{name}.jsonl")
        assert [line["frame"] for line in lines] == list(range(count))
        assert {(line["source"], line["stream"]) for line in lines} == {(f"{name}.mp4", name)}
        assert len(read_clip(here / f"out/a_{name}.mp4")[0]) == count
        table = rows(f"out/a_{name}.csv")
        assert [int(row["frame"]) for row in table] == [index for index in range(count) for _ in range(2)]
        results = json.loads(Path(f"out/a_{name}.json").read_text())
        assert [entry["image_id"] for entry in results] == [int(row["frame"]) for row in table]
    output = capsys.readouterr()
    assert "14 in" in output.out
    for part in (
        "door: 9 frames",
        "yard: 5 frames",
        "ended",
        *(name.removesuffix("/*.jpg") for name in sorted(wanted)),
    ):
        assert part in output.out
    assert "14/14" in output.err


def test_sources_of_one_name(here: Path, model: str) -> None:
    for folder in ("a", "b"):
        (here / folder).mkdir()
        walking(here / folder / "clip.mp4", 3)
    assert demo(model, "--source", "a/clip.mp4", "--source", "b/clip.mp4", "--quiet") == 0
    assert {name for name in files(here) if name.startswith("output/")} == {
        f"output/{name}_poses.{kind}" for name in ("clip", "clip_2") for kind in ("mp4", "jsonl")
    }
    assert {record["source"] for record in records("output/clip_2_poses.jsonl")} == {"b/clip.mp4"}


def test_a_pattern_without_a_pace_is_like_a_file(here: Path, model: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert demo(model, "--source", "pattern://?live=0&frames=3&people=1", "--loop", "2") == 0
    assert files(here) == {"output/pattern_poses.mp4", "output/pattern_poses.jsonl"}
    lines = records("output/pattern_poses.jsonl")
    assert [line["frame"] for line in lines] == list(range(9))
    np.testing.assert_allclose([line["time"] for line in lines], np.arange(9) / 30, atol=1e-3)
    assert lines[0]["people"] == lines[3]["people"], "it is played again"
    assert "unix_time" not in lines[0]
    assert "9/9" in capsys.readouterr().err


def test_a_clip_played_again_until_enough(here: Path, model: str) -> None:
    walking(here / "clip.mp4", 4)
    assert demo(model, "--source", "clip.mp4", "--loop", "-1", "--max-frames", "10", "--output", "a.jsonl") == 0
    lines = records("a.jsonl")
    assert [line["frame"] for line in lines] == list(range(10))
    np.testing.assert_allclose([line["time"] for line in lines], np.arange(10) / 10, atol=1e-3)


def test_enough_frames_of_all_sources_together(here: Path, model: str) -> None:
    sources = ["--source", "pattern://?live=0", "--source", "pattern://?live=0&seed=2"]
    assert demo(model, *sources, "--max-frames", "7", "--output", "a.jsonl", "--capture-size", "64x48") == 0
    done = [[line["frame"] for line in records(f"a_{name}.jsonl")] for name in ("pattern", "pattern_2")]
    assert sum(map(len, done)) == 7
    assert all(indices == list(range(len(indices))) for indices in done)


def test_latest_may_leave_frames_out_but_never_changes_their_order(here: Path, model: str) -> None:
    walking(here / "clip.mp4", 20)
    assert demo(model, "--source", "clip.mp4", "--policy", "latest", "--output", "a.jsonl", "--quiet") == 0
    done = [line["frame"] for line in records("a.jsonl")]
    assert done == sorted(set(done))
    assert done[-1] == 19, "the newest is never the one that goes"


def test_live_and_all(here: Path, model: str) -> None:
    """Every frame that the source gives is taken, at its own pace."""
    source = "pattern://?people=1#size=64x48&fps=200"
    assert demo(model, "--source", source, "--policy", "all", "--max-frames", "10", "--output", "a.jsonl") == 0
    lines = records("a.jsonl")
    assert len(lines) == 10
    assert (np.diff([line["frame"] for line in lines]) > 0).all()
    assert (np.diff([line["time"] for line in lines]) > 0).all()
    assert all(line["unix_time"] > 1.7e9 and line["latency_ms"] > 0 for line in lines)


def test_turned_scaled_and_fewer(here: Path, model: str) -> None:
    walking(here / "clip.mp4", 10)
    runs = {
        "plain": [],
        "mirror": ["--flip", "horizontal"],
        "turn": ["--flip", "rotate-90"],
        "small": ["--capture-size", "40x30"],
        "few": ["--fps", "5"],
    }
    for name, options in runs.items():
        assert demo(model, "--source", "clip.mp4", "--output", f"{name}.mp4", "--quiet", *options) == 0
    plain, mirror, turn, small = (boxes(f"{name}.jsonl") for name in ("plain", "mirror", "turn", "small"))
    np.testing.assert_allclose(mirror, [80, 0, 80, 0] + plain[:, [2, 1, 0, 3]] * [-1, 1, -1, 1], atol=2.6)
    np.testing.assert_allclose(turn, [60, 0, 60, 0] + plain[:, [3, 0, 1, 2]] * [-1, 1, -1, 1], atol=2.6)
    np.testing.assert_allclose(small, plain / 2, atol=2.6)
    shapes = {name: read_clip(here / f"{name}.mp4")[0][0].shape[:2] for name in runs}
    assert shapes == {"plain": (60, 80), "mirror": (60, 80), "turn": (80, 60), "small": (30, 40), "few": (60, 80)}
    assert [line["frame"] for line in records("few.jsonl")] == [0, 2, 4, 6, 8]
    np.testing.assert_allclose(read_clip(here / "few.mp4")[1], np.arange(5) / 5, atol=1e-3)


def test_ids_and_smoothing(here: Path, model: str) -> None:
    walking(here / "clip.mp4", 12)
    cv2.imwrite("photo.png", np.full((40, 40, 3), 255, np.uint8))
    common = ["--source", "clip.mp4", "--max-people", "1", "--quiet"]
    runs: dict[str, list[str]] = {"plain": [], "off": ["--no-track"], "calm": ["--smooth"], "still": ["--smooth", "1"]}
    for name, options in runs.items():
        assert demo(model, *common, "--output", f"{name}.jsonl", *options) == 0
    assert len({person for people in ids("plain.jsonl")[-6:] for person in people}) == 1
    assert None not in ids("plain.jsonl")[-1]
    assert {person for people in ids("off.jsonl") for person in people} == {None}
    assert ids("calm.jsonl") == ids("plain.jsonl")
    raw, calm, still = (joints(f"{name}.jsonl") for name in ("plain", "calm", "still"))
    np.testing.assert_array_equal(joints("off.jsonl"), raw)

    def jitter(track: np.ndarray) -> float:
        return float(np.abs(np.diff(track[4:], n=2, axis=0)).mean())

    assert jitter(still) < jitter(calm) < jitter(raw)
    assert demo(model, "--source", "photo.png", "--output", "photo.jsonl", "--quiet") == 0
    assert {person for people in ids("photo.jsonl") for person in people} == {None}


def test_what_is_drawn(here: Path, model: str) -> None:
    image = np.random.default_rng(0).integers(140, 256, (240, 200, 3), np.uint8)
    cv2.imwrite("photo.png", image)
    runs = {"plain": [], "panel": ["--hud"], "hidden": ["--blur-heads"]}
    for name, options in runs.items():
        assert demo(model, "--source", "photo.png", "--output", f"{name}.png", "--quiet", *options) == 0
    plain, panel, hidden = (cv2.imread(f"{name}.png").astype(int) for name in runs)
    changed = np.abs(hidden - plain).max(axis=2) > 20
    assert changed[:40, 70:130].mean() > 0.3, "the head is hidden"
    assert not changed[150:].any(), "and nothing else"
    changed = np.abs(panel - plain).max(axis=2) > 20
    assert changed[:80, :80].mean() > 0.2
    assert not changed[200:].any()
    lines = [records(f"{name}.jsonl")[0]["people"] for name in runs]
    assert lines[0] == lines[1] == lines[2]


def test_a_live_source_with_nowhere_to_show_it(
    here: Path, model: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def missing() -> None:
        raise MissingDependencyError("aiohttp", "web", "the page")

    monkeypatch.setattr("gcpose_trt.web.server.check_packages", missing)
    assert demo(model, "--source", "pattern://") == 2
    error = capsys.readouterr().err
    assert error.startswith("gcpose-trt: error: nowhere to show a live source; give --output, or, for --web, ")
    assert error.count("\n") == 1
    assert "gcpose-trt[web]" in error
    assert files(here) == set()


def test_a_live_source_with_a_screen_gets_a_window(here: Path, model: str, monkeypatch: pytest.MonkeyPatch) -> None:
    shown: list[tuple[int, ...]] = []

    class Window:
        needs_picture = True

        def __init__(self, names: Any, on_close: Any) -> None:
            self.close = on_close

        def write(self, result: Any) -> None:
            shown.append(result.picture.shape)
            if len(shown) == 3:
                self.close()

        def __enter__(self) -> Window:
            return self

        def __exit__(self, *reason: object) -> None:
            pass

    monkeypatch.setattr("gcpose_trt.video.sinks.window.check_windows", lambda: None)
    monkeypatch.setattr("gcpose_trt.video.sinks.window.WindowSink", Window)
    assert demo(model, "--source", "pattern://#size=64x48&fps=100", "--quiet") == 0
    assert shown[:3] == [(48, 64, 3)] * 3
    assert files(here) == set()


LIVE = ["--source", "pattern://?frames=3#size=64x48&fps=100"]
REFUSED = {
    "a token without the page": (["--token", "a-long-enough-token"], "--token is for the page"),
    "open to all without a token": (["--web", "0.0.0.0:0"], "give --token"),
    "a short token": (["--web", "0.0.0.0:0", "--token", "abc"], "token"),
    "no address": (["--web", "127.0.0.1:99999"], "65535"),
    "no topic": (["--output", "mqtt://127.0.0.1"], "topic"),
    "no port": (["--output", "mqtt://me:hush@127.0.0.1:x/poses"], "MQTT address"),
    "no broker": (["--output", "mqtt://me:hush@127.0.0.1:1/poses"], "check host and port"),
    "no camera": (["--source", "v4l2:///dev/video99", "--output", "a.jsonl"], "/dev/video99"),
    "no stream": (["--source", "rtsp://me:hush@127.0.0.1:1/", "--output", "a.jsonl"], "check the address"),
    "no scheme": (["--source", "gopher://x", "--output", "a.jsonl"], "gopher://"),
    "no pattern": (["--source", "pattern://?dogs=1", "--output", "a.jsonl"], "dogs"),
    "no window": (["--window"], "--web"),
    "an image of a camera": (["--output", "a.png"], "does not end in .mp4"),
    "a negative loop": (["--loop", "-2", "--output", "a.jsonl"], "loop"),
    "smoothing": (["--smooth", "2", "--output", "a.jsonl"], "0 to 1"),
    "two of a name": (["--output", "a.jsonl", "--output", "./a.jsonl"], "two outputs"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_refusals(here: Path, model: str, case: str, capfd: pytest.CaptureFixture[str]) -> None:
    arguments, part = REFUSED[case]
    source = [] if "--source" in arguments else LIVE
    try:
        code = demo(model, *source, *arguments, "--quiet")
    except SystemExit as error:  # argparse's own way out
        code = int(error.code or 0)
    output = capfd.readouterr()
    assert code == 2
    assert output.out == ""
    assert output.err.startswith("gcpose-trt: error: ")
    assert output.err.count("\n") == 1
    assert part in output.err
    assert "hush" not in output.err
    assert files(here) == set(), "no artefact is left"


@pytest.mark.parametrize("case", ["open to all without a token", "a short token", "no address", "no topic"])
def test_no_model_is_loaded_only_to_refuse(here: Path, case: str, capfd: pytest.CaptureFixture[str]) -> None:
    arguments, part = REFUSED[case]
    assert demo("no-such-model", *LIVE, *arguments) == 2
    assert part in capfd.readouterr().err


def test_a_port_that_is_taken(here: Path, model: str, capfd: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        assert demo(model, *LIVE, "--web", f"127.0.0.1:{port}", "--output", "a.jsonl", "--quiet") == 2
    error = capfd.readouterr().err
    assert error == (
        f"gcpose-trt: error: port {port} is taken by another program; choose another, such as --web "
        f"127.0.0.1:{port + 1}\n"
    )
    assert files(here) == set()


def test_the_help_says_how_sources_are_named(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["demo", "--help"])
    assert ended.value.code == 0
    text = capsys.readouterr().out
    for part in (
        "v4l2:///dev/video0",
        "csi://0",
        "rtsp://",
        "gst:PIPELINE",
        "pattern://",
        "loop=N",
        "--web",
        "--policy",
    ):
        assert part in text


def get(url: str) -> tuple[int, bytes]:
    try:
        with urllib.request.urlopen(url, timeout=30) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as error:
        return error.code, error.read()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_page_of_a_live_source(here: Path, model: str, number: signal.Signals) -> None:
    pytest.importorskip("aiohttp")
    pytest.importorskip("prometheus_client")
    arguments = ["--source", "pattern://?people=1#size=160x120", "--model", model, "--threads", "1"]
    outputs = ["--web", "127.0.0.1:0", "--output", "rec.mp4", "--jsonl", "rec.jsonl"]
    with Running([*arguments, *outputs], here) as running:
        url = running.line("page at ").rpartition("page at ")[2].strip()
        until(lambda: get(f"{url}healthz")[0] == 200)
        until(lambda: json.loads(get(f"{url}api/statistics")[1])["sources"][0]["estimated"] > 5)
        with urllib.request.urlopen(f"{url}stream.mjpg", timeout=30) as stream:
            data = b""
            while data.count(b"\xff\xd8\xff") < 3:  # the marks that a JPEG begins with
                data += stream.read1(4096)
            code, output = running.end(number)  # while somebody watches
    assert code == 0, running.errors
    assert not any("error" in line for line in running.errors)
    assert "pictures    rec.mp4" in output
    assert "latency" in output
    done = records("rec.jsonl")
    assert len(done) > 5
    # A machine that is busy leaves pictures out, which the poses do not wait for.
    assert 1 <= len(read_clip(here / "rec.mp4")[0]) <= len(done)
    assert files(here) == {"rec.mp4", "rec.jsonl"}
