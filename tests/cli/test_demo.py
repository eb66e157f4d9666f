"""`gcpose-trt demo`, on the synthetic model: what it writes, what it refuses, and how it ends."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import cv2
import numpy as np
import pytest

from gcpose_trt.assets import FOLDER
from gcpose_trt.cli import main
from gcpose_trt.pose import PoseFrame
from tests.support.bundles import make_bundle
from tests.support.clips import make_clip, read_clip

COMMAND = [sys.executable, "-m", "gcpose_trt", "demo"]
shipped = pytest.mark.skipif(
    not (FOLDER / "mobile" / "detector.onnx").is_file(), reason="the shipped model is not built yet"
)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(make_bundle(tmp_path_factory.mktemp("model")))


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder to work in, with a clip in which a bright person comes and goes."""
    monkeypatch.chdir(tmp_path)
    images = []
    for index in range(12):
        image = np.zeros((60, 80, 3), np.uint8)
        if index >= 4:
            image[10:50, 5 * index : 5 * index + 20] = 230
        images.append(image)
    make_clip(tmp_path / "clip.mp4", images)
    return tmp_path


def records(path: Path) -> list[dict]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def files(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


def test_a_clip(here: Path, model: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["demo", "--source", "clip.mp4", "--model", model, "--threads", "1"]) == 0
    assert files(here) == {"clip.mp4", "output/clip_poses.mp4", "output/clip_poses.jsonl"}
    lines = records(here / "output/clip_poses.jsonl")
    assert [len(line["people"]) for line in lines] == [0] * 4 + [2] * 8
    assert [line["frame"] for line in lines] == list(range(12))
    np.testing.assert_allclose([line["time"] for line in lines], np.arange(12) / 10, atol=1e-3)
    np.testing.assert_allclose(PoseFrame.from_dict(lines[6]).boxes[0], [30, 10, 50, 50], atol=2.6)
    images, times = read_clip(here / "output/clip_poses.mp4")
    assert len(images) == 12
    np.testing.assert_allclose(times, np.arange(12) / 10, atol=1e-3)
    originals, _ = read_clip(here / "clip.mp4")
    change = [np.abs(a.astype(int) - b).mean() for a, b in zip(images, originals, strict=True)]
    assert min(change[4:]) > 5 * max(change[:4]), "people are drawn, and only where there are some"
    output = capsys.readouterr()
    for part in ("12 in", "at most 2", "end to end", "network", "output/clip_poses.mp4", "output/clip_poses.jsonl"):
        assert part in output.out
    assert "12/12" in output.err


def test_names_and_limits(here: Path, model: str, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["demo", "--source", "clip.mp4", "--model", model, "--output", "new/a.mp4", "--jsonl", "b.jsonl"]
    options = ["--max-frames", "9", "--max-people", "1", "--min-score", "0.1", "--size", "96", "--quiet"]
    assert main([*arguments, *options, "--backend", "onnxruntime", "--threads", "1"]) == 0
    assert files(here) == {"clip.mp4", "new/a.mp4", "b.jsonl"}
    assert [len(line["people"]) for line in records(here / "b.jsonl")] == [0] * 4 + [1] * 5
    assert capsys.readouterr() == ("", "")


def test_an_existing_folder_as_output(here: Path, model: str) -> None:
    (here / "results").mkdir()
    assert main(["demo", "--source", "clip.mp4", "--model", model, "--output", "results", "--quiet"]) == 0
    assert files(here) == {"clip.mp4", "results/clip_poses.mp4", "results/clip_poses.jsonl"}


@pytest.mark.parametrize("kind", ["colour", "grey", "16-bit", "alpha", "one pixel", "8K", "nobody"])
def test_images(here: Path, model: str, kind: str) -> None:
    shape = {"one pixel": (1, 1), "8K": (4320, 7680)}.get(kind, (40, 60))
    image = np.full((*shape, 3), 255 if kind != "nobody" else 0, np.uint8)
    image = {
        "grey": image[..., 0],
        "16-bit": image.astype(np.uint16) * 257,
        "alpha": np.dstack([image, np.full(shape, 255, np.uint8)]),
    }.get(kind, image)
    cv2.imwrite("photo.png", image)
    assert main(["demo", "--source", "photo.png", "--model", model, "--quiet", "--threads", "1"]) == 0
    assert files(here) == {"clip.mp4", "photo.png", "output/photo_poses.png", "output/photo_poses.jsonl"}
    (record,) = records(here / "output/photo_poses.jsonl")
    assert record["time"] is None
    assert len(record["people"]) == (0 if kind == "nobody" else 2)
    drawn = cv2.imread("output/photo_poses.png")
    assert drawn.shape[:2] == shape


def test_a_folder_of_images_of_several_sizes(here: Path, model: str, capsys: pytest.CaptureFixture[str]) -> None:
    (here / "photos").mkdir()
    for index in range(3):
        cv2.imwrite(f"photos/{index}.png", np.full((30 + index, 50, 3), 200, np.uint8))
    (here / "photos" / "bad.png").write_bytes(b"not an image")
    for source in ("photos", "photos/*.png"):
        assert main(["demo", "--source", source, "--model", model, "--threads", "1"]) == 0
        assert "warning: left out: photos/bad.png" in capsys.readouterr().err
        assert sorted(path.name for path in Path("output/photos_poses").iterdir()) == ["0.png", "1.png", "2.png"]
        assert [record["frame"] for record in records(here / "output/photos_poses.jsonl")] == [0, 1, 2]


def test_a_truncated_clip_warns(here: Path, model: str, capsys: pytest.CaptureFixture[str]) -> None:
    images = [np.random.default_rng(n).integers(0, 256, (64, 64, 3), np.uint8) for n in range(20)]
    data = make_clip(here / "long.mp4", images, movflags="faststart").read_bytes()
    (here / "half.mp4").write_bytes(data[: len(data) // 2])
    assert main(["demo", "--source", "half.mp4", "--model", model, "--threads", "1"]) == 0
    warnings = [line for line in capsys.readouterr().err.splitlines() if "warning" in line]
    assert len(warnings) == 1
    assert "half.mp4 is truncated or damaged" in warnings[0]
    assert 1 <= len(read_clip(here / "output/half_poses.mp4")[0]) < 20


BAD = {
    "missing": ["--source", "nothing.mp4"],
    "empty video": ["--source", "empty.mp4"],
    "empty image": ["--source", "empty.png"],
    "truncated": ["--source", "truncated.mp4"],
    "no frame": ["--source", "headless.mp4"],
    "text": ["--source", "notes.txt"],
    "folder": ["--source", "folder"],
    "pattern": ["--source", "*.webp"],
    "no model": ["--model", "nothing"],
    "corrupt model": ["--model", "corrupt"],
    "output under a file": ["--output", "notes.txt/a.mp4"],
    "output in /proc": ["--output", "/proc/a.mp4"],
    "jsonl under a file": ["--jsonl", "notes.txt/a.jsonl"],
    "output of another kind": ["--output", "a.avi"],
    "output is the source": ["--output", "clip.mp4"],
    "both the same": ["--output", "a.mp4", "--jsonl", "a.mp4"],
    "size": ["--size", "100x100"],
    "size 0": ["--size", "0"],
    "score": ["--min-score", "1.5"],
    "score nan": ["--min-score", "nan"],
    "frames": ["--max-frames", "0"],
    "people": ["--max-people", "-1"],
    "threads": ["--threads", "0"],
    "backend": ["--backend", "abacus"],
    "a module's backend": ["--backend", "torch", "--model", "nothing.pth"],
}


@pytest.mark.parametrize("case", BAD)
def test_refusals(here: Path, model: str, case: str, capfd: pytest.CaptureFixture[str]) -> None:
    (here / "empty.mp4").write_bytes(b"")
    (here / "empty.png").write_bytes(b"")
    (here / "notes.txt").write_text("hello")
    (here / "folder").mkdir()
    data = make_clip(here / "fast.mp4", [np.zeros((32, 32, 3), np.uint8)] * 9, movflags="faststart").read_bytes()
    (here / "truncated.mp4").write_bytes(data[:300])
    (here / "headless.mp4").write_bytes(data[: data.index(b"mdat") + 8])
    (make_bundle(here / "corrupt") / "pose.onnx").write_bytes(b"garbage")
    before = files(here)
    defaults = {"--source": "clip.mp4", "--model": model}
    arguments = [word for pair in defaults.items() if pair[0] not in BAD[case] for word in pair]
    try:
        code = main(["demo", *arguments, *BAD[case], "--quiet"])
    except SystemExit as error:  # argparse's own way out
        code = int(error.code or 0)
    assert code == 2
    output = capfd.readouterr()
    assert output.out == ""
    assert output.err.startswith("gcpose-trt: error: ")
    assert output.err.count("\n") == 1
    assert files(here) == before, "no artefact is left"


def test_a_folder_of_images_does_not_overwrite_itself(
    here: Path, model: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (here / "photos").mkdir()
    cv2.imwrite("photos/a.png", np.zeros((9, 9, 3), np.uint8))
    for source in ("photos", "photos/*.png"):
        for output in ("photos", "photos/../photos", "clip.mp4"):
            assert main(["demo", "--source", source, "--model", model, "--output", output]) == 2
            assert capsys.readouterr().err.count("\n") == 1
    assert files(here) == {"clip.mp4", "photos/a.png"}


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_ctrl_c_leaves_what_is_done(here: Path, model: str, number: signal.Signals) -> None:
    images = [np.full((240, 320, 3), index % 200, np.uint8) for index in range(1500)]
    make_clip(here / "long.mp4", images)
    lines = here / "output/long_poses.jsonl"
    process = subprocess.Popen(
        [*COMMAND, "--source", "long.mp4", "--model", model, "--size", "640", "--threads", "1", "--quiet"],
        stderr=subprocess.PIPE,
        text=True,
    )
    deadline = time.monotonic() + 60
    while not (lines.is_file() and lines.stat().st_size) and time.monotonic() < deadline:
        time.sleep(0.02)
    process.send_signal(number)
    _, error = process.communicate(timeout=60)
    assert process.returncode == 130
    assert error == "gcpose-trt: error: interrupted; what was written so far is complete and readable\n"
    done = records(lines)
    assert 1 <= len(done) < 1500
    assert len(read_clip(here / "output/long_poses.mp4")[0]) == len(done)
    assert files(here) == {"long.mp4", "clip.mp4", "output/long_poses.mp4", "output/long_poses.jsonl"}


def test_neither_torch_nor_onnx_is_loaded(here: Path, model: str) -> None:
    code = (
        "import sys\nfrom gcpose_trt.cli import main\n"
        f"code = main(['demo', '--source', 'clip.mp4', '--quiet', '--model', {model!r}])\n"
        "print(code, {'torch', 'onnx', 'onnxscript', 'pycocotools'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "0 set()\n"
    assert done.stderr == ""


@shipped
def test_the_shipped_model_on_the_shipped_clip(here: Path) -> None:
    """All of the clip is run by the test of the README, whose first command is `make demo`."""
    code = (
        # Not getrusage: its peak is inherited from the process that started this one.
        "import re\nfrom pathlib import Path\nfrom gcpose_trt.cli import main\n"
        "code = main(['demo', '--quiet', '--max-frames', '60'])\n"
        "print(code, re.search(r'VmHWM:\\s+(\\d+)', Path('/proc/self/status').read_text())[1])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    exit_code, kilobytes = (int(word) for word in done.stdout.split())
    assert exit_code == 0
    assert kilobytes < 500 * 1024
    found = [len(line["people"]) for line in records(here / "output/sample_poses.jsonl")]
    assert len(found) == len(read_clip(here / "output/sample_poses.mp4")[0]) == 60
    assert 1 <= np.mean(found) <= 3, "there are two people in most of the clip"
    assert Path("output/sample_poses.mp4").stat().st_size < 10e6 * 60 / 230
