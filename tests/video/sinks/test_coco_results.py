"""COCO's results: what its evaluation reads, complete or not there."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from gcpose_trt.errors import GcposeError
from gcpose_trt.evaluation import load_results
from gcpose_trt.pose import PoseFrame
from gcpose_trt.video.sinks import CocoResultsSink
from tests.video.sinks.common import NOBODY, full_disk, result

KEYPOINTS = np.arange(34, dtype=np.float32).reshape(17, 2)
POSES = PoseFrame([[10, 20, 40, 60]], [0.75], np.dstack([KEYPOINTS[None], np.full((1, 17), 0.5)]))


def test_what_pycocotools_takes(tmp_path: Path) -> None:
    coco = pytest.importorskip("pycocotools.coco")
    path = tmp_path / "out.json"
    with CocoResultsSink(path) as sink:
        for index, name in enumerate(["val/000000397133.jpg", "val/000000000139.jpg", "val/000000000785.jpg"]):
            sink.write(result(index, None, name, POSES if index else NOBODY))
        assert not path.exists(), "it appears once it is complete"
    dataset = coco.COCO()
    dataset.dataset = {
        "images": [{"id": number} for number in (397133, 139, 785)],
        "categories": [{"id": 1, "name": "person"}],
        "annotations": [],
    }
    dataset.createIndex()
    loaded = dataset.loadRes(str(path))
    assert sorted(loaded.getImgIds()) == [139, 785, 397133]
    (entry,) = loaded.loadAnns(loaded.getAnnIds(imgIds=[139]))
    assert (entry["category_id"], entry["score"]) == (1, 0.75)
    joints = np.reshape(entry["keypoints"], (17, 3))
    np.testing.assert_allclose(joints[:, :2], KEYPOINTS - 0.5)
    assert entry["box"] == [10, 20, 30, 40]
    # The extent of the joints, as for every keypoint result; not the area of the box.
    assert entry["area"] == 32 * 32


def test_clips_count_frames(tmp_path: Path) -> None:
    path = tmp_path / "out.json"
    with pytest.raises(KeyboardInterrupt), CocoResultsSink(path, rank="box*keypoints") as sink:
        for index in (4, 7):
            sink.write(result(index, index / 10, "2024.mp4", POSES))
        raise KeyboardInterrupt
    entries = load_results(path)
    assert [entry["image_id"] for entry in entries] == [4, 7]
    assert entries[0]["score"] == 0.375


def test_nobody_is_an_empty_list(tmp_path: Path) -> None:
    with CocoResultsSink(tmp_path / "out.json") as sink:
        sink.write(result(poses=NOBODY))
    assert json.loads((tmp_path / "out.json").read_text()) == []


def test_images_without_numbers(tmp_path: Path) -> None:
    with CocoResultsSink(tmp_path / "out.json") as sink:
        for index, name in enumerate(["b.jpg", "a.jpg", "²", "12.jpg"]):
            sink.write(result(index, None, name, POSES))
    found = [entry["image_id"] for entry in json.loads((tmp_path / "out.json").read_text())]
    assert found == [0, 1, 2, 12]


def test_two_images_of_one_number(tmp_path: Path) -> None:
    with pytest.raises(GcposeError, match="image_id 1;"), CocoResultsSink(tmp_path / "out.json") as sink:
        sink.write(result(0, None, "x/1.jpg"))
        sink.write(result(1, None, "y/1.jpg"))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("frames", [1, 500])
def test_a_full_disk_spares_the_older_file(tmp_path: Path, frames: int) -> None:
    path = tmp_path / "out.json"
    path.write_text("older")
    with pytest.raises(GcposeError, match="free some space"), full_disk(100), CocoResultsSink(path) as sink:
        for index in range(frames):
            sink.write(result(index))
    assert path.read_text() == "older"
    assert list(tmp_path.iterdir()) == [path]
