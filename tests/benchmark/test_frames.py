"""Decoding frames of a clip by their numbers, and one contender's turn."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gcpose_trt.assets import SAMPLE
from gcpose_trt.benchmark.contender import ContenderSpec
from gcpose_trt.benchmark.opening import Ours, open_contender
from gcpose_trt.benchmark.operations import frames
from gcpose_trt.errors import GcposeError
from gcpose_trt.video.sources import open_source


def test_a_decoder_gives_the_frames_that_are_asked_for() -> None:
    """Forwards it goes on, backwards it opens the clip again; a video's frames are what a player shows."""
    wanted = []
    with open_source(SAMPLE) as source:
        for frame in source:
            wanted.append(frame.image)
            if frame.index == 4:
                break
    decoder = frames.Decoder(str(SAMPLE))
    for index in (1, 2, 4, 0, 4):
        image, took = decoder.read(index)
        np.testing.assert_array_equal(image, wanted[index])
        assert took > 0
    decoder.close()
    np.testing.assert_array_equal(decoder.read(0)[0], wanted[0])
    decoder.close()


def test_frames_in_any_order(pictures: Path) -> None:
    """As they were asked for, the same one twice too; one that is not there is an error."""
    found = frames.read(str(pictures), [3, 0, 3])
    assert [int(frame[0, 0, 0]) for frame in found] == [60, 0, 60]
    with pytest.raises(GcposeError, match="has no frame 6"):
        frames.read(str(pictures), [6])


def test_a_turn_of_ours() -> None:
    """All parts are timed, and the run is not shorter than its parts."""
    contender, _ = open_contender(ContenderSpec("mobile", size="128", threads=1))
    answer = frames.run(contender, {"clip": str(SAMPLE), "indices": [0, 3]})
    contender.close()
    assert set(answer["stages"]) == {"preprocess", "detector", "pose", "postprocess"}
    assert all(len(values) == 2 for values in (*answer["stages"].values(), answer["decode"], answer["draw"]))
    for number, run in enumerate(answer["run"]):
        assert 0 < sum(values[number] for values in answer["stages"].values()) <= run
    assert answer["wall"] > sum(answer["run"]) / 1e3


def test_ours_looks_at_as_many_people_as_it_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without people the pose network is not called."""
    contender, _ = open_contender(ContenderSpec("mobile", size="128", threads=1))
    assert isinstance(contender, Ours)
    frame, backend, counts = np.zeros((90, 120, 3), np.uint8), contender._estimator._backend, []
    assert backend is not None
    original = backend.pose

    def pose(p2: Any, boxes: Any, batch_index: Any) -> Any:
        counts.append(len(boxes))
        return original(p2, boxes, batch_index)

    monkeypatch.setattr(backend, "pose", pose)
    for people in (3, 0, 1):
        assert set(contender.run_people(frame, people)) == {"preprocess", "detector", "pose", "postprocess"}
    assert counts == [3, 1]
    assert len(contender.run_batch([frame, frame])) == 2
    contender.close()
