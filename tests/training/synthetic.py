"""A small COCO-format data set of drawn people, and a recipe that trains on it in seconds."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np

# A stick figure in units of its box: x, y of the 17 COCO joints.
FIGURE = np.array(
    [
        (0.50, 0.10), (0.55, 0.08), (0.45, 0.08), (0.60, 0.10), (0.40, 0.10), (0.68, 0.25), (0.32, 0.25), (0.80, 0.40),
        (0.20, 0.40), (0.90, 0.52), (0.10, 0.52), (0.62, 0.55), (0.38, 0.55), (0.64, 0.75), (0.36, 0.75), (0.66, 0.95),
        (0.34, 0.95),
    ]
)  # fmt: skip
BONES = [(5, 6), (5, 7), (7, 9), (6, 8), (8, 10), (11, 12), (5, 11), (6, 12), (11, 13), (13, 15), (12, 14), (14, 16)]


def write_dataset(folder: Path, images: int = 6, size: tuple[int, int] = (96, 128), seed: int = 0) -> None:
    """Write `images` pictures (height, width) = `size` with one to three figures and `annotations.json` to `folder`."""
    rng = np.random.default_rng(seed)
    (folder / "images").mkdir(parents=True)
    tree: dict[str, Any] = {"images": [], "annotations": [], "categories": [{"id": 1, "name": "person"}]}
    height, width = size
    for number in range(images):
        picture = rng.integers(60, 120, (height, width, 3)).astype(np.uint8)
        for _ in range(rng.integers(1, 4)):
            h = rng.uniform(0.5, 0.8) * height
            w = 0.5 * h
            x, y = rng.uniform(0, width - w), rng.uniform(0, height - h)
            points = FIGURE * (w, h) + (x, y)
            for a, b in BONES:
                ends = [tuple(int(v) for v in points[joint]) for joint in (a, b)]
                cv2.line(picture, ends[0], ends[1], (40, 220, 240), 2)
            cv2.circle(picture, tuple(int(v) for v in points[0]), 4, (250, 250, 250), -1)
            keypoints = np.column_stack([points, np.full(17, 2)]).round(2).ravel().tolist()
            tree["annotations"].append(
                {
                    "id": len(tree["annotations"]) + 1,
                    "image_id": number,
                    "category_id": 1,
                    "iscrowd": 0,
                    "bbox": [x, y, w, h],
                    "area": w * h,
                    "keypoints": keypoints,
                    "num_keypoints": 17,
                }
            )
        name = f"{number:03d}.png"
        cv2.imwrite(str(folder / "images" / name), picture)
        tree["images"].append({"id": number, "file_name": name, "height": height, "width": width})
    (folder / "annotations.json").write_text(json.dumps(tree))


RECIPE = """
model: mobile
precision: fp32
ema: 0.9
workers: 1
checkpoint_every: 2
log_every: 1
datasets:
  - images: images
    annotations: annotations.json
    batch: 2
    augment: {canvas: [96, 96], scale: [0.6, 1.2], brightness: 0.2}
  - images: images
    annotations: annotations.json
    batch: 2
    detection: false
    augment: {canvas: [64, 64], person_size: [30, 60], rotation: 30}
rpn: {samples: 32, pre_nms: 30, post_nms: 20}
box: {samples: 16}
keypoint: {roi_jitter: 0.1, max_rois: 3, sigma: 1.0}
optimizer:
  name: adamw
  lr: 0.0005
  clip_norm: 5.0
  param_groups:
    - {prefix: backbone, lr_scale: 0}
    - {prefix: prior, lr_scale: 0}
schedule: {name: cosine, iterations: 6, warmup: 2}
"""


def write_recipe(folder: Path, **replacements: str) -> Path:
    """Write `RECIPE` with some words replaced, and return its path."""
    text = RECIPE
    for old, new in replacements.items():
        assert old in text
        text = text.replace(old, new)
    path = folder / "recipe.yaml"
    path.write_text(text)
    return path
