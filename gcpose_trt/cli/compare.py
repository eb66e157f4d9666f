"""Compare two backends or precisions of a model stage by stage: FPN, proposals, boxes, logits, keypoints.

A and B are each MODEL, MODEL@BACKEND or MODEL@BACKEND:PRECISION, where MODEL is a shipped name, a folder of a model, a
checkpoint or a folder of engines, BACKEND is onnxruntime, torch, torch-cuda or tensorrt, and PRECISION is fp32 or fp16
(onnxruntime also int8, for a quantized model). Examples: mobile, mobile@torch, mobile@onnxruntime:fp16,
engines/mobile@tensorrt. Exit code 0: within all limits; 1: beyond one; 2: bad input.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gcpose_trt.cli.arguments import positive_int, score
from gcpose_trt.errors import GcposeError
from gcpose_trt.files import atomic_write, check_writable

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from gcpose_trt.compare.comparison import Comparison
    from gcpose_trt.compare.layers import Layer
    from gcpose_trt.compare.side import Side
    from gcpose_trt.runtime.preprocess import Image, SizeRule

# As `gcpose_trt.compare.comparison.Limits`, which explains them; --help must not import it.
_LIMITS = {
    "feature": (0.03, "largest difference of a map or of logits, in parts of the largest value"),
    "box": (2.0, "pixels that people's boxes move, 95th percentile"),
    "score": (0.03, "change of people's scores, 95th percentile"),
    "keypoint": (1.5, "pixels that clear joints move, 95th percentile"),
    "people": (0.02, "people gained and lost, in parts of A's people"),
    "proposals": (0.15, "share of A's proposals that B lacks"),
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of `gcpose-trt compare`."""
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("a", metavar="A", help="the reference: MODEL[@BACKEND[:PRECISION]]")
    parser.add_argument("b", metavar="B", help="what is measured against it, likewise")
    parser.add_argument(
        "--images", type=Path, metavar="PATH", help="folder of images, image or clip, with people (default: the sample)"
    )
    parser.add_argument(
        "--frames", type=positive_int, default=4, metavar="N", help="frames taken of them (default: %(default)s)"
    )
    parser.add_argument("--size", help="input size, long side such as 640, or HEIGHTxWIDTH (default: A's own)")
    parser.add_argument(
        "--min-score", type=score, metavar="S", help="score from which a box is a person (default: A's)"
    )
    parser.add_argument("--threads", type=positive_int, metavar="N", help="CPU threads (default: all)")
    parser.add_argument("--json", type=Path, metavar="PATH", help="write all numbers here")
    parser.add_argument("--draw", type=Path, metavar="PNG", help="draw both on the frame that differs most, and bars")
    parser.add_argument(
        "--layers",
        type=positive_int,
        nargs="?",
        const=8,
        metavar="N",
        help="list the N (8) layers of each graph in which the error grows most (both sides onnxruntime)",
    )
    limits = parser.add_argument_group("limits, beyond which the exit code is 1")
    for name, (default, text) in _LIMITS.items():
        limits.add_argument(
            f"--max-{name}", type=_limit, default=default, metavar="X", help=f"{text} (default: %(default)s)"
        )


def _limit(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not value >= 0:  # also refuses nan
        raise argparse.ArgumentTypeError(f"{text!r} is not a number from 0 up")
    return value


def run(args: argparse.Namespace) -> int:
    """Compare, print the table and write what was asked for; return 1 beyond the limits."""
    from gcpose_trt.compare.spec import parse_spec
    from gcpose_trt.runtime.preprocess import parse_size

    specs = parse_spec(args.a), parse_spec(args.b)
    wanted = parse_size(args.size)
    _check_outputs(args)
    if args.layers and any(spec.backend != "onnxruntime" for spec in specs):
        raise GcposeError(f"--layers needs onnxruntime on both sides, not {specs[0]} and {specs[1]}; leave it out")

    from gcpose_trt.compare.side import open_side
    from gcpose_trt.video.sampling import read_frames

    # Before the models: a wrong folder should show at once.
    frames = read_frames(args.images, args.frames)
    a = open_side(specs[0], args.threads)
    try:
        b = open_side(specs[1], args.threads)
        try:
            return _compare(args, a, b, frames, wanted)
        finally:
            b.close()
    finally:
        a.close()


def _compare(args: argparse.Namespace, a: Side, b: Side, frames: Sequence[Image], wanted: SizeRule | None) -> int:
    from gcpose_trt.compare.comparison import Limits, compare_sides, size_rule
    from gcpose_trt.compare.report import format_comparison, format_layers

    limits = Limits(**{name: getattr(args, f"max_{name}") for name in _LIMITS})
    rule = size_rule(a, b, wanted)
    comparison = compare_sides(a, b, frames, rule, limits, min_score=args.min_score, progress=_progress)
    layers = _layers(args, a, b, frames, rule) if args.layers else []
    print(format_comparison(comparison))
    if args.layers:
        print()
        print(format_layers(layers, args.layers))
    _write(args, comparison, layers, a.info.keypoint_threshold)
    return 1 if comparison.failures else 0


def _progress(frames: Iterable[Image]) -> Iterable[Image]:
    from tqdm import tqdm

    bar: Iterable[Image] = tqdm(frames, desc="compare", unit="frame", file=sys.stderr)
    return bar


def _layers(args: argparse.Namespace, a: Any, b: Any, frames: Sequence[Image], rule: SizeRule) -> list[Layer]:
    import numpy as np

    from gcpose_trt.compare.layers import layers_of
    from gcpose_trt.runtime.preprocess import fit, place

    print("looking at every layer", file=sys.stderr, flush=True)
    batch = max(a.batch_limit or 1, b.batch_limit or 1)
    boxes = [fit((frame.shape[0], frame.shape[1]), rule) for frame in frames]
    inputs = [
        (np.repeat(place(frame, box)[None], batch, 0), np.array([box.content] * batch, np.int64))
        for frame, box in zip(frames, boxes, strict=True)
    ]
    return layers_of(a, b, inputs, args.threads)


def _check_outputs(args: argparse.Namespace) -> None:
    outputs = [path for path in (args.json, args.draw) if path is not None]
    for path in outputs:
        check_writable(path)
    if len({path.resolve() for path in outputs}) < len(outputs):
        raise GcposeError(f"--json and --draw are both {args.json}; give two files")
    if args.draw is not None and args.draw.suffix.lower() != ".png":
        raise GcposeError(f"--draw writes PNG, not {args.draw.name}; give a name that ends in .png")


def _write(args: argparse.Namespace, comparison: Comparison, layers: Sequence[Layer], threshold: float) -> None:
    if args.json is not None:
        from gcpose_trt.compare.report import record

        names = ("size", "min_score", "threads")
        settings = {name: getattr(args, name) for name in names}
        settings["images"] = None if args.images is None else args.images.name
        with atomic_write(args.json, "w") as stream:
            json.dump(record(comparison, layers, settings), stream, indent=1)
            stream.write("\n")
    if args.draw is not None:
        import cv2

        from gcpose_trt.compare.drawing import draw_comparison

        _, encoded = cv2.imencode(".png", draw_comparison(comparison, threshold))
        with atomic_write(args.draw) as stream:
            stream.write(encoded.tobytes())
