"""Measure COCO keypoint and person-box AP and AR of a model on annotated images."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from gcpose_trt.cli.arguments import positive_int, score
from gcpose_trt.errors import GcposeError
from gcpose_trt.files import atomic_write, check_writable

# AP counts the doubtful people too; cutting at the score from which they are worth showing would cost some of it.
MIN_SCORE = 0.05
MAX_FAILURES = 12


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of `gcpose-trt eval`."""
    parser.add_argument("--model", default="mobile", help="shipped name, model folder or file (default: %(default)s)")
    parser.add_argument("--images", type=Path, required=True, metavar="DIR", help="folder of the images")
    parser.add_argument(
        "--annotations", type=Path, required=True, metavar="JSON", help="COCO person-keypoints annotations of them"
    )
    parser.add_argument("--json", type=Path, metavar="OUT", help="write all numbers and settings here")
    parser.add_argument("--detections", type=Path, metavar="OUT", help="write the people found here, as COCO results")
    parser.add_argument(
        "--failures", type=Path, metavar="DIR", help="draw the worst errors of each kind here, with an index.html"
    )
    parser.add_argument(
        "--max-failures",
        type=positive_int,
        default=MAX_FAILURES,
        metavar="N",
        help="most pictures of each kind (default: %(default)s)",
    )
    parser.add_argument(
        "--backend",
        default="auto",
        choices=("auto", "onnxruntime", "torch", "tensorrt"),
        help="what runs the network (default: %(default)s)",
    )
    parser.add_argument(
        "--precision",
        choices=("fp32", "fp16", "int8"),
        help="run the network in this precision; fp16 in ONNX Runtime shows, slowly, what an FP16 engine's rounding "
        "costs; int8 is the fastest on a CPU (default: the backend's)",
    )
    parser.add_argument("--size", help="long side such as 640, or HEIGHTxWIDTH (default: the model's)")
    parser.add_argument(
        "--min-score",
        type=score,
        default=MIN_SCORE,
        metavar="S",
        help="lowest box score of a person that counts (default: %(default)s)",
    )
    parser.add_argument("--max-people", type=positive_int, metavar="N", help="most people an image")
    parser.add_argument("--max-images", type=positive_int, metavar="N", help="evaluate the first N images only")
    parser.add_argument("--threads", type=positive_int, metavar="N", help="CPU threads (default: all)")
    parser.add_argument(
        "--rank",
        choices=("box", "box*keypoints"),
        help="what orders people for keypoint AP: the box score, or that times the mean keypoint score "
        "(default: the model's)",
    )


def run(args: argparse.Namespace) -> int:
    """Evaluate, print the table and write what was asked for."""
    _check_outputs(args)

    from gcpose_trt.evaluation import evaluate, load_annotations
    from gcpose_trt.evaluation.errors import diagnose, format_errors
    from gcpose_trt.evaluation.report import format_table, record
    from gcpose_trt.runtime.estimator import PoseEstimator

    annotations = load_annotations(args.annotations)
    if args.max_images is not None:
        annotations = annotations.subset(annotations.image_ids[: args.max_images])
    # Before the model is loaded: a wrong folder should show at once.
    annotations.image_paths(args.images)

    with PoseEstimator(
        model=args.model,
        backend=args.backend,
        size=args.size,
        min_score=args.min_score,
        max_people=args.max_people,
        threads=args.threads,
        precision=args.precision,
    ) as estimator:
        info = estimator.info
        result = evaluate(estimator, args.images, annotations, rank=args.rank or estimator.rank, progress=True)

    diagnosis = diagnose(annotations, result.results, shown_from=info.min_score)
    print(format_table(result), "", format_errors(diagnosis), sep="\n")
    if args.json is not None:
        names = ("backend", "precision", "size", "min_score", "max_people", "max_images", "threads")
        settings = {name: getattr(args, name) for name in names} | {"annotations": args.annotations.name}
        model = {"path": args.model, "name": info.model, "weights_sha256": info.weights_sha256}
        with atomic_write(args.json, "w") as stream:
            numbers = record(result, model=model, settings=settings) | {"errors": diagnosis.to_dict()}
            json.dump(numbers, stream, indent=1)
            stream.write("\n")
    if args.detections is not None:
        with atomic_write(args.detections, "w") as stream:
            json.dump(result.results, stream)
    if args.failures is not None:
        from gcpose_trt.evaluation.failures import write_failures

        title = f"Errors of {info.model} on {args.annotations.name}"
        count = write_failures(diagnosis, annotations, args.images, args.failures, args.max_failures, title)
        print(f"{count} pictures of errors in {args.failures}: open {args.failures / 'index.html'}", file=sys.stderr)
    return 0


def _check_outputs(args: argparse.Namespace) -> None:
    """Refuse, before minutes of work, a file that could not be written at the end of it."""
    outputs = [path for path in (args.json, args.detections) if path is not None]
    for path in outputs:
        check_writable(path)
        if path.resolve() == args.annotations.resolve():
            raise GcposeError(f"{path} is the file of annotations; write to another file")
    if len({path.resolve() for path in outputs}) < len(outputs):
        raise GcposeError(f"--json and --detections are both {args.json}; give two files")
    if args.failures is not None:
        from gcpose_trt.evaluation.failures import check_folder

        check_folder(args.failures)
