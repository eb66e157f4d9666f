"""The peer's poses come out where its numbers say."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from benchmarks.compare_movenet import interleave
from benchmarks.movenet import MoveNetMultiPose, decode
from gcpose_trt import PoseFrame
from gcpose_trt.errors import GcposeError
from gcpose_trt.evaluation import evaluate, load_annotations
from gcpose_trt.runtime.preprocess import SizeRule, fit


def test_decode() -> None:
    box = fit((200, 400), SizeRule(long=320))  # content 160x320, canvas 160x320
    people = np.zeros((6, 56), np.float32)
    people[1, :51] = np.tile([0.25, 0.5, 0.75], 17)  # y, x, score
    people[1, 51:] = [0.1, 0.2, 0.9, 0.8, 0.6]
    people[4, 55] = 0.9
    frame = decode(people, box, min_score=0.5)
    assert frame.scores == pytest.approx([0.9, 0.6]), "best first, doubtful ones left out"
    assert frame.boxes[1] == pytest.approx([80, 20, 320, 180])
    assert frame.keypoints[1, 0] == pytest.approx([200.5, 50.5, 0.75])


def test_people_of_a_photograph(shared: Path) -> None:
    peer = MoveNetMultiPose(shared / "weights/movenet-multipose.onnx", size=256, threads=1)
    annotations = load_annotations(shared / "data/coco/person_keypoints_val.json")
    chosen = annotations.image_ids[:6]
    result = evaluate(peer, shared / "data/coco/val", annotations, image_ids=chosen)
    assert result.keypoints["AP"] is not None
    assert result.keypoints["AP"] > 0.1


def test_another_network_is_refused(tmp_path: Path, shared: Path) -> None:
    with pytest.raises(GcposeError, match="no MoveNet MultiPose at"):
        MoveNetMultiPose(tmp_path / "none.onnx")
    with pytest.raises(GcposeError, match="is not MoveNet MultiPose"):
        MoveNetMultiPose(shared / "weights/movenet-thunder.onnx", threads=1)


def test_both_see_every_frame_in_turn() -> None:
    seen: list[tuple[str, int]] = []

    def finder(name: str) -> object:
        def find(frame: np.ndarray) -> PoseFrame:
            seen.append((name, int(frame[0, 0, 0])))
            return PoseFrame.empty()

        return find

    frames = [np.full((4, 4, 3), value, np.uint8) for value in (1, 2, 3)]
    measured = interleave(finder("a"), finder("b"), frames, warmup=1)  # type: ignore[arg-type]
    assert seen == [("a", 1), ("b", 1), ("a", 1), ("b", 1), ("b", 2), ("a", 2), ("a", 3), ("b", 3)]
    assert measured["ratio_of_medians"] > 0
    assert measured["ours"]["people_a_frame"] == 0
