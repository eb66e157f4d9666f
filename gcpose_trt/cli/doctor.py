"""Check this machine: GPU and driver, TensorRT and plugins, OpenCV, ONNX Runtime; each fault with what puts it right.

Exit code: 0 nothing is broken (an NVIDIA GPU that is not there is no fault), 1 something is, 2 wrong usage.
"""

from __future__ import annotations

import argparse
import json
import os
import sys


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of `gcpose-trt doctor`."""
    parser.add_argument(
        "--json", action="store_true", help="print a JSON object (format 1, see gcpose_trt.doctor.report)"
    )
    parser.add_argument("--model", metavar="PATH", help="also check an engine folder or a model against this machine")
    parser.add_argument("--strict", action="store_true", help="exit with 1 on warnings too")


def run(args: argparse.Namespace) -> int:
    """Examine the machine and print the report."""
    # The examination loads OpenCV in a process of its own, which would print its own complaints.
    os.environ.setdefault("OPENCV_LOG_LEVEL", "SILENT")
    from gcpose_trt.doctor import examine
    from gcpose_trt.doctor.checks import model
    from gcpose_trt.doctor.text import Style, render

    if args.model is not None:
        model.find(args.model)
    report = examine(model=args.model)
    if args.json:
        print(json.dumps(report.to_dict(args.strict), indent=1))
    else:
        print(render(report, Style.of(sys.stdout)))
    return report.exit_code(args.strict)
