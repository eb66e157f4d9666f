"""PoseFrame to COCO results, and results files that are refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gcpose_trt.errors import GcposeError
from gcpose_trt.evaluation import frame_to_results, load_results
from gcpose_trt.pose.types import PoseFrame


@pytest.fixture
def frame() -> PoseFrame:
    keypoints = np.zeros((2, 17, 3), np.float32)
    keypoints[..., 0], keypoints[..., 1] = 20.5, 40.5
    keypoints[0, :, 2], keypoints[1, :, 2] = 0.25, 0.75
    return PoseFrame(
        boxes=np.array([[10, 20, 30, 60], [0, 0, 5, 5]], np.float32),
        scores=np.array([0.9, 0.6], np.float32),
        keypoints=keypoints,
    )


def test_boxes_and_joints(frame: PoseFrame) -> None:
    first = frame_to_results(139, frame, category_id=7)[0]
    assert (first["image_id"], first["category_id"]) == (139, 7)
    assert first["box"] == [10, 20, 20, 40]
    assert first["keypoints"][:3] == [20.0, 40.0, 0.25], "the centre of pixel (20, 40) is pixel (20, 40)"
    assert "bbox" not in first
    json.dumps(first)


def test_rank_by_box(frame: PoseFrame) -> None:
    assert [result["score"] for result in frame_to_results(1, frame)] == pytest.approx([0.9, 0.6])


def test_rank_by_box_times_keypoints(frame: PoseFrame) -> None:
    results = frame_to_results(1, frame, rank="box*keypoints")
    assert [result["score"] for result in results] == pytest.approx([0.9 * 0.25, 0.6 * 0.75])
    assert [result["box_score"] for result in results] == pytest.approx([0.9, 0.6])


def test_nobody() -> None:
    assert frame_to_results(1, PoseFrame.empty()) == []


def test_unknown_rank(frame: PoseFrame) -> None:
    with pytest.raises(GcposeError, match="choose one of box, box\\*keypoints"):
        frame_to_results(1, frame, rank="size")


def test_results_survive_a_file(frame: PoseFrame, tmp_path: Path) -> None:
    results = frame_to_results(139, frame)
    (tmp_path / "r.json").write_text(json.dumps(results))
    assert load_results(tmp_path / "r.json") == results


@pytest.mark.parametrize(
    "document",
    [
        {"annotations": []},
        [1],
        [{"image_id": 1, "score": 0.5}],
        [{"image_id": "1", "score": 0.5, "bbox": [0, 0, 1, 1]}],
        [{"image_id": 1, "bbox": [0, 0, 1, 1]}],
        [{"image_id": 1, "score": 0.5, "bbox": [0, 0, 1]}],
        [{"image_id": 1, "score": 0.5, "keypoints": [0] * 50}],
        [{"image_id": 1, "score": 0.5, "keypoints": ["a"] * 51}],
    ],
)
def test_not_results(document: Any, tmp_path: Path) -> None:
    (tmp_path / "r.json").write_text(json.dumps(document))
    with pytest.raises(GcposeError, match="COCO result") as caught:
        load_results(tmp_path / "r.json")
    assert "\n" not in str(caught.value)
