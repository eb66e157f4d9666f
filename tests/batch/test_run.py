"""Whole batches: the same bytes whatever happens on the way."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow.dataset
import pyarrow.parquet as pq
import pytest

from gcpose_trt import PoseEstimator
from gcpose_trt.batch import run_batch
from gcpose_trt.batch.progress import Silent
from gcpose_trt.batch.store import Store
from gcpose_trt.errors import GcposeError
from gcpose_trt.pose.skeleton import COCO17
from gcpose_trt.pose.tracking import Tracker
from gcpose_trt.video.sources import open_source
from tests.batch import runs
from tests.batch.runs import ARGUMENTS, OPTIONS, tree

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def inputs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return runs.make_inputs(tmp_path_factory.mktemp("inputs") / "clips")


@pytest.fixture(scope="module")
def reference(inputs: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The output of one worker."""
    output = tmp_path_factory.mktemp("reference") / "out"
    summary = run_batch([str(inputs)], output, workers=1, **OPTIONS)
    assert [done.frames for done in summary.finished if done.spec.kind == "video"] == [20, 9]
    assert [Path(failure.uri).name for failure in summary.failures] == ["damaged.mp4"]
    assert not list((output / ".batch/segments").iterdir())
    return output


@pytest.fixture(autouse=True)
def importable(monkeypatch: pytest.MonkeyPatch) -> None:
    """Workers find the networks of tests."""
    monkeypatch.setenv("PYTHONPATH", str(ROOT))


def test_two_workers_and_a_second_run(inputs: Path, reference: Path, tmp_path: Path) -> None:
    summary = run_batch([str(inputs)], tmp_path, workers=2, annotate=False, **OPTIONS)
    assert tree(tmp_path) == tree(reference)
    assert summary.frames == 32
    again = run_batch([str(inputs)], tmp_path, **OPTIONS)
    assert (len(again.skipped), len(again.finished), len(again.failures), again.frames) == (3, 0, 1, 0)
    assert tree(tmp_path) == tree(reference)


def test_the_same_values_as_the_estimator(inputs: Path, reference: Path) -> None:
    table = pyarrow.dataset.dataset(reference / "poses", partitioning="hive").to_table().to_pylist()
    joints = [f"{joint}_{part}" for joint in COCO17.names for part in ("x", "y", "score")]
    with PoseEstimator("mobile", size=192, precision="int8", threads=1) as estimator:
        people = 0
        for name in ("a.mp4", "b.mp4", "pictures"):
            tracker = Tracker()
            with open_source(inputs / name) as source:
                for frame in source:
                    poses = estimator(frame.image)
                    if name != "pictures":
                        poses = tracker.update(poses, frame.time_s)
                    rows = [row for row in table if Path(row["source"]).name == name and row["frame"] == frame.index]
                    assert [row["person"] for row in rows] == list(range(len(poses)))
                    people += len(rows)
                    found = [[row[joint] for joint in joints] for row in rows]
                    assert np.array_equal(np.float32(found).reshape(-1, 17, 3), poses.keypoints)
                    boxes = [[row[f"box_{side}"] for side in ("x1", "y1", "x2", "y2")] for row in rows]
                    assert np.array_equal(np.float32(boxes).reshape(-1, 4), poses.boxes)
                    ids = [-1] * len(poses) if poses.ids is None else poses.ids.tolist()
                    assert [row["track"] for row in rows] == [None if number < 0 else number for number in ids]
    assert people == len(table) > 20


def test_interrupted_and_resumed(inputs: Path, reference: Path, tmp_path: Path) -> None:
    class Interrupts(Silent):
        left = 2

        def segment(self, people: int) -> None:
            self.left -= 1
            if self.left == 0:
                raise KeyboardInterrupt

    summary = run_batch([str(inputs)], tmp_path, workers=1, progress=Interrupts(), **OPTIONS)
    assert summary.interrupted and summary.left == 3
    assert pq.read_table(tmp_path / "sources.parquet")["state"].to_pylist() == ["failed"]
    rest = run_batch([str(inputs)], tmp_path, workers=2, **OPTIONS)
    assert not rest.interrupted
    assert summary.frames + rest.frames == 32, "nothing is done twice"
    assert tree(tmp_path) == tree(reference)


def test_a_worker_is_killed(inputs: Path, reference: Path, tmp_path: Path) -> None:
    marks = tmp_path / "marks"
    summary = run_batch(
        [str(inputs)], tmp_path / "out", executor=runs.with_network(runs.killed(marks, "a-", 1)), **OPTIONS
    )
    assert marks.read_text().count("\n") == 1 and summary.frames == 32
    assert tree(tmp_path / "out") == tree(reference)


