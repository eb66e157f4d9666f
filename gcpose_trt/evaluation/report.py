"""An evaluation as a table for people and as a record for programs."""

from __future__ import annotations

import datetime
import importlib.metadata
import platform
from typing import Any

from gcpose_trt import __version__
from gcpose_trt.evaluation.coco import BOX_METRICS, KEYPOINT_METRICS, Metrics
from gcpose_trt.evaluation.evaluator import EvaluationResult

# What can change the numbers or the time of an evaluation.
PACKAGES = ("numpy", "opencv-python-headless", "onnxruntime", "torch", "pycocotools")


def format_table(result: EvaluationResult) -> str:
    """Return the metrics and the time as lines of text, without a line break at the end."""
    milliseconds = result.to_dict()["milliseconds"]
    return "\n".join(
        (
            f"{result.images} images, {result.people} people annotated, {result.found} found",
            "",
            *_rows("keypoints", KEYPOINT_METRICS, result.keypoints),
            "",
            *_rows("boxes", BOX_METRICS, result.boxes),
            "",
            f"milliseconds an image: median {milliseconds['median']:.1f}, p90 {milliseconds['p90']:.1f}",
        )
    )


def _rows(name: str, columns: tuple[str, ...], metrics: Metrics) -> tuple[str, str]:
    values = [metrics[column] for column in columns]
    return (
        f"{name:<10}" + "".join(f"{column:>7}" for column in columns),
        f"{'':<10}" + "".join(f"{'-' if value is None else format(value, '.3f'):>7}" for value in values),
    )


def record(result: EvaluationResult, *, model: dict[str, Any], settings: dict[str, Any]) -> dict[str, Any]:
    """Return everything needed to compare this evaluation with another or to repeat it.

    Args:
        result: the numbers.
        model: what identifies the model: its name and the digest of its weights.
        settings: what it was run with.
    """
    return {
        "date": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
        "model": model,
        "settings": settings,
        **result.to_dict(),
        "versions": {"gcpose-trt": __version__, "python": platform.python_version(), **installed_versions()},
        "machine": platform.machine(),
    }


def installed_versions() -> dict[str, str]:
    """Return the versions of the packages that matter here, as far as they are installed."""
    versions = {}
    for package in PACKAGES:
        try:
            versions[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    return versions
