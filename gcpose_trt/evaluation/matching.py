"""Who of the people found in an image is who of those annotated, by COCO's rules for keypoints.

The rules are those of pycocotools (COCOeval, keypoints), which gives no account of single people.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gcpose_trt.evaluation.annotations import KEYPOINTS, CocoAnnotations
from gcpose_trt.pose.skeleton import COCO17
from gcpose_trt.pose.tracking.similarity import VARIANCES, joint_similarity, oks

Floats = NDArray[np.float64]

MOST_FOUND = 20  # people an image: COCO's limit for keypoints
FLIP = list(COCO17.flip_order)


@dataclass(frozen=True)
class Scene:
    """One image's N annotated people, crowd regions among them, and the M best that were found.

    Attributes:
        image: its entry of the annotations.
        people: the annotated people, as `CocoAnnotations.people`.
        found: COCO results, best first.
        ignored: (N,) whether the person counts for nothing: a crowd region, or one without labelled joints.
        labelled: (N, 17) which joints are labelled.
        oks: (N, M) object keypoint similarity, 0..1.
        joints: (N, M, 17) similarity of each joint.
        mirrored: (N, M, 17) the same, where left and right of the found are exchanged.
    """

    image: dict[str, Any]
    people: list[dict[str, Any]]
    found: list[dict[str, Any]]
    ignored: NDArray[np.bool_]
    labelled: NDArray[np.bool_]
    oks: Floats
    joints: Floats
    mirrored: Floats


def make_scenes(annotations: CocoAnnotations, results: list[dict[str, Any]]) -> list[Scene]:
    """Return the images in the order of the annotations.

    Args:
        annotations: the people that are there.
        results: COCO results with `keypoints`; those without are left alone.
    """
    people: dict[int, list[dict[str, Any]]] = defaultdict(list)
    found: dict[int, list[dict[str, Any]]] = defaultdict(list)
    for person in annotations.people:
        people[person["image_id"]].append(person)
    for result in results:
        if "keypoints" in result:
            found[result["image_id"]].append(result)
    return [_scene(image, people[image["id"]], found[image["id"]]) for image in annotations.images]


def _scene(image: dict[str, Any], people: list[dict[str, Any]], found: list[dict[str, Any]]) -> Scene:
    found = sorted(found, key=lambda result: -result["score"])[:MOST_FOUND]  # stable, as COCO's
    truth, poses = poses_of(people), poses_of(found)
    poses[..., 2] = 1  # COCO counts every joint found, however doubtful
    truth[..., 2] = truth[..., 2] > 0
    area = np.array([person["area"] for person in people])
    similarity, _ = oks(truth, poses, area)
    for row in np.flatnonzero(~truth[..., 2].any(axis=1)):
        similarity[row] = _box_similarity(people[row], poses)
    ignored = [bool(person["iscrowd"]) or person["num_keypoints"] == 0 for person in people]
    return Scene(
        image=image,
        people=people,
        found=found,
        ignored=np.array(ignored, bool),
        labelled=truth[..., 2] > 0,
        oks=similarity,
        joints=joint_similarity(truth, poses, area),
        mirrored=joint_similarity(truth, poses[:, FLIP], area),
    )


def poses_of(entries: list[dict[str, Any]]) -> Floats:
    """Return the keypoints (N, 17, 3) of annotations or results, in COCO's coordinates."""
    return np.array([entry["keypoints"] for entry in entries], np.float64).reshape(-1, KEYPOINTS, 3)


def _box_similarity(person: dict[str, Any], poses: Floats) -> Floats:
    """Return the similarity (M,) to a person without labelled joints: by how far joints lie from the doubled box."""
    x, y, width, height = person["bbox"]
    low, high = np.array([x - width, y - height]), np.array([x + 2 * width, y + 2 * height])
    beyond = np.maximum(low - poses[..., :2], 0) + np.maximum(poses[..., :2] - high, 0)
    spread = VARIANCES * (person["area"] + np.spacing(1)) * 2
    result: Floats = np.exp(-(beyond**2).sum(axis=2) / spread).mean(axis=1)
    return result


def match_people(scene: Scene, similarity: Floats, minimum: float) -> list[int | None]:
    """Give everyone found, the best first, the most similar person who is still free.

    People who count for nothing are given away only where nobody else is similar enough, crowd regions to any number.

    Args:
        scene: the image.
        similarity: (N, M), such as `scene.oks`.
        minimum: least similarity of a match.

    Returns:
        For each found the row in `scene.people`, or None.
    """
    order = np.argsort(scene.ignored, kind="stable").tolist()
    taken: set[int] = set()
    matches: list[int | None] = []
    for column in range(len(scene.found)):
        best, chosen = min(minimum, 1 - 1e-10), None
        for row in order:
            if row in taken and not scene.people[row]["iscrowd"]:
                continue
            if chosen is not None and not scene.ignored[chosen] and scene.ignored[row]:
                break
            if similarity[row, column] >= best:
                best, chosen = float(similarity[row, column]), row
        if chosen is not None:
            taken.add(chosen)
        matches.append(chosen)
    return matches
