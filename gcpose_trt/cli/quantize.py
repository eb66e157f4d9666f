"""Turn a float model into one that ONNX Runtime runs in INT8 on the CPU, by a calibration of it.

Engines need no such model: gcpose-trt build-engine --precision int8 takes the float model and the calibration.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from gcpose_trt.errors import MissingDependencyError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of `gcpose-trt quantize`."""
    parser.add_argument("model", metavar="MODEL", help="a shipped name or a folder of a float ONNX model")
    parser.add_argument(
        "--calibration", type=Path, required=True, metavar="JSON", help="made by gcpose-trt calibrate for this model"
    )
    parser.add_argument(
        "--output",
        type=Path,
        required=True,
        metavar="DIR",
        help="folder to write; called like the float model's with -int8 behind it, --precision int8 finds it",
    )
    parser.add_argument("--method", help="which range to take (default: percentile:99.999)")
    parser.add_argument(
        "--exclude",
        action="append",
        default=[],
        metavar="NAME",
        help="block or layer to leave in floating point, such as backbone.stem or 'neck.*'; may be repeated",
    )


def run(args: argparse.Namespace) -> int:
    """Write both graphs and say what was done."""
    try:
        from gcpose_trt.quantization.bundles import METHOD, quantize_bundle
        from gcpose_trt.quantization.record import CalibrationRecord
    except ImportError as error:
        raise MissingDependencyError(error.name or "onnx", "export", "quantize") from error
    record = CalibrationRecord.load(args.calibration)
    reports = quantize_bundle(
        args.model, record, args.output, method=args.method or METHOD, exclude=tuple(args.exclude)
    )
    for graph, report in reports.items():
        size = (args.output / f"{graph}.onnx").stat().st_size
        print(f"{graph}: {report}, {size / 1e6:.1f} MB")
    return 0
