"""Keypoint and box AP of a model in FP16 and in FP32, both in ONNX Runtime on the same images.

The FP16 graphs are those that an engine is built from; see `gcpose_trt.graph.emulation` for how the CPU rounds as they
do.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.common import parser, record, run, write
from gcpose_trt.evaluation import evaluate, load_annotations
from gcpose_trt.evaluation.evaluator import EvaluationResult
from gcpose_trt.evaluation.report import format_table
from gcpose_trt.graph.prepare import prepare_bundle
from gcpose_trt.runtime.estimator import PoseEstimator

MIN_SCORE = 0.05


def result_of(both: dict[str, EvaluationResult]) -> dict[str, Any]:
    """Return both evaluations and what FP16 changes.

    Args:
        both: "fp32" and "fp16", on the same images.
    """
    changes = {
        kind: {name: value - getattr(both["fp32"], kind)[name] for name, value in getattr(both["fp16"], kind).items()}
        for kind in ("keypoints", "boxes")
    }
    # Times would say nothing: the CPU emulates FP16.
    numbers = {name: {k: v for k, v in one.to_dict().items() if k != "milliseconds"} for name, one in both.items()}
    return {**numbers, "change": changes}


def main(argv: Sequence[str] | None = None) -> int:
    """Evaluate twice and print both tables and the difference."""
    options = parser(__doc__)
    options.add_argument("--model", default="mobile", help="shipped name, model folder or file")
    options.add_argument("--images", type=Path, required=True, help="folder of the images")
    options.add_argument("--annotations", type=Path, required=True, help="COCO person-keypoints annotations of them")
    options.add_argument("--max-images", type=int, help="evaluate the first so many images only")
    options.add_argument("--threads", type=int, help="CPU threads")
    args = options.parse_args(argv)

    annotations = load_annotations(args.annotations)
    ids = annotations.image_ids[: args.max_images]
    both = {}
    for precision in ("fp32", "fp16"):
        with PoseEstimator(
            args.model, backend="onnxruntime", min_score=MIN_SCORE, threads=args.threads, precision=precision
        ) as estimator:
            info = estimator.info
            both[precision] = evaluate(
                estimator, args.images, annotations, image_ids=ids, rank=estimator.rank, progress=True
            )
        print(f"{precision}\n{format_table(both[precision])}")
    measured = result_of(both)
    change = measured["change"]
    print(f"FP16 changes keypoint AP by {change['keypoints']['AP']:+.5f}, box AP by {change['boxes']['AP']:+.5f}")
    reports = prepare_bundle(args.model, precision="fp16").float16
    settings = {"min_score": MIN_SCORE, "annotations": args.annotations.name, "threads": args.threads}
    model = {"path": args.model, "name": info.model, "weights_sha256": info.weights_sha256}
    graphs = {name: str(report) for name, report in reports.items()}
    write(args.json, record({"model": model, "settings": settings, "graphs": graphs, **measured}))
    return 0


if __name__ == "__main__":
    run(main)
