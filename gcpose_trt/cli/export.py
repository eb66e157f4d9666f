"""Trace a PyTorch model into the two ONNX files that the runtime takes, and check them against PyTorch."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from gcpose_trt.errors import GcposeError

if TYPE_CHECKING:
    from gcpose_trt.model import GCPoseRCNN


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of `gcpose-trt export`."""
    parser.add_argument("model", metavar="MODEL", help="r50, r101, mobile, or a checkpoint of gcpose-trt train")
    parser.add_argument("--output", type=Path, required=True, metavar="DIR", help="folder for detector.onnx, pose.onnx")
    parser.add_argument(
        "--checkpoint", type=Path, metavar="PATH", help="weights for MODEL, of any known kind (default: the shipped)"
    )
    parser.add_argument(
        "--size", default="dynamic", metavar="HxW", help="the only input size, or dynamic (default): any size"
    )
    parser.add_argument("--max-people", type=int, metavar="N", help="most people in an image (default: the model's)")
    parser.add_argument("--opset", type=int, default=18, metavar="N", help="ONNX opset, 18 (default) to 21")
    parser.add_argument(
        "--images", type=Path, metavar="PATH", help="images or a clip for the check, with people (default: the sample)"
    )
    parser.add_argument("--no-verify", action="store_true", help="write the files without the check")


def _parse_size(text: str) -> tuple[int, int] | None:
    if text.lower() == "dynamic":
        return None
    from gcpose_trt.runtime.preprocess import parse_size

    rule = parse_size(text)
    if rule is None or rule.exact is None:
        raise GcposeError(f"--size {text} is not HEIGHTxWIDTH; give both sides, such as 384x640, or dynamic")
    return rule.exact


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def _load(name: str, checkpoint: Path | None) -> GCPoseRCNN:
    """Build the network that MODEL names, or that a checkpoint file says it is of."""
    from gcpose_trt.model import CONFIGS, build_model, load_checkpoint, load_model
    from gcpose_trt.runtime.bundle import shipped_names

    if checkpoint is None:
        if name in CONFIGS and name not in shipped_names():
            _say(
                f"no --checkpoint: {name} gets random weights; its nearly equal scores may fail the check (--no-verify)"
            )
        return load_model(name)
    if name not in CONFIGS:
        raise GcposeError(f"with --checkpoint, MODEL is one of {', '.join(CONFIGS)}, not {name}; leave one of them out")
    model = build_model(name)
    load_checkpoint(model, checkpoint)
    return model


def run(args: argparse.Namespace) -> int:
    """Export; return 0."""
    size = _parse_size(args.size)
    # Raises MissingDependencyError without torch or onnx.
    from gcpose_trt.export import export_model
    from gcpose_trt.export.exporter import check_options

    check_options(size, args.max_people, args.opset)
    model = _load(args.model, args.checkpoint)
    report = export_model(
        model,
        args.output,
        size=size,
        max_people=args.max_people,
        opset=args.opset,
        images=args.images,
        verify=not args.no_verify,
        progress=_say,
    )
    _say(f"wrote {report.detector} and {report.pose}")
    return 0
