"""Between `PoseFrame` and COCO's results format."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from gcpose_trt.errors import GcposeError
from gcpose_trt.evaluation.annotations import KEYPOINTS, read_json

if TYPE_CHECKING:
    from gcpose_trt.pose.types import PoseFrame

RANKS = ("box", "box*keypoints")

# A joint of ours lies at a point of the continuous image, where the first pixel has its centre at (0.5, 0.5). COCO
# annotates with the index of the pixel, so the same joint reads half a pixel less there. Boxes are alike in both.
PIXEL_CENTRE = 0.5


def frame_to_results(image_id: int, frame: PoseFrame, category_id: int = 1, rank: str = "box") -> list[dict[str, Any]]:
    """Return one COCO keypoint result a person.

    The box goes under `box` and `box_score`, not COCO's `bbox`: with `bbox` present pycocotools takes the area of a
    detection from the box instead of from the keypoints' extent, and the AP of medium and large people would shift.

    Args:
        image_id: the id of the image in the annotations.
        frame: the people found in it.
        category_id: the id of "person" in the annotations.
        rank: what orders people for keypoint AP: "box", the box score, or "box*keypoints", that times the mean
            score of the 17 keypoints.

    Returns:
        Dictionaries of `image_id`, `category_id`, `keypoints` (51 numbers), `score`, `box` [x, y, width, height] and
        `box_score`.
    """
    check_rank(rank)
    results = []
    for box, box_score, joints in zip(frame.boxes, frame.scores, frame.keypoints, strict=True):
        triplets = joints.astype(float)
        triplets[:, :2] -= PIXEL_CENTRE
        left, top, right, bottom = (float(value) for value in box)
        score = float(box_score)
        results.append(
            {
                "image_id": image_id,
                "category_id": category_id,
                "keypoints": [round(value, 3) for value in triplets.ravel().tolist()],
                "score": score * float(joints[:, 2].mean()) if rank == "box*keypoints" else score,
                "box": [round(value, 3) for value in (left, top, right - left, bottom - top)],
                "box_score": score,
            }
        )
    return results


def check_rank(rank: str) -> str:
    """Return `rank` if it is one of `RANKS`.

    Raises:
        GcposeError: it is not.
    """
    if rank not in RANKS:
        raise GcposeError(f"people cannot be ranked by {rank!r}; choose one of {', '.join(RANKS)}")
    return rank


def load_results(path: str | os.PathLike[str]) -> list[dict[str, Any]]:
    """Read COCO results: keypoints (of this toolkit or another), boxes, or both.

    Raises:
        GcposeError: the file is missing, truncated or not COCO's results format.
    """
    return check_results(read_json(path, "detections"), str(path))


def check_results(document: Any, source: str) -> list[dict[str, Any]]:
    """Return `document` if it is a list of COCO keypoint or box results.

    Raises:
        GcposeError: it is not; `source` names it in the message.
    """
    if not isinstance(document, list):
        raise GcposeError(f"{source} is not COCO results, which are one list; give a file of detections")
    for number, entry in enumerate(document):
        if not _is_result(entry):
            raise GcposeError(
                f"entry {number} of {source} is not a COCO result: it needs image_id, score and keypoints "
                "(51 numbers) or bbox (4 numbers); correct the file"
            )
    return document


def _is_result(entry: Any) -> bool:
    if not isinstance(entry, dict) or not isinstance(entry.get("image_id"), int):
        return False
    lengths = {"keypoints": 3 * KEYPOINTS, "bbox": 4, "box": 4}
    present = [name for name in lengths if name in entry]
    return (
        isinstance(entry.get("score"), int | float)
        and bool(present)
        and all(
            isinstance(entry[name], list)
            and len(entry[name]) == lengths[name]
            and all(isinstance(value, int | float) for value in entry[name])
            for name in present
        )
    )
