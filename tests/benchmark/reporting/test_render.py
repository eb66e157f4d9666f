"""The files of a rendered report, and the command that writes them again."""

from __future__ import annotations

import json
import re
import shutil
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from gcpose_trt.assets import SAMPLE
from gcpose_trt.benchmark.reporting import render
from gcpose_trt.benchmark.reporting.samples import draw_samples
from gcpose_trt.benchmark.reporting.view import View
from gcpose_trt.cli import main
from gcpose_trt.errors import GcposeError, MissingDependencyError
from gcpose_trt.pose.drawing import draw_poses
from gcpose_trt.pose.types import PoseFrame
from gcpose_trt.video.sources import open_source
from tests.benchmark.reporting.conftest import fresh_report, whole_report
from tests.benchmark.samples import MOBILE_INT8


def decoded(jpeg: bytes) -> np.ndarray:
    return cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR)


def test_everything_is_written_and_nothing_else(rendered: Path) -> None:
    names = sorted(str(path.relative_to(rendered)) for path in rendered.rglob("*") if path.is_file())
    frames = [f"samples/frame-{frame:06d}-contender-{number}.jpg" for frame in (0, 20, 39) for number in (1, 2, 3)]
    frames.remove("samples/frame-000020-contender-1.jpg")
    assert names == sorted(["report.html", "report.md", *frames])
    page = (rendered / "report.html").read_text()
    assert page.count("data:image/jpeg;base64,") == 8
    assert "skeletons without the frame" not in page


def test_skeletons_lie_on_the_frame_that_was_measured() -> None:
    report = whole_report()
    samples = draw_samples(View(report), SAMPLE)
    sample = next(one for one in samples if one.frame == 20 and one.entry.id == MOBILE_INT8.id)
    with open_source(SAMPLE) as source:
        frame = next(frame.image for frame in source if frame.index == 20)
    poses = PoseFrame.from_dict(report["samples"][1]["poses"][MOBILE_INT8.id])
    assert sample.people == len(poses)
    drawn = draw_poses(frame, poses, keypoint_threshold=0.05)
    assert np.abs(decoded(sample.jpeg).astype(int) - drawn).mean() < 4
    assert np.abs(decoded(sample.jpeg).astype(int) - frame).mean() > np.abs(drawn.astype(int) - frame).mean() / 2


def test_without_the_clip_skeletons_stand_on_a_plain_ground() -> None:
    report = fresh_report()
    report["samples"][0]["poses"][MOBILE_INT8.id] = {"people": "?"}
    samples = draw_samples(View(report), None)
    assert len(samples) == 8  # what cannot be read is left out
    assert all(sample.bare for sample in samples)
    assert decoded(samples[0].jpeg).shape == (360, 640, 3)


def test_another_clip_is_refused(tmp_path: Path) -> None:
    other = tmp_path / "other.mp4"
    other.write_bytes(b"another")
    with pytest.raises(GcposeError, match=r"other\.mp4 is not the clip that was measured; give the same one"):
        draw_samples(View(whole_report()), other)
    with pytest.raises(GcposeError, match=r"cannot read .*gone\.mp4"):
        draw_samples(View(whole_report()), tmp_path / "gone.mp4")


def test_without_matplotlib_everything_but_the_page_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(MissingDependencyError, match=re.escape("pip install 'gcpose-trt[benchmark]'")):
        render(fresh_report(), tmp_path)
    assert (tmp_path / "report.md").read_text().startswith("# gcpose-trt benchmark: cpu")
    assert not (tmp_path / "report.html").exists()


def test_the_command_renders_a_stored_report_again(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], rendered: Path
) -> None:
    report = whole_report(people={}, throughput={}, start={}, accuracy={}, parity={}, latency={}, complete=False)
    (tmp_path / "report.json").write_text(json.dumps(report))
    shutil.copytree(rendered / "samples", tmp_path / "samples")
    (tmp_path / "samples" / "frame-000007-contender-9.jpg").write_bytes(b"of an earlier report")
    (tmp_path / "samples" / "mine.jpg").write_bytes(b"somebody's own")
    assert main(["benchmark", "report", str(tmp_path)]) == 0
    assert capsys.readouterr().out.splitlines() == [str(tmp_path / "report.md"), str(tmp_path / "report.html")]
    assert "**PARTIAL**" in (tmp_path / "report.md").read_text()
    assert len(list((tmp_path / "samples").iterdir())) == 9
    assert (tmp_path / "samples" / "mine.jpg").exists()


def test_the_command_says_what_is_wrong(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["benchmark", "report", str(tmp_path)]) == 2
    assert "no benchmark report at" in capsys.readouterr().err
