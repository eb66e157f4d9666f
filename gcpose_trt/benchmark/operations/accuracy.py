"""COCO's average precision of a contender."""

from __future__ import annotations

from typing import Any

from gcpose_trt.benchmark.contender import Contender


def run(contender: Contender, request: dict[str, Any]) -> dict[str, Any]:
    """Evaluate a contender as `gcpose-trt eval` does.

    Args:
        contender: opened with a low `min_score`.
        request: "images" (folder), "annotations" (file), "max_images" (the first so many only; None: all).

    Returns:
        "keypoints" and "boxes" (COCO's metrics), "images", "people" (annotated), "found", "rank".
    """
    from gcpose_trt.evaluation import evaluate, load_annotations

    annotations = load_annotations(request["annotations"])
    result = evaluate(
        lambda frame: contender.run(frame)[0],
        request["images"],
        annotations.subset(annotations.image_ids[: request["max_images"]]),
        rank=contender.info.rank,
    )
    record = result.to_dict()
    del record["milliseconds"]  # of a process that had the machine to itself, not in turns: no time to compare
    return record
