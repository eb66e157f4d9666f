"""Make a model repository for NVIDIA Triton Inference Server: pictures in, people out."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from gcpose_trt.cli.arguments import positive_int, score


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of `gcpose-trt export-triton`."""
    parser.add_argument(
        "model", metavar="MODEL", help="a shipped name (mobile), a folder with the two ONNX files, or one of engines"
    )
    parser.add_argument("--output", type=Path, required=True, metavar="REPO", help="the model repository to write")
    parser.add_argument(
        "--runtime",
        choices=("auto", "onnxruntime", "tensorrt", "python"),
        default="auto",
        help="Triton's backend for the network; python: ONNX Runtime on the CPU, in any Triton (default: auto)",
    )
    parser.add_argument(
        "--instances", type=positive_int, default=1, metavar="N", help="copies of the network (default: 1)"
    )
    parser.add_argument(
        "--max-batch", type=positive_int, metavar="N", help="most frames that go through the network together"
    )
    parser.add_argument(
        "--queue-delay-us", type=int, default=2000, metavar="N", help="microseconds to wait for others (default: 2000)"
    )
    parser.add_argument(
        "--precision", choices=("fp32", "int8"), help="which form of the model (default: what the files are)"
    )
    parser.add_argument("--size", metavar="HxW|N", help="exact size of the network's input, or its long side")
    parser.add_argument("--min-score", type=score, metavar="X", help="leave out people below this score")
    parser.add_argument("--max-people", type=positive_int, metavar="N", help="keep the best so many")
    parser.add_argument("--name", default="gcpose", help="of the model that clients call (default: gcpose)")
    parser.add_argument("--force", action="store_true", help="replace models of these names in REPO")


def run(args: argparse.Namespace) -> int:
    """Export; return 0."""
    from gcpose_trt.triton.repository import ExportRequest, export

    plan = export(
        ExportRequest(
            model=args.model,
            output=args.output,
            runtime=args.runtime,
            precision=args.precision,
            instances=args.instances,
            max_batch=args.max_batch,
            queue_delay=args.queue_delay_us,
            size=args.size,
            min_score=args.min_score,
            max_people=args.max_people,
            name=args.name,
            force=args.force,
        )
    )
    names = ", ".join((plan.name, plan.frame, plan.settings.detector, plan.settings.pose))
    print(f"wrote {args.output}: {names}; how to serve them is in {args.output / 'README.md'}", file=sys.stderr)
    return 0
