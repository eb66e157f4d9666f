"""Annotated images without a data set: frames of the sample clip, with what the shipped model finds for the truth."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np

from gcpose_trt.assets import FOLDER
from gcpose_trt.runtime.estimator import PoseEstimator

_EDGES = [[1, 2]]


def annotate(folder: Path, size: tuple[int, int], count: int = 2) -> tuple[Path, Path]:
    """Write frames and a COCO file.

    Args:
        folder: to write to.
        size: (H, W) of the frames.
        count: frames.

    Returns:
        The folder of the images and the file of the annotations.
    """
    images = folder / "images"
    images.mkdir(parents=True)
    clip = cv2.VideoCapture(str(FOLDER / "sample.mp4"))
    found: dict[str, list[dict[str, object]]] = {"images": [], "annotations": []}
    with PoseEstimator("mobile", size=size, min_score=0.5, max_people=5, threads=1) as estimator:
        for number in range(1, count + 1):
            clip.set(cv2.CAP_PROP_POS_FRAMES, 20 * number)
            good, frame = clip.read()
            assert good
            frame = cv2.resize(frame, (size[1], size[0]))
            name = f"{number}.png"
            cv2.imwrite(str(images / name), frame)
            found["images"].append({"id": number, "file_name": name, "width": size[1], "height": size[0]})
            people = estimator(frame)
            for box, joints in zip(people.boxes, people.keypoints, strict=True):
                found["annotations"].append(_person(len(found["annotations"]) + 1, number, box, joints))
    assert found["annotations"]
    category = {"id": 1, "name": "person", "keypoints": [f"joint{i}" for i in range(17)], "skeleton": _EDGES}
    path = folder / "truth.json"
    path.write_text(json.dumps({**found, "categories": [category]}))
    return images, path


def _person(number: int, image: int, box: np.ndarray, joints: np.ndarray) -> dict[str, object]:
    left, top, right, bottom = (float(side) for side in box)
    keypoints = [value for x, y, _ in joints for value in (float(x), float(y), 2)]
    area = (right - left) * (bottom - top)
    return {
        **{"id": number, "image_id": image, "category_id": 1, "iscrowd": 0, "num_keypoints": 17},
        **{"bbox": [left, top, right - left, bottom - top], "area": area, "keypoints": keypoints},
    }
