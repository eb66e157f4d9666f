"""What the measurements share."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from benchmarks import common
from gcpose_trt.errors import GcposeError


def test_statistics() -> None:
    assert common.statistics([4.0, 1.0, 3.0, 2.0, 100.0]) == {
        "median": 3.0,
        "p90": pytest.approx(61.6),
        "spread": 2.0,
        "min": 1.0,
        "max": 100.0,
    }


def test_record_says_where_it_was_made(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    arguments = ["/somewhere/benchmarks/soak.py", "--json", "results/a.json", "--movenet", "/home/me/secret/m.onnx"]
    monkeypatch.setattr("sys.argv", arguments)
    common.write(tmp_path / "a.json", common.record({"ratio": 1.5}))
    document = json.loads((tmp_path / "a.json").read_text())
    assert document["ratio"] == 1.5
    assert document["command"] == "python -m benchmarks.soak --json results/a.json --movenet m.onnx"
    assert document["machine"]["cores"] >= 1
    assert document["machine"]["cpu"]
    assert document["versions"]["onnxruntime"]
    assert document["commit"]


def test_frames_are_spread_over_the_clip() -> None:
    first, last = common.read_frames(common.SAMPLE_CLIP, 2)
    assert first.shape == last.shape
    assert first.ndim == 3
    assert abs(first.astype(int) - last.astype(int)).mean() > 1
    assert len(common.read_frames(common.SAMPLE_CLIP, 7)) == 7


@pytest.mark.parametrize("content", [None, b"", b"not a video"])
def test_unreadable_clip(tmp_path: Path, content: bytes | None) -> None:
    clip = tmp_path / "clip.mp4"
    if content is not None:
        clip.write_bytes(content)
    with pytest.raises(GcposeError, match=r"cannot read .*clip\.mp4"):
        common.read_frames(clip, 1)


def test_bad_input_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    def main() -> int:
        raise GcposeError("no clip; give one")

    with pytest.raises(SystemExit) as caught:
        common.run(main)
    assert caught.value.code == "error: no clip; give one"
