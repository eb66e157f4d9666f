"""An estimator, a folder of images and their annotations: what is its average precision?"""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from gcpose_trt.errors import GcposeError
from gcpose_trt.evaluation.annotations import CocoAnnotations, load_annotations
from gcpose_trt.evaluation.coco import Metrics, average_precision, require_pycocotools
from gcpose_trt.evaluation.results import check_rank, frame_to_results

if TYPE_CHECKING:
    from gcpose_trt.pose.types import PoseFrame


class Estimator(Protocol):
    """What evaluation asks of an estimator; `gcpose_trt.PoseEstimator` has it."""

    def __call__(self, frame: np.ndarray, /) -> PoseFrame:
        """Find the people in one (H, W, 3) uint8 BGR frame."""


@dataclass(frozen=True)
class EvaluationResult:
    """What an evaluation found.

    Attributes:
        keypoints: COCO's ten keypoint metrics (AP, AP50, AP75, APm, APl, AR, AR50, AR75, ARm, ARl), 0 to 1; None where
            the images have nobody of that size.
        boxes: COCO's twelve metrics of the person boxes (AP .. ARl), likewise.
        images: how many images were looked at.
        people: how many annotated people (crowd regions left out) were there to be found.
        found: how many people the estimator found.
        milliseconds: (images,) float64, what each call of the estimator took, without reading the image.
        rank: how people were ordered for the keypoint metrics.
        results: every person found, as COCO results.
    """

    keypoints: Metrics
    boxes: Metrics
    images: int
    people: int
    found: int
    milliseconds: np.ndarray
    rank: str
    results: list[dict[str, Any]] = field(repr=False)

    def to_dict(self) -> dict[str, Any]:
        """Return the numbers as what JSON can hold, without the people."""
        return {
            "keypoints": self.keypoints,
            "boxes": self.boxes,
            "images": self.images,
            "people": self.people,
            "found": self.found,
            "rank": self.rank,
            "milliseconds": {
                "median": round(float(np.median(self.milliseconds)), 3),
                "p90": round(float(np.percentile(self.milliseconds, 90)), 3),
                "mean": round(float(self.milliseconds.mean()), 3),
            },
        }


def evaluate(
    estimator: Estimator,
    images_dir: str | os.PathLike[str],
    annotations: CocoAnnotations | str | os.PathLike[str],
    *,
    image_ids: Iterable[int] | None = None,
    rank: str = "box",
    progress: bool = False,
) -> EvaluationResult:
    """Run `estimator` over annotated images and measure COCO keypoint and person-box AP.

    Make the estimator with a low `min_score` (0.05): AP counts the doubtful people too.

    Args:
        estimator: called with one BGR frame, returns a `PoseFrame`.
        images_dir: the folder of the images that `annotations` lists.
        annotations: a COCO person-keypoints file, or one already loaded.
        image_ids: evaluate these images only (None: all, with or without people).
        rank: "box" or "box*keypoints"; a model says in its record (`estimator.info.rank`) what suits it.
        progress: show a progress bar on stderr.

    Raises:
        GcposeError: anything wrong with the annotations or the images.
        MissingDependencyError: pycocotools is not installed.

    Example:
        >>> with PoseEstimator("mobile", min_score=0.05) as estimator:  # doctest: +SKIP
        ...     print(evaluate(estimator, "val2017", "person_keypoints_val2017.json").keypoints["AP"])
    """
    if not isinstance(annotations, CocoAnnotations):
        annotations = load_annotations(annotations)
    if image_ids is not None:
        annotations = annotations.subset(image_ids)
    check_rank(rank)
    require_pycocotools()  # now, and not after minutes of inference
    paths = annotations.image_paths(images_dir)

    results: list[dict[str, Any]] = []
    milliseconds = np.zeros(len(paths))
    for number, (image, frame) in enumerate(_frames(annotations, paths, progress)):
        start = time.perf_counter()
        people = estimator(frame)
        milliseconds[number] = 1000 * (time.perf_counter() - start)
        results += frame_to_results(image["id"], people, annotations.category_id, rank)
    keypoints, boxes = average_precision(annotations, results)
    return EvaluationResult(
        keypoints=keypoints,
        boxes=boxes,
        images=len(paths),
        people=sum(not person["iscrowd"] for person in annotations.people),
        found=len(results),
        milliseconds=milliseconds,
        rank=rank,
        results=results,
    )


def _frames(
    annotations: CocoAnnotations, paths: list[Path], progress: bool
) -> Iterator[tuple[dict[str, Any], np.ndarray]]:
    from tqdm import tqdm

    pairs = zip(annotations.images, paths, strict=True)
    for image, path in tqdm(pairs, total=len(paths), desc="eval", unit="image", disable=not progress):
        yield image, read_image(image, path)


def read_image(image: dict[str, Any], path: Path) -> np.ndarray:
    """Return the (H, W, 3) uint8 BGR pixels that the annotations were drawn on."""
    import cv2

    # Annotations refer to the pixels as stored; a rotation noted in the EXIF data would move the people away.
    frame = cv2.imread(str(path), cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION)
    if frame is None:
        raise GcposeError(f"{path} is not an image that OpenCV can read; fetch it again or leave it out")
    height, width = frame.shape[:2]
    expected = (image.get("width", width), image.get("height", height))
    if expected != (width, height):
        raise GcposeError(
            f"{path} has {width}x{height} pixels but its annotations say {expected[0]}x{expected[1]}; "
            "use the images that were annotated"
        )
    return frame
