"""The second half of `gcpose-trt calibrate`: which blocks suffer most from INT8 (--sensitivity)."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from gcpose_trt.errors import GcposeError
from gcpose_trt.files import atomic_write, check_writable

if TYPE_CHECKING:
    from gcpose_trt.graph.prepare import PreparedGraphs
    from gcpose_trt.quantization.proposal import ApMeter, Proposal
    from gcpose_trt.quantization.sensitivity import BlockError, Quantizer

_IMAGES = 8  # errors of blocks differ by far more than images do


def run(args: argparse.Namespace) -> int:
    """Rank blocks, propose what to keep, print and write."""
    _check(args)
    from gcpose_trt.graph.prepare import prepare_bundle
    from gcpose_trt.quantization.drawing import format_proposal, format_ranking
    from gcpose_trt.quantization.record import CalibrationRecord
    from gcpose_trt.quantization.sensitivity import ErrorMeter, Quantizer, rank_blocks
    from gcpose_trt.runtime.preprocess import parse_size
    from gcpose_trt.video.sampling import read_frames

    record = CalibrationRecord.load(args.calibration)
    frames = read_frames(args.images, args.max_images or _IMAGES)
    rule = parse_size(args.size)
    graphs = prepare_bundle(args.model)
    quantizer = Quantizer(graphs, record, args.target, args.method)
    meter = ErrorMeter(quantizer.models, frames, rule or graphs.info.size_rule, args.threads)
    ap = _ap_meter(args, graphs) if args.annotations else None
    errors = rank_blocks(quantizer, meter, ap.drop if ap else None, _bar)
    print(format_ranking(errors))
    proposal = None
    if ap is not None:
        print(f"AP of the float network: {ap.baseline:.4f}")
        if args.max_ap_drop is not None:
            proposal = _propose(quantizer, errors, ap, args.max_ap_drop)
            print(format_proposal(proposal))
    _write(args, errors, proposal, ap)
    return 0


def _check(args: argparse.Namespace) -> None:
    if args.output is not None:
        raise GcposeError("--sensitivity writes no calibration; give --json for its numbers instead of --output")
    if args.calibration is None:
        raise GcposeError("--sensitivity needs a calibration; give --calibration calibration/NAME.json")
    if args.annotations is None and (args.max_ap_drop is not None or args.ap_images is not None):
        raise GcposeError("average precision needs the people that are there; give --annotations JSON of --images")
    if args.draw is not None and args.draw.suffix.lower() != ".png":
        raise GcposeError(f"--draw writes PNG, not {args.draw.name}; give a name that ends in .png")
    for path in (args.json, args.draw):
        if path is not None:
            check_writable(path)


def _ap_meter(args: argparse.Namespace, graphs: PreparedGraphs) -> ApMeter:
    from gcpose_trt.evaluation import load_annotations
    from gcpose_trt.quantization.proposal import ApMeter

    annotations = load_annotations(args.annotations)
    if args.ap_images is not None:
        annotations = annotations.subset(annotations.image_ids[: args.ap_images])
    annotations.image_paths(args.images)
    models = {"detector": graphs.detector, "pose": graphs.pose}
    return ApMeter(models, args.images, annotations, args.size, args.threads)


def _propose(quantizer: Quantizer, errors: Sequence[BlockError], ap: ApMeter, limit: float) -> Proposal:
    from gcpose_trt.quantization.proposal import propose

    print("searching for the fewest blocks to keep", file=sys.stderr, flush=True)
    # AP of one block alone is lost in the noise of a hundred images; the errors of maps and boxes are not.
    return propose([error.block for error in errors], lambda kept: ap.drop(quantizer.without(kept)), limit)


def _bar(names: Sequence[str], what: str) -> Iterable[str]:
    from tqdm import tqdm

    bar: Iterable[str] = tqdm(names, desc=what, unit="block", file=sys.stderr)
    return bar


def _write(
    args: argparse.Namespace, errors: Sequence[BlockError], proposal: Proposal | None, ap: ApMeter | None
) -> None:
    if args.json is not None:
        from dataclasses import asdict

        content: dict[str, Any] = {
            "blocks": [error.to_dict() for error in errors],
            "proposal": None if proposal is None else asdict(proposal),
            "float_ap": None if ap is None else ap.baseline,
            "settings": {"target": args.target, "method": args.method, "size": args.size},
        }
        with atomic_write(args.json, "w") as stream:
            json.dump(content, stream, indent=1)
            stream.write("\n")
    if args.draw is not None:
        import cv2

        from gcpose_trt.quantization.drawing import draw_ranking

        title = f"One block in INT8 at a time ({args.target}, {args.method})"
        _, encoded = cv2.imencode(".png", draw_ranking(errors, title, proposal))
        with atomic_write(args.draw) as stream:
            stream.write(encoded.tobytes())
