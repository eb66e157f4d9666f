"""Turn a model into TensorRT engines for this machine's GPU, and prove their precision from what was built."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from gcpose_trt.cli.arguments import positive_int
from gcpose_trt.errors import GcposeError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of `gcpose-trt build-engine`."""
    ways = ("plugin", "native")
    parser.add_argument("model", metavar="MODEL", help="a name (mobile), a checkpoint, or a folder with two ONNX files")
    parser.add_argument("--output", type=Path, required=True, metavar="DIR", help="engine folder to write")
    parser.add_argument(
        "--precision",
        choices=("fp32", "fp16", "int8", "best"),
        default="fp16",
        help="int8 is INT8 where the calibration allows and FP16 elsewhere; best builds all three, times them in turn "
        "on this GPU, and keeps the fastest that loses no more AP than --max-ap-drop allows (default: fp16)",
    )
    parser.add_argument("--size", metavar="HxW", help="the only input size (default: the model's own)")
    parser.add_argument("--max-people", type=positive_int, metavar="N", help="most people (default: the model's own)")
    parser.add_argument("--batch", type=positive_int, default=1, metavar="N", help="frames in a call (default: 1)")
    parser.add_argument("--gcm", choices=ways, default="plugin", help="what computes the GCM's attention")
    parser.add_argument("--roi-align", choices=ways, default="plugin", help="what computes RoIAlign")
    parser.add_argument(
        "--target", choices=("tensorrt", "tensorrt-rtx"), default="tensorrt", help="library to build for"
    )
    parser.add_argument(
        "--plugins", type=Path, metavar="PATH", help="plugin library (default: what plugins build made)"
    )
    parser.add_argument(
        "--workspace", type=positive_int, metavar="MiB", help="scratch memory of a layer (default: all of the GPU's)"
    )
    parser.add_argument("--low-memory", action="store_true", help="build with less memory; slower, also the engine")
    parser.add_argument(
        "--timing-cache", metavar="PATH|off", help="what TensorRT measured (default: a file in ~/.cache/gcpose-trt)"
    )
    parser.add_argument("--reproducible", action="store_true", help="make two builds differ as little as can be")
    parser.add_argument("--verbose", action="store_true", help="show what TensorRT says")
    int8 = parser.add_argument_group("INT8")
    int8.add_argument(
        "--calibration", type=Path, metavar="JSON", help="what gcpose-trt calibrate wrote (default: the model's own)"
    )
    int8.add_argument(
        "--calibration-method",
        metavar="M",
        help="max, percentile:99.9, percentile:99.99, percentile:99.999, entropy or mse (default: percentile:99.99)",
    )
    int8.add_argument(
        "--exclude",
        action="append",
        default=[],
        metavar="BLOCK",
        help="leave this block or layer out of INT8, such as backbone.stem or 'neck.*'; may be repeated",
    )
    gate = parser.add_argument_group("accuracy gate", "no engine is written that loses more than was allowed")
    gate.add_argument(
        "--max-ap-drop", type=float, metavar="POINTS", help="keypoint AP that may be lost against FP32; 0.5 is 0.005"
    )
    gate.add_argument("--images", type=Path, metavar="DIR", help="folder of annotated images to measure it on")
    gate.add_argument("--annotations", type=Path, metavar="JSON", help="COCO person-keypoints annotations of them")
    gate.add_argument("--max-images", type=positive_int, metavar="N", help="use the first N images only")


def _parse_size(text: str | None) -> tuple[int, int] | None:
    from gcpose_trt.runtime.preprocess import parse_size

    rule = parse_size(text)
    if rule is None:
        return None
    if rule.exact is None:
        raise GcposeError(f"--size {text} is not HEIGHTxWIDTH; give both sides, such as 384x640")
    return rule.exact


def run(args: argparse.Namespace) -> int:
    """Build; return 0."""
    from gcpose_trt.engine.builder import build_engine
    from gcpose_trt.engine.choosing import build_best
    from gcpose_trt.engine.progress import Progress
    from gcpose_trt.engine.report import describe_record
    from gcpose_trt.engine.request import BEST, BuildRequest

    request = BuildRequest(
        model=args.model,
        output=args.output,
        precision=args.precision,
        size=_parse_size(args.size),
        max_people=args.max_people,
        gcm=args.gcm,
        roi_align=args.roi_align,
        target=args.target,
        workspace=args.workspace,
        low_memory=args.low_memory,
        timing_cache=args.timing_cache,
        reproducible=args.reproducible,
        plugins=args.plugins,
        batch=args.batch,
        verbose=args.verbose,
        calibration=args.calibration,
        calibration_method=args.calibration_method,
        exclude=tuple(args.exclude),
        max_ap_drop=args.max_ap_drop,
        images=args.images,
        annotations=args.annotations,
        max_images=args.max_images,
    )
    progress = Progress(verbose=args.verbose)
    try:
        build = build_best if request.precision == BEST else build_engine
        record = build(request, progress, debug=getattr(args, "debug", False))
    finally:
        progress.close()
    for line in describe_record(record):
        print(line)
    print(f"wrote {args.output}", file=sys.stderr)
    return 0