@pytest.mark.slow
def test_a_segment_that_always_kills_its_worker(inputs: Path, reference: Path, tmp_path: Path) -> None:
    marks = tmp_path / "marks"
    deadly = runs.with_network(runs.killed(marks, "a-", 100))
    summary = run_batch([str(inputs)], tmp_path / "out", executor=deadly, **OPTIONS)
    assert marks.read_text().count("\n") == 3
    (reason,) = [failure.reason for failure in summary.failures if failure.uri.endswith("a.mp4")]
    assert reason.startswith("segment 2 of 3: its worker died 3 times (it was killed, as Linux does when memory")
    assert len(summary.finished) == 2, "the others are not held up"
    rest = run_batch([str(inputs)], tmp_path / "out", **OPTIONS)
    assert rest.frames == 8, "only the segment that is missing"
    assert tree(tmp_path / "out") == tree(reference)


def test_a_changed_source_is_done_again(inputs: Path, tmp_path: Path) -> None:
    clips = tmp_path / "clips"
    clips.mkdir()
    for name in ("a.mp4", "b.mp4"):
        (clips / name).write_bytes((inputs / "b.mp4").read_bytes())
    output = clips / "out"  # inside of the inputs: its own files are not taken for sources
    run_batch([str(clips)], output, annotate=True, **OPTIONS)
    assert len(list(output.glob("annotated/*.mp4"))) == 2
    (clips / "a.mp4").write_bytes((inputs / "a.mp4").read_bytes())
    summary = run_batch([str(clips)], output, annotate=True, **OPTIONS)
    assert [done.frames for done in summary.finished] == [20]
    assert [done.frames for done in summary.skipped] == [9]
    assert pq.read_table(output / "sources.parquet")["frames"].to_pylist() == [20, 9]


def test_a_folder_has_one_batch_at_a_time(inputs: Path, tmp_path: Path) -> None:
    from gcpose_trt.batch.recipe import make_recipe

    with Store(tmp_path) as store:
        store.open(make_recipe(**OPTIONS))
        with pytest.raises(GcposeError, match="another batch runs in"):
            run_batch([str(inputs)], tmp_path, **OPTIONS)


@pytest.mark.slow
def test_a_full_disk(inputs: Path, reference: Path, tmp_path: Path) -> None:
    limited = (
        "import resource, sys; resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096));"
        "from gcpose_trt.cli import main; sys.exit(main(sys.argv[1:]))"
    )
    command = [sys.executable, "-c", limited, "batch", str(inputs), "--output", str(tmp_path), "--quiet", *ARGUMENTS]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=runs.PATIENCE_S)
    assert ended.returncode == 2
    assert ended.stderr.count("\n") == 1 and "cannot write" in ended.stderr
    run_batch([str(inputs)], tmp_path, **OPTIONS)
    assert tree(tmp_path) == tree(reference)


_STUCK = """
import sys
from functools import partial
from pathlib import Path
import gcpose_trt.batch.run as run
from gcpose_trt.cli import main
from tests.batch.runs import stuck
run.LocalExecutor = partial(run.LocalExecutor, network=stuck(Path(sys.argv[1])))
sys.exit(main(sys.argv[2:]))
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_signals_leave_nobody_behind(inputs: Path, reference: Path, tmp_path: Path, number: signal.Signals) -> None:
    marks, output = tmp_path / "marks", tmp_path / "out"
    arguments = ["batch", str(inputs), "--output", str(output), "--workers", "1", *ARGUMENTS]
    process = subprocess.Popen(
        [sys.executable, "-c", _STUCK, str(marks), *arguments], stderr=subprocess.PIPE, text=True, cwd=ROOT
    )
    try:
        runs.until(lambda: list(output.glob(".batch/segments/*/*.parquet")) or process.poll() is not None)
        process.send_signal(number)
        _, errors = process.communicate(timeout=runs.PATIENCE_S)
    finally:
        process.kill()
        process.wait()
    runs.until(lambda: not any(runs.alive(int(pid)) for pid in marks.read_text().split()))
    if number == signal.SIGINT:
        assert process.returncode == 130
        assert errors.splitlines()[-1] == "gcpose-trt: interrupted; the same command goes on where it ended"
        assert run_batch([str(inputs)], output, **OPTIONS).frames < 32
        assert tree(output) == tree(reference)
