"""Evaluating the network while it trains."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from gcpose_trt.model import GCPoseRCNN
from gcpose_trt.training.config import ValidationConfig
from gcpose_trt.training.datasets import find_in_roots

Validator = Callable[[GCPoseRCNN], dict[str, float]]
# Doubtful people count in average precision, too.
MIN_SCORE = 0.05


def make_validator(config: ValidationConfig, roots: Sequence[Path]) -> Validator:
    """Return a function from the network to its metrics, "keypoints/AP", "boxes/AP50" and so on.

    Raises:
        GcposeError: the data is missing; found now rather than hours into the run.
    """
    from gcpose_trt.evaluation import evaluate, load_annotations

    folder = find_in_roots(config.images, roots, "folder of validation images")
    annotations = load_annotations(find_in_roots(config.annotations, roots, "validation annotation file"))
    if config.max_images:
        annotations = annotations.subset(annotations.image_ids[: config.max_images])
    annotations.image_paths(folder)

    def validate(model: GCPoseRCNN) -> dict[str, float]:
        from gcpose_trt.runtime.estimator import PoseEstimator

        with PoseEstimator(model=model, backend="torch", min_score=MIN_SCORE) as estimator:
            result = evaluate(estimator, folder, annotations)
        metrics = {"keypoints": result.keypoints, "boxes": result.boxes}
        return {
            f"{kind}/{name}": float(value)
            for kind, values in metrics.items()
            for name, value in values.items()
            if value is not None
        }

    return validate
