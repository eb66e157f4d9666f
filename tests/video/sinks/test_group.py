"""Several sinks as one."""

from __future__ import annotations

from pathlib import Path

import pytest

from gcpose_trt.video.sinks import ImageSink, JsonLinesSink, SinkGroup
from tests.video.sinks.common import result


def test_a_group_leaves_all_its_sinks_alike(tmp_path: Path) -> None:
    paths = [tmp_path / "a.jsonl", tmp_path / "b.jsonl"]
    with SinkGroup([JsonLinesSink(path) for path in paths]) as group:
        group.write(result())
    assert paths[0].read_text() == paths[1].read_text() != ""
    with pytest.raises(ZeroDivisionError), SinkGroup([JsonLinesSink(path) for path in paths]) as group:
        group.write(result())
        raise ZeroDivisionError
    assert list(tmp_path.iterdir()) == []


def test_a_group_wants_pictures_if_one_of_it_does(tmp_path: Path) -> None:
    lines, image = JsonLinesSink(tmp_path / "a"), ImageSink(tmp_path / "b.png", folder=False)
    assert [SinkGroup(sinks).needs_picture for sinks in ([], [lines], [lines, image])] == [False, False, True]
