"""COCO-format data sets, read and checked before training starts."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from gcpose_trt.errors import GcposeError
from gcpose_trt.training.config import DatasetConfig

JOINTS = 17
Array = npt.NDArray[np.float32]


@dataclass(frozen=True)
class ImageRecord:
    """One image and its labels.

    Attributes:
        path: the image file.
        height, width: pixels, as the annotations have them.
        boxes: (G, 4) float32 xyxy of the people.
        keypoints: (G, 17, 3) float32 x, y and weight in the keypoint loss (0: not labelled).
        ignore: (I, 4) float32 xyxy, crowds: neither people nor background.
    """

    path: Path
    height: int
    width: int
    boxes: Array
    keypoints: Array
    ignore: Array


def find_in_roots(path: str, roots: Sequence[Path], what: str) -> Path:
    """Return the first `root / path` that exists.

    Raises:
        GcposeError: none does.
    """
    for root in roots or [Path()]:
        if (root / path).exists():
            return root / path
    places = ", ".join(str(root) for root in roots) or "the current folder"
    raise GcposeError(f"{what} {path} is not in {places}; give the folder that has it with --data")


def _read_json(path: Path) -> dict[str, Any]:
    try:
        tree = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise GcposeError(f"cannot read {path} ({error}); give a COCO annotation file") from error
    except json.JSONDecodeError as error:
        raise GcposeError(f"{path} is not JSON or is truncated (line {error.lineno}); fetch it again") from error
    if not isinstance(tree, dict) or not all(isinstance(tree.get(key), list) for key in ("images", "annotations")):
        raise GcposeError(f"{path} has no lists `images` and `annotations`; give COCO person_keypoints annotations")
    return tree


def _person_keypoints(annotation: dict[str, Any], config: DatasetConfig) -> Array:
    labels = np.asarray(annotation.get("keypoints") or [0] * (3 * JOINTS), dtype=np.float32).reshape(JOINTS, 3)
    keypoints = labels.copy()
    keypoints[:, :2] += config.keypoint_offset
    keypoints[:, 2] = labels[:, 2] > 0
    teacher = annotation.get("teacher_keypoints")
    if teacher is not None:
        guesses = np.asarray(teacher, dtype=np.float32).reshape(JOINTS, 3)
        if config.teacher_agreement > 0:
            side = max(annotation["bbox"][2:])
            apart = np.linalg.norm(guesses[:, :2] - keypoints[:, :2], axis=1)
            agrees = apart <= config.teacher_agreement * side
            keypoints[:, 2] *= agrees
            keypoints[agrees, :2] = guesses[agrees, :2]
        for joint in config.teacher_joints:
            if labels[joint, 2] == 0 and guesses[joint, 2] >= config.teacher_threshold:
                keypoints[joint] = (*guesses[joint, :2], config.teacher_weight)
    return keypoints


def _labels(annotations: list[dict[str, Any]], config: DatasetConfig) -> tuple[Array, Array, Array]:
    boxes, keypoints, ignore = [], [], []
    for annotation in annotations:
        x, y, width, height = annotation["bbox"]
        if width <= 0 or height <= 0:
            continue
        box = (x, y, x + width, y + height)
        if annotation.get("iscrowd"):
            ignore.append(box)
            continue
        boxes.append(box)
        keypoints.append(_person_keypoints(annotation, config))
    return (
        np.asarray(boxes, np.float32).reshape(-1, 4),
        np.asarray(keypoints, np.float32).reshape(-1, JOINTS, 3),
        np.asarray(ignore, np.float32).reshape(-1, 4),
    )


class CocoDataset:
    """The images of one data set that have people in them.

    Args:
        config: where the data is and how to read its labels.
        roots: folders in which to look for it.

    Attributes:
        records: one `ImageRecord` an image.
        units: (record, person) for each thing to draw; person is -1 where whole images are drawn.

    Raises:
        GcposeError: missing folder, file or images; truncated or foreign JSON; no people.
    """

    def __init__(self, config: DatasetConfig, roots: Sequence[Path]) -> None:
        self.config = config
        folder = find_in_roots(config.images, roots, "folder of images")
        path = find_in_roots(config.annotations, roots, "annotation file")
        tree = _read_json(path)
        try:
            self.records = self._read_records(tree, folder, path)
        except (KeyError, TypeError, ValueError) as error:
            raise GcposeError(f"{path} is not COCO keypoint data ({error!r}); give person_keypoints JSON") from error
        self.units = self._list_units()
        if not self.units:
            raise GcposeError(f"{path} has no image with a labelled person; give other annotations")

    def _read_records(self, tree: dict[str, Any], folder: Path, path: Path) -> list[ImageRecord]:
        # One listing instead of a hundred thousand look-ups; names with a folder in them are looked up.
        present = {entry.name for entry in folder.iterdir()} if folder.is_dir() else set()
        images = tree["images"][: self.config.limit or None]
        missing = [
            image["file_name"]
            for image in images
            if image["file_name"] not in present and not (folder / image["file_name"]).is_file()
        ]
        if missing:
            raise GcposeError(
                f"{len(missing)} of {len(images)} images of {path} are not in {folder} (first: {missing[0]}); "
                "fetch them or give the right folder"
            )
        by_image: dict[int, list[dict[str, Any]]] = defaultdict(list)
        for annotation in tree["annotations"]:
            by_image[annotation["image_id"]].append(annotation)
        return [
            ImageRecord(
                folder / image["file_name"],
                int(image["height"]),
                int(image["width"]),
                *_labels(by_image[image["id"]], self.config),
            )
            for image in images
        ]

    def _list_units(self) -> list[tuple[int, int]]:
        units = []
        for n, record in enumerate(self.records):
            labelled = (record.keypoints[..., 2] > 0).sum(1)
            if self.config.augment.person_size is not None:
                units += [
                    (n, person) for person in np.nonzero(labelled >= max(self.config.min_keypoints, 1))[0].tolist()
                ]
            elif len(record.boxes) and labelled.sum() >= self.config.min_keypoints:
                units.append((n, -1))
        return units


def read_image(record: ImageRecord) -> npt.NDArray[np.uint8]:
    """Return the image (height, width, 3) uint8 BGR in the orientation that the annotations have.

    Raises:
        GcposeError: the file cannot be decoded or its size is not that of the annotations.
    """
    shape = (0, 0)
    for flags in (cv2.IMREAD_COLOR, cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION):
        image = cv2.imread(str(record.path), flags)
        if image is None:
            raise GcposeError(
                f"cannot decode the image {record.path}; fetch it again or take it out of the annotations"
            )
        shape = image.shape[:2]
        if shape == (record.height, record.width):
            return image.astype(np.uint8, copy=False)
    raise GcposeError(
        f"{record.path} is {shape[1]}x{shape[0]} but its annotations say {record.width}x{record.height}; "
        "fetch the original image"
    )
