"""Collect the ranges that INT8 needs: run the float network over images and count what every tensor holds.

Writes one JSON file that holds for any machine and any TensorRT, but only for these weights and this graph. Takes
at least 200 images with people, others than those that accuracy is measured on. Interrupted, it goes on where it was.

With --sensitivity it quantizes one block at a time instead, by a calibration that there is, and measures what that does
on a few images; with --annotations also to average precision. With --max-ap-drop it proposes what to leave in higher
precision.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from gcpose_trt.cli.arguments import positive_int
from gcpose_trt.errors import GcposeError, MissingDependencyError

if TYPE_CHECKING:
    from collections.abc import Iterable


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of `gcpose-trt calibrate`."""
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("model", metavar="MODEL", help="a shipped name or a folder of a float ONNX model")
    parser.add_argument("--images", type=Path, required=True, metavar="DIR", help="folder of images with people")
    parser.add_argument("--output", type=Path, metavar="JSON", help="calibration to write")
    parser.add_argument(
        "--max-images",
        type=positive_int,
        metavar="N",
        help="images looked at (default: 500, or 8 with --sensitivity); accepts fewer than 200 too",
    )
    parser.add_argument(
        "--seed", type=_seed, default=0, metavar="N", help="of the choice among more images (default: %(default)s)"
    )
    parser.add_argument("--size", help="input size, long side such as 640, or HEIGHTxWIDTH (default: the model's own)")
    parser.add_argument(
        "--bins", type=_bins, default=2048, metavar="N", help="of a histogram, a power of two (default: %(default)s)"
    )
    parser.add_argument("--threads", type=positive_int, metavar="N", help="CPU threads (default: all)")
    group = parser.add_argument_group("sensitivity")
    group.add_argument("--sensitivity", action="store_true", help="rank blocks by what INT8 does to them")
    group.add_argument("--calibration", type=Path, metavar="JSON", help="calibration to quantize by")
    group.add_argument(
        "--method",
        default="percentile:99.99",
        help="max, percentile:99.9, percentile:99.99, percentile:99.999, entropy or mse (default: %(default)s)",
    )
    group.add_argument(
        "--target", choices=("cpu", "tensorrt"), default="cpu", help="whose form of INT8 (default: %(default)s)"
    )
    group.add_argument(
        "--annotations", type=Path, metavar="JSON", help="COCO keypoints of --images: measure average precision too"
    )
    group.add_argument("--ap-images", type=positive_int, metavar="N", help="annotated images for that (default: all)")
    group.add_argument(
        "--max-ap-drop", type=_points, metavar="POINTS", help="propose what to keep for this loss of AP (0 to 100)"
    )
    group.add_argument("--json", type=Path, metavar="OUT", help="write all numbers here")
    group.add_argument("--draw", type=Path, metavar="PNG", help="draw the ranking")


def _points(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value <= 100:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of points from 0 to 100")
    return value


def _seed(text: str) -> int:
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from 0 up")
    return int(text)


def _bins(text: str) -> int:
    value = int(text) if text.isdecimal() else 0
    if not 256 <= value <= 65536 or value & (value - 1):
        raise argparse.ArgumentTypeError(f"{text!r} is not a power of two from 256 to 65536")
    return value


def run(args: argparse.Namespace) -> int:
    """Calibrate, or rank blocks, and say what was found."""
    _require_onnx()
    if args.sensitivity:
        from gcpose_trt.cli.sensitivity import run as rank

        return rank(args)
    alone = ("calibration", "annotations", "ap_images", "max_ap_drop", "json", "draw")
    given = [f"--{name.replace('_', '-')}" for name in alone if getattr(args, name) is not None]
    if given:
        raise GcposeError(f"{given[0]} goes with --sensitivity only; add that, or leave it out")
    if args.output is None:
        raise GcposeError("nowhere to write the calibration; give --output calibration/NAME.json")
    return _calibrate(args)


def _require_onnx() -> None:
    try:
        import onnx  # noqa: F401
        import onnx_graphsurgeon  # noqa: F401
    except ImportError as error:
        raise MissingDependencyError(error.name or "onnx", "tensorrt", "calibration") from error


def _calibrate(args: argparse.Namespace) -> int:
    from gcpose_trt.quantization.calibration import Options, calibrate
    from gcpose_trt.runtime.preprocess import parse_size

    options = Options(args.max_images, args.seed, parse_size(args.size), args.bins, args.threads)
    result = calibrate(args.model, args.images, args.output, options, bar=_bar, say=_say)
    for line in result.skipped:
        _say(f"left out: {line}")
    for line in result.notes:
        _say(f"note: {line}")
    images, record = result.record.images, result.record
    print(
        f"{args.output}: {len(record.tensors)} tensors and {len(record.weights)} weights, from {images['count']} "
        f"images with {images['people']} people ({images['without_people']} images without people, "
        f"{images['skipped']} left out)"
    )
    return 0


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def _bar(files: Iterable[Path], done: int, total: int) -> Iterable[Path]:
    from tqdm import tqdm

    bar: Iterable[Path] = tqdm(files, desc="calibrate", unit="image", initial=done, total=total, file=sys.stderr)
    return bar
