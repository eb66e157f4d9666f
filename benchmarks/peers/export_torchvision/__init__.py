"""Exporting torchvision's keypointrcnn_resnet50_fpn to ONNX for the peer `torchvision_onnx`."""

from __future__ import annotations

import argparse
import sys
import warnings
from collections.abc import Sequence
from pathlib import Path

from benchmarks.peers import torchvision, torchvision_onnx
from gcpose_trt.benchmark import adapting
from gcpose_trt.benchmark.contender import ContenderSpec
from gcpose_trt.errors import GcposeError
from gcpose_trt.files import atomic_write, check_writable

OPSET = 17
NAMES = ("boxes", "labels", "scores", "keypoints", "keypoints_scores")
# Any frame does for a trace: the sides are dynamic. It should have people for random weights too, hence the threshold.
TRACED = (3, 240, 320)


def export(weights: Path, output: Path, long: int | None = None, min_score: float = torchvision.MIN_SCORE) -> None:
    """Export with torchvision's own tracing rules.

    Args:
        weights: see `torchvision.build`.
        output: the ONNX file to write.
        long: see `torchvision.build`.
        min_score: see `torchvision.build`.

    Raises:
        GcposeError: a package or the weights are missing, or the file cannot be written.
    """
    reason = torchvision.missing(ContenderSpec(str(weights), peer="torchvision"))
    reason = reason or adapting.missing_package("onnx", "onnx")
    if reason:
        raise GcposeError(reason)
    check_writable(output)
    import io

    import onnx
    import torch

    network = torchvision.build(weights, long, min_score)
    stream = io.BytesIO()
    with torch.inference_mode(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of tracing: that lengths become constants, which torchvision took care of
        torch.onnx.export(
            network,
            ([torch.rand(TRACED)],),
            stream,
            opset_version=OPSET,
            input_names=["image"],
            output_names=list(NAMES),
            dynamic_axes={"image": {1: "height", 2: "width"}, **{name: {0: "people"} for name in NAMES}},
            dynamo=False,
        )
    model = onnx.load_from_string(stream.getvalue())
    record = {
        torchvision_onnx.SIZE_KEY: torchvision.size_words(long),
        torchvision_onnx.SCORE_KEY: f"{min_score:g}",
        torchvision_onnx.WEIGHTS_KEY: adapting.sha256(weights),
        "made_with": adapting.version("torchvision", "torch"),
    }
    for key, value in record.items():
        model.metadata_props.add(key=key, value=value)
    with atomic_write(output) as file:
        file.write(model.SerializeToString())


def main(argv: Sequence[str] | None = None) -> int:
    """Export; bad input is one line and exit code 2."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.peers.export_torchvision",
        description=__doc__,
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    parser.add_argument("weights", type=Path, metavar="WEIGHTS", help=torchvision.WHAT)
    parser.add_argument("output", type=Path, metavar="OUTPUT", help="the ONNX file to write")
    parser.add_argument("--size", help="long side in the network; torchvision's 800/1333 if not given")
    parser.add_argument("--min-score", type=float, default=torchvision.MIN_SCORE, help="boxes below are dropped")
    args = parser.parse_args(argv)
    try:
        long = adapting.square_size(
            ContenderSpec(str(args.weights), peer="torchvision", size=str(args.size) if args.size else None)
        )
        export(args.weights, args.output, long, args.min_score)
    except GcposeError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    print(f"{args.output}: {torchvision.size_words(long)}, people from {args.min_score:g}")
    return 0
