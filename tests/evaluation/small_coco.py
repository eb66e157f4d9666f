"""A small data set in COCO's format: two people on one image, one on another, nobody on the third."""

from __future__ import annotations

from typing import Any

import numpy as np

from gcpose_trt.pose.types import PoseFrame

WIDTH, HEIGHT = 320, 240


def make_person(image_id: int, x: float, y: float, width: float, height: float) -> dict[str, Any]:
    """Return a person whose 17 joints are spread over the box, as whole pixels."""
    steps = np.linspace(0.1, 0.9, 17)
    joints = [(int(x + width * steps[(5 * k) % 17]), int(y + height * steps[k]), 2) for k in range(17)]
    return {
        "id": 10 * image_id + int(x),
        "image_id": image_id,
        "category_id": 1,
        "bbox": [x, y, width, height],
        "area": width * height,
        "iscrowd": 0,
        "num_keypoints": 17,
        "keypoints": [float(value) for joint in joints for value in joint],
    }


def make_document() -> dict[str, Any]:
    """Return the annotations."""
    return {
        "images": [
            {"id": number, "file_name": f"{number:04d}.png", "width": WIDTH, "height": HEIGHT} for number in (1, 2, 3)
        ],
        "annotations": [
            make_person(1, 10, 10, 100, 200),
            make_person(1, 150, 20, 120, 200),
            make_person(2, 30, 30, 60, 100),
        ],
        "categories": [{"id": 1, "name": "person"}],
    }


def make_results(document: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the annotated people as detections."""
    return [
        {
            "image_id": person["image_id"],
            "category_id": 1,
            "keypoints": list(person["keypoints"]),
            "score": 0.9,
            "box": list(person["bbox"]),
            "box_score": 0.9,
        }
        for person in document["annotations"]
    ]


class Oracle:
    """A stand-in for an estimator: knows the people of the small data set from the value of the image's first pixel."""

    def __init__(self, document: dict[str, Any], ghost: bool = False) -> None:
        self.people = document["annotations"]
        self.ghost = ghost
        self.seen: list[int] = []

    def __call__(self, frame: np.ndarray) -> PoseFrame:
        """Return the people of the image, and with `ghost` one more of the best box score but doubtful joints."""
        assert frame.dtype == np.uint8
        assert frame.shape == (HEIGHT, WIDTH, 3)
        image_id = int(frame[0, 0, 0])
        self.seen.append(image_id)
        people = [person for person in self.people if person["image_id"] == image_id]
        boxes = np.array([person["bbox"] for person in people], np.float32).reshape(-1, 4)
        boxes[:, 2:] += boxes[:, :2]
        joints = np.array([person["keypoints"] for person in people], np.float32).reshape(-1, 17, 3)
        joints[..., :2] += 0.5
        joints[..., 2] = 0.8
        scores = np.full(len(people), 0.9, np.float32)
        if self.ghost:
            away = np.full((1, 17, 3), 300, np.float32)
            away[..., 2] = 0.1
            boxes = np.concatenate([np.array([[290, 200, 310, 230]], np.float32), boxes])
            joints, scores = np.concatenate([away, joints]), np.concatenate([np.float32([0.99]), scores])
        return PoseFrame(boxes=boxes, scores=scores, keypoints=joints)
