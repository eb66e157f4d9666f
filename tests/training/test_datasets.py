"""Reading COCO-format data, and refusing what is broken."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from gcpose_trt.errors import GcposeError
from gcpose_trt.training.config import AugmentConfig, DatasetConfig
from gcpose_trt.training.datasets import CocoDataset, read_image

CONFIG = DatasetConfig(images="images", annotations="annotations.json", augment=AugmentConfig(canvas=(64, 64)))


def person(**changes: Any) -> dict[str, Any]:
    keypoints = [0.0] * 51
    keypoints[15:18] = [12, 14, 1]  # the left shoulder, hidden but labelled
    return {"image_id": 1, "iscrowd": 0, "bbox": [10, 10, 20, 30], "keypoints": keypoints} | changes


def write(folder: Path, annotations: list[dict[str, Any]]) -> Path:
    (folder / "images").mkdir()
    cv2.imwrite(str(folder / "images" / "a.png"), np.full((48, 64, 3), 9, np.uint8))
    images = [{"id": 1, "file_name": "a.png", "height": 48, "width": 64}]
    (folder / "annotations.json").write_text(json.dumps({"images": images, "annotations": annotations}))
    return folder


def replace(**changes: Any) -> DatasetConfig:
    from dataclasses import replace as change

    return change(CONFIG, **changes)


def test_labels_become_boxes_points_and_weights(tmp_path: Path) -> None:
    folder = write(tmp_path, [person(), person(iscrowd=1, bbox=[0, 0, 64, 20]), person(bbox=[5, 5, 0, 9])])
    record = CocoDataset(CONFIG, [folder]).records[0]
    assert record.boxes.tolist() == [[10, 10, 30, 40]]
    assert record.ignore.tolist() == [[0, 0, 64, 20]]
    assert record.keypoints[0, 5].tolist() == [12.5, 14.5, 1.0]
    assert record.keypoints[0, :, 2].sum() == 1
    assert read_image(record).shape == (48, 64, 3)


def test_teacher_fills_in_only_what_it_is_sure_of_and_nobody_labelled(tmp_path: Path) -> None:
    teacher = np.zeros((17, 3))
    teacher[0] = (15, 11, 0.9)
    teacher[1] = (16, 10, 0.3)
    teacher[5] = (60, 40, 0.9)
    teacher[9] = (20, 30, 0.9)
    folder = write(tmp_path, [person(teacher_keypoints=teacher.ravel().tolist())])
    config = replace(teacher_joints=(0, 1, 5), teacher_threshold=0.5, teacher_weight=0.25)
    keypoints = CocoDataset(config, [folder]).records[0].keypoints[0]
    assert keypoints[0].tolist() == [15, 11, 0.25]
    assert keypoints[1, 2] == 0
    assert keypoints[5].tolist() == [12.5, 14.5, 1.0]
    assert keypoints[9, 2] == 0


def test_what_is_drawn(tmp_path: Path) -> None:
    folder = write(tmp_path, [person(), person(keypoints=[0] * 51), person()])
    assert CocoDataset(CONFIG, [folder]).units == [(0, -1)]
    by_person = replace(augment=AugmentConfig(canvas=(64, 64), person_size=(20, 40)))
    assert CocoDataset(by_person, [folder]).units == [(0, 0), (0, 2)]
    with pytest.raises(GcposeError, match="no image with a labelled person"):
        CocoDataset(replace(min_keypoints=3), [folder])


def test_roots_are_searched_in_order(tmp_path: Path, figures: Path) -> None:
    assert len(CocoDataset(CONFIG, [tmp_path, figures]).records) == 6
    assert len(CocoDataset(replace(limit=2), [tmp_path, figures]).records) == 2
    with pytest.raises(
        GcposeError, match=r"folder of images images is not in .*; give the folder that has it with --data"
    ):
        CocoDataset(CONFIG, [tmp_path])


def test_missing_images_are_counted(figures: Path, tmp_path: Path) -> None:
    folder = tmp_path / "copy"
    shutil.copytree(figures, folder)
    (folder / "images" / "003.png").unlink()
    with pytest.raises(GcposeError, match=r"1 of 6 images .* \(first: 003.png\)"):
        CocoDataset(CONFIG, [folder])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda text: text[: len(text) // 2], "not JSON or is truncated"),
        (lambda text: "[]", "no lists"),
        (lambda text: '{"images": [{}], "annotations": []}', "not COCO keypoint data"),
        (lambda text: text.replace('"bbox"', '"box"'), "not COCO keypoint data"),
        (lambda text: '{"images": [], "annotations": []}', "no image with a labelled person"),
    ],
)
def test_broken_annotations(figures: Path, tmp_path: Path, change: Any, message: str) -> None:
    folder = tmp_path / "copy"
    shutil.copytree(figures, folder)
    path = folder / "annotations.json"
    path.write_text(change(path.read_text()))
    with pytest.raises(GcposeError, match=message) as error:
        CocoDataset(CONFIG, [folder])
    assert "\n" not in str(error.value)


def test_keypoints_of_another_skeleton(tmp_path: Path) -> None:
    with pytest.raises(GcposeError, match="not COCO keypoint data"):
        CocoDataset(CONFIG, [write(tmp_path, [person(keypoints=[1, 2, 2] * 16)])])


def test_images_that_do_not_decode_or_fit(tmp_path: Path) -> None:
    record = CocoDataset(CONFIG, [write(tmp_path, [person()])]).records[0]
    cv2.imwrite(str(record.path), np.zeros((20, 20, 3), np.uint8))
    with pytest.raises(GcposeError, match="is 20x20 but its annotations say 64x48"):
        read_image(record)
    record.path.write_bytes(b"no picture")
    with pytest.raises(GcposeError, match="cannot decode"):
        read_image(record)
