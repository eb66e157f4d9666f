"""Keypoint and box AP of MoveNet MultiPose, by the same evaluator as `gcpose-trt eval`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from benchmarks.common import parser, record, run, write
from benchmarks.peers import movenet
from gcpose_trt.benchmark.contender import ContenderSpec
from gcpose_trt.evaluation import evaluate
from gcpose_trt.evaluation.report import format_table


def main(argv: Sequence[str] | None = None) -> int:
    """Evaluate and print the table."""
    options = parser(__doc__)
    options.add_argument("--movenet", type=Path, required=True, help="MoveNet MultiPose's ONNX file")
    options.add_argument("--images", type=Path, required=True, help="folder of the images")
    options.add_argument("--annotations", type=Path, required=True, help="COCO person-keypoints annotations of them")
    options.add_argument("--size", type=int, default=512, help="long side of the input")
    options.add_argument("--min-score", type=float, default=0.0, help="lowest score of a person that counts")
    options.add_argument("--threads", type=int, help="CPU threads")
    args = options.parse_args(argv)

    peer = movenet.open(
        ContenderSpec(
            str(args.movenet), peer="movenet", size=str(args.size), min_score=args.min_score, threads=args.threads
        )
    )
    result = evaluate(lambda frame: peer.run(frame)[0], args.images, args.annotations, progress=True)
    print(format_table(result))
    settings = {"size": args.size, "min_score": args.min_score, "annotations": args.annotations.name}
    write(args.json, record({"model": "MoveNet MultiPose Lightning", "settings": settings, **result.to_dict()}))
    return 0


if __name__ == "__main__":
    run(main)
