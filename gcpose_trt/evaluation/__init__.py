"""COCO keypoint and person-box average precision of any estimator that returns a `PoseFrame`."""

from gcpose_trt.evaluation.annotations import CocoAnnotations, load_annotations
from gcpose_trt.evaluation.coco import BOX_METRICS, KEYPOINT_METRICS, average_precision
from gcpose_trt.evaluation.evaluator import EvaluationResult, evaluate
from gcpose_trt.evaluation.results import RANKS, frame_to_results, load_results

__all__ = [
    "BOX_METRICS",
    "KEYPOINT_METRICS",
    "RANKS",
    "CocoAnnotations",
    "EvaluationResult",
    "average_precision",
    "evaluate",
    "frame_to_results",
    "load_annotations",
    "load_results",
]
