"""Turn a checkpoint from elsewhere into one of ours.

Known are the checkpoints of GCPose R-CNN's authors, detectron2's and torchvision's keypoint R-CNN, ResNets trained on
ImageNet, MoveNet MultiPose, and our own. Every tensor of both sides is accounted for.
"""

from __future__ import annotations

import argparse
import hashlib
from pathlib import Path
from typing import TYPE_CHECKING

from gcpose_trt.errors import GcposeError
from gcpose_trt.files import atomic_write, check_writable

if TYPE_CHECKING:
    from gcpose_trt.model import GCPoseRCNN, LoadReport

SUFFIXES = (".pt", ".pth")  # by which the other commands know a checkpoint


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of `gcpose-trt import-checkpoint`."""
    parser.add_argument(
        "source", type=Path, metavar="SOURCE", help=".pt, .pth, .npz, .safetensors or detectron2's .pkl"
    )
    parser.add_argument("--model", required=True, metavar="NAME", help="the network to fill: r50, r101 or mobile")
    parser.add_argument("--output", type=Path, metavar="FILE.pt", help="the checkpoint to write")
    parser.add_argument("--list", action="store_true", help="print what became of every tensor")


def run(args: argparse.Namespace) -> int:
    """Load, report, and write if asked to."""
    _check_paths(args.source, args.output, args.list)

    import torch

    from gcpose_trt.model import build_model
    from gcpose_trt.model.checkpoint import CheckpointError, load_checkpoint

    torch.manual_seed(0)  # what the source does not have is drawn alike each time
    model = build_model(args.model)
    try:
        report = load_checkpoint(model, args.source)
    except CheckpointError as error:
        if args.list:
            print("\n".join(error.listing))
        raise
    if args.list:
        print("\n".join(report.listing()))
    print(report.summary())
    if args.output is not None:
        _write(args.output, model, report, args.source)
        print(f"wrote {args.output}")
    return 0


def _check_paths(source: Path, output: Path | None, listing: bool) -> None:
    """Refuse what cannot end well, before PyTorch is loaded."""
    if output is None:
        if not listing:
            raise GcposeError("nothing to do; give --output FILE.pt, or --list to see what fits")
        return
    if output.suffix not in SUFFIXES:
        raise GcposeError(f"{output} does not end in {' or '.join(SUFFIXES)}; name the output so")
    if output.exists() and source.exists() and output.samefile(source):
        raise GcposeError(f"{output} is the source itself; choose another --output")
    check_writable(output)


def _write(path: Path, model: GCPoseRCNN, report: LoadReport, source: Path) -> None:
    import torch

    digest = hashlib.sha256()
    with source.open("rb") as stream:
        while block := stream.read(1 << 20):
            digest.update(block)
    content = {
        "model": model.state_dict(),
        "config": model.config.name,
        "recipe": {
            "source": source.name,
            "sha256": digest.hexdigest(),
            "family": report.family,
            "initialised": list(report.initialised),
        },
    }
    with atomic_write(path) as stream:
        torch.save(content, stream)
