"""Ground truth in COCO's person-keypoints format, checked before any work is done on it."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gcpose_trt.errors import GcposeError
from gcpose_trt.pose.skeleton import COCO17

KEYPOINTS = len(COCO17)


@dataclass(frozen=True)
class CocoAnnotations:
    """The people of a COCO-format data set.

    Attributes:
        source: where it came from, for messages.
        category_id: the id of the category "person".
        images: one dictionary an image (`id`, `file_name` and, where known, `width` and `height`), people in it or not.
        people: one dictionary a person: `id` (from 1), `image_id`, `category_id`, `bbox` [x, y, width, height],
            `area`, `iscrowd`, `num_keypoints`, `keypoints` (51 numbers: x, y, visibility).
    """

    source: str
    category_id: int
    images: list[dict[str, Any]]
    people: list[dict[str, Any]]

    @property
    def image_ids(self) -> list[int]:
        """Ids of all images, in the order of the file."""
        return [image["id"] for image in self.images]

    def subset(self, image_ids: Iterable[int]) -> CocoAnnotations:
        """Return the annotations of the chosen images only.

        Raises:
            GcposeError: an id that is not among the images, or no id at all.
        """
        chosen = set(image_ids)
        unknown = chosen - set(self.image_ids)
        if unknown:
            raise GcposeError(
                f"{len(unknown)} of the chosen images are not in {self.source}, the first is {min(unknown)}; "
                "choose ids that the annotations have"
            )
        if not chosen:
            raise GcposeError("no images were chosen; choose at least one image id")
        return CocoAnnotations(
            self.source,
            self.category_id,
            [image for image in self.images if image["id"] in chosen],
            [person for person in self.people if person["image_id"] in chosen],
        )

    def image_paths(self, folder: str | os.PathLike[str]) -> list[Path]:
        """Return the file of every image inside `folder`, in the order of `images`.

        Raises:
            GcposeError: the folder or some of the files are missing; the message counts them and names the first.
        """
        root = Path(folder)
        if not root.is_dir():
            raise GcposeError(f"{root} is not a folder; give the folder that holds the images of {self.source}")
        paths = [root / image["file_name"] for image in self.images]
        missing = [path for path in paths if not path.is_file()]
        if missing:
            raise GcposeError(
                f"{len(missing)} of the {len(paths)} images of {self.source} are not in {root}, the first is "
                f"{missing[0].relative_to(root)}; give the folder that belongs to these annotations"
            )
        return paths


def read_json(path: str | os.PathLike[str], what: str) -> Any:
    """Return the contents of a JSON file.

    Args:
        path: the file.
        what: what it should hold, for messages ("annotations").

    Raises:
        GcposeError: it is missing, unreadable, truncated or not JSON.
    """
    file = Path(path)
    try:
        return json.loads(file.read_bytes())
    except (FileNotFoundError, IsADirectoryError) as error:
        raise GcposeError(f"no file of {what} at {file}; check the path") from error
    except OSError as error:
        raise GcposeError(f"cannot read {file} ({error.strerror}); check its permissions") from error
    except (ValueError, RecursionError) as error:
        raise GcposeError(
            f"{file} is not complete JSON ({error}); it may be truncated: fetch or write the {what} again"
        ) from error


def load_annotations(path: str | os.PathLike[str]) -> CocoAnnotations:
    """Read a COCO person-keypoints file, such as `person_keypoints_val2017.json`.

    Raises:
        GcposeError: it is missing, truncated, not COCO's format, or has no images, no person category or no keypoints.
    """
    return parse_annotations(read_json(path, "annotations"), str(path))


def parse_annotations(document: Any, source: str) -> CocoAnnotations:
    """Check a COCO person-keypoints document and keep its people.

    Args:
        document: the parsed JSON.
        source: its name in messages.

    Raises:
        GcposeError: see `load_annotations`.
    """
    if not isinstance(document, dict) or not all(
        isinstance(document.get(key), list) for key in ("images", "annotations", "categories")
    ):
        raise GcposeError(
            f"{source} is not COCO annotations: it lacks the lists images, annotations and categories; "
            "give a file such as person_keypoints_val2017.json"
        )
    try:
        category_id = _person_category(document["categories"], source)
        images = _images(document["images"], source)
        people = _people(document["annotations"], category_id, {image["id"] for image in images}, source)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise GcposeError(
            f"{source} has an entry that is not COCO's format ({type(error).__name__}: {error}); correct the file"
        ) from error
    return CocoAnnotations(source, category_id, images, people)


def _person_category(categories: list[dict[str, Any]], source: str) -> int:
    for category in categories:
        if category["name"] == "person":
            return int(category["id"])
    raise GcposeError(f"{source} has no category named person; give the annotations of people")


def _images(entries: list[dict[str, Any]], source: str) -> list[dict[str, Any]]:
    if not entries:
        raise GcposeError(f"{source} lists no images; give annotations of at least one image")
    kept = ("id", "file_name", "width", "height")
    images = [{key: entry[key] for key in kept if key in entry} for entry in entries]
    for image in images:
        if not isinstance(image["id"], int) or not isinstance(image["file_name"], str):
            raise ValueError(f"image {image['id']!r} needs a whole number as id and a file_name")
    if len({image["id"] for image in images}) < len(images):
        raise GcposeError(f"{source} lists an image id twice; give every image its own id")
    return images


def _people(entries: list[dict[str, Any]], category_id: int, image_ids: set[int], source: str) -> list[dict[str, Any]]:
    entries = [entry for entry in entries if entry["category_id"] == category_id]
    if entries and not any("keypoints" in entry for entry in entries):
        raise GcposeError(
            f"{source} has people but no keypoints (is it an instances file?); give a person_keypoints file"
        )
    people = []
    # Ids count from 1 whatever the file says: pycocotools takes a match with id 0 for no match.
    for number, entry in enumerate(entries, start=1):
        if entry["image_id"] not in image_ids:
            raise GcposeError(
                f"{source} has a person on image {entry['image_id']}, which it does not list; add the image or drop it"
            )
        keypoints = [float(value) for value in entry.get("keypoints", [0] * (3 * KEYPOINTS))]
        x, y, width, height = (float(value) for value in entry["bbox"])
        if len(keypoints) != 3 * KEYPOINTS:
            raise ValueError(f"person {entry.get('id', number)} has {len(keypoints)} keypoint numbers instead of 51")
        people.append(
            {
                "id": number,
                "image_id": entry["image_id"],
                "category_id": category_id,
                "bbox": [x, y, width, height],
                "area": float(entry.get("area", width * height)),
                "iscrowd": int(entry.get("iscrowd", 0)),
                "num_keypoints": int(entry.get("num_keypoints", sum(v > 0 for v in keypoints[2::3]))),
                "keypoints": keypoints,
            }
        )
    return people
