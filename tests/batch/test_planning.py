"""How sources are cut, and which cannot be."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import av
import numpy as np
import pytest

from gcpose_trt.assets import SAMPLE
from gcpose_trt.batch.planning import plan_source
from gcpose_trt.batch.types import Segment, SourceFailure
from tests.batch.support_inputs import RECIPE, plan, source
from tests.support.clips import corner_image, make_clip, set_display_matrix


def refusal(path: Path) -> str:
    spec = source(path)
    failed = plan_source(spec, RECIPE)
    assert isinstance(failed, SourceFailure)
    assert (failed.uri, failed.id) == (str(path), spec.id)
    assert "\n" not in failed.reason
    assert "; " in failed.reason, "what to do"
    assert str(path) in failed.reason
    return failed.reason


def test_video() -> None:
    planned = plan(SAMPLE, dataclasses.replace(RECIPE, segment_s=2.0))
    assert (planned.frames, planned.rate, planned.size) == (230, 30.0, (540, 960))
    assert planned.segments == (
        Segment(0, None, 30720),
        Segment(1, 30720, 61440),
        Segment(2, 61440, 92160),
        Segment(3, 92160, None),
    )
    assert plan(SAMPLE, dataclasses.replace(RECIPE, segment_s=2.0)) == planned


def test_cuts_are_near_multiples() -> None:
    """The sample has a key frame every 2 s."""
    planned = plan(SAMPLE, dataclasses.replace(RECIPE, segment_s=4.4))
    assert [segment.start for segment in planned.segments] == [None, 61440]
    planned = plan(SAMPLE, dataclasses.replace(RECIPE, segment_s=60.0))
    assert planned.segments == (Segment(0, None, None),)


def test_size_is_upright(tmp_path: Path) -> None:
    path = make_clip(tmp_path / "phone.mp4", [corner_image()] * 3)
    set_display_matrix(path, 0, 1, -1, 0)
    assert plan(path).size == (64, 48)


def test_pictures(tmp_path: Path) -> None:
    for number in range(7):
        (tmp_path / f"{number}.jpg").write_bytes(b"not read")
    planned = plan(tmp_path)
    assert planned.segments == (Segment(0, 0, 3), Segment(1, 3, 6), Segment(2, 6, 7))
    assert (planned.frames, planned.rate, planned.size) == (7, None, None)


def test_no_video(tmp_path: Path) -> None:
    path = tmp_path / "text.mp4"
    path.write_text("hello\n" * 100)
    assert "not a video" in refusal(path) or "no video" in refusal(path)
    path = tmp_path / "empty.mp4"
    path.write_bytes(b"")
    refusal(path)
    path = tmp_path / "sound.avi"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("pcm_s16le", rate=8000)
        sound = av.AudioFrame.from_ndarray(np.zeros((1, 800), np.int16), format="s16", layout="mono")
        sound.rate = 8000
        container.mux(stream.encode(sound))
        container.mux(stream.encode(None))
    assert "has no video" in refusal(path)


@pytest.mark.parametrize("keep", [1, 500, -300])
def test_truncated_to_nothing(tmp_path: Path, keep: int) -> None:
    path = make_clip(tmp_path / "clip.mp4", [corner_image()] * 20)
    path.write_bytes(path.read_bytes()[:keep])  # the index is at the end
    assert "truncated" in refusal(path)


def test_index_without_frames(tmp_path: Path) -> None:
    path = make_clip(tmp_path / "clip.mp4", [corner_image()] * 20, movflags="faststart")
    data = path.read_bytes()
    path.write_bytes(data[: data.index(b"mdat") + 8])
    assert "no frame can be read" in refusal(path)


def test_what_an_index_promises_beyond_the_end_is_not_cut(tmp_path: Path) -> None:
    data = SAMPLE.read_bytes()
    path = tmp_path / "half.mp4"
    path.write_bytes(data[: len(data) // 2])  # its index comes first
    planned = plan(path, dataclasses.replace(RECIPE, segment_s=2.0))
    assert 1 <= len(planned.segments) < 4
    assert planned.frames == 230


def test_vanished(tmp_path: Path) -> None:
    spec = source(make_clip(tmp_path / "clip.mp4", [corner_image()] * 3))
    (tmp_path / "clip.mp4").unlink()
    failed = plan_source(spec, RECIPE)
    assert isinstance(failed, SourceFailure)
    assert "no file" in failed.reason
