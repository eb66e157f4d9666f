"""Find the people in a clip, an image or a folder of images, draw their skeletons and write their joints."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from gcpose_trt.cli.arguments import positive_int, score
from gcpose_trt.errors import GcposeError

if TYPE_CHECKING:
    from gcpose_trt.runtime.estimator import PoseEstimator
    from gcpose_trt.video.frames import Sink, Source
    from gcpose_trt.video.pipeline import Summary

OUTPUT = Path("output")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of `gcpose-trt demo`."""
    add = parser.add_argument
    add("--source", metavar="S", help="video, image, folder of images, or quoted pattern (default: the sample clip)")
    add("--output", metavar="PATH", help="annotated .mp4 of a video, image of an image, folder of several images")
    add("--jsonl", metavar="PATH", help="poses as JSON lines (default: beside the output)")
    add(
        "--model", default="mobile", metavar="M", help="shipped name, folder of .onnx files or engines, .pth checkpoint"
    )
    backends = ("auto", "onnxruntime", "torch", "tensorrt")
    add("--backend", default="auto", choices=backends, help="default: by the kind of model")
    add(
        "--precision",
        choices=("fp32", "fp16", "int8"),
        help="of the network (default: by the backend; engines have their own); int8 is the fastest on a CPU",
    )
    add("--device", metavar="D", help="where torch or tensorrt run: cpu, cuda, cuda:1 (default: by the backend)")
    add("--size", metavar="N|HxW", help="long side, or exact input such as 384x640 (default: the model's own)")
    add("--min-score", type=score, metavar="X", help="leave out people below this score (default: the model's own)")
    add("--max-people", type=positive_int, metavar="N", help="keep the best N people of a frame")
    add("--max-frames", type=positive_int, metavar="N", help="stop after N frames")
    add("--threads", type=positive_int, metavar="N", help="CPU threads of the network (default: all)")
    add("--quiet", action="store_true", help="no progress bar and no summary")


def run(args: argparse.Namespace) -> int:
    """Run the demo; see `add_arguments`."""
    # Our errors are one line; OpenCV, which reads this when it is first imported, would add its own.
    os.environ.setdefault("OPENCV_LOG_LEVEL", "SILENT")
    from gcpose_trt.assets import SAMPLE
    from gcpose_trt.runtime.estimator import PoseEstimator
    from gcpose_trt.video.sources import open_source

    if args.source is None and not SAMPLE.is_file():
        raise GcposeError(f"the sample clip {SAMPLE} is missing; install gcpose-trt again or give --source")
    with open_source(SAMPLE if args.source is None else args.source) as source:
        output, jsonl = choose_outputs(source, args.output, args.jsonl)
        with PoseEstimator(
            args.model,
            args.backend,
            args.size,
            args.min_score,
            args.max_people,
            args.threads,
            args.precision,
            args.device,
        ) as estimator:
            sink = make_sink(source, estimator, output, jsonl)
            estimator.warmup()
            summary = _run(source, estimator, sink, args)
        for warning in source.warnings:
            print(f"gcpose-trt: warning: {warning}", file=sys.stderr)
    if not args.quiet:
        print("\n".join([*summary.lines(), f"pictures    {output}", f"poses       {jsonl}"]))
    if summary.interrupted:
        raise KeyboardInterrupt
    return 0


def _run(source: Source, estimator: PoseEstimator, sink: Sink, args: argparse.Namespace) -> Summary:
    from tqdm import tqdm

    from gcpose_trt.video.pipeline import run_pipeline

    total = source.frames if args.max_frames is None else min(args.max_frames, source.frames or args.max_frames)
    with tqdm(total=total, unit="frame", desc=source.path.name, disable=args.quiet, smoothing=0.1) as bar:

        def progress(people: int) -> None:
            bar.set_postfix(people=people, refresh=False)
            bar.update()

        return run_pipeline(source, estimator, sink, max_frames=args.max_frames, progress=progress)


def choose_outputs(source: Source, output: str | None, jsonl: str | None) -> tuple[Path, Path]:
    """Return the paths of the pictures and of the JSON lines.

    Raises:
        GcposeError: a result would take the place of the source, or of the other result.
    """
    target = _picture_path(source, output)
    several = source.kind == "images"
    lines = Path(jsonl) if jsonl else target.with_name(f"{target.name if several else target.stem}.jsonl")
    originals = source.path if source.path.is_dir() or not several else source.path.parent
    for path in (target, lines):
        if path.resolve() == originals.resolve():
            raise GcposeError(f"{path} is the source itself; choose another --output")
    if target.resolve() == lines.resolve():
        raise GcposeError(f"--output and --jsonl are both {target}; choose two names")
    return target, lines


def _picture_path(source: Source, output: str | None) -> Path:
    path = source.path
    if source.kind == "images":
        # A pattern is named after the folder that it looks in.
        name = f"{(path if path.is_dir() else path.parent).resolve().name or 'images'}_poses"
    else:
        suffix = ".mp4" if source.kind == "video" else path.suffix or ".png"
        name = f"{path.stem}_poses{suffix}"
    if output is None:
        return OUTPUT / name
    target = Path(output)
    if source.kind != "images" and (target.is_dir() or output.endswith(os.sep)):
        target = target / name
    if source.kind == "video" and target.suffix.lower() != ".mp4":
        raise GcposeError(f"--output {target} does not end in .mp4, which a video becomes; choose such a name")
    if source.kind == "images" and (target.is_file() or target.suffix.lower() == ".mp4"):
        raise GcposeError(f"--output {target} is one file, but several images become a folder; name a folder")
    return target


def make_sink(source: Source, estimator: PoseEstimator, output: Path, jsonl: Path) -> Sink:
    """Return the sink of the pictures and the JSON lines; nothing is written yet, but it could be.

    Raises:
        GcposeError: one of the two cannot be written.
    """
    from functools import partial

    from gcpose_trt.pose.drawing import draw_poses
    from gcpose_trt.video.sinks import ImageSink, JsonLinesSink, Mp4Sink, SinkGroup

    draw = partial(draw_poses, keypoint_threshold=estimator.keypoint_threshold)
    pictures: Sink
    if source.kind == "video":
        pictures = Mp4Sink(output, source.rate or 25.0, draw)
    else:
        pictures = ImageSink(output, draw, folder=source.kind == "images")
    return SinkGroup([JsonLinesSink(jsonl), pictures])
