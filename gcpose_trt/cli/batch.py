"""Find the people of many videos and pictures, into Parquet; on this machine or on a Ray cluster."""

from __future__ import annotations

import argparse
import os
import sys
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

from gcpose_trt.cli.arguments import add_model, positive_int, positive_number, score
from gcpose_trt.errors import GcposeError, MissingDependencyError

if TYPE_CHECKING:
    from gcpose_trt.batch.run import MakeExecutor
    from gcpose_trt.batch.summary import Summary

_EPILOG = """\
inputs:
  videos, pictures, folders (with the folders in them), quoted patterns such as 'clips/**/*.mp4', manifests (.txt or
  .list with an input a line, .csv with a column "source", .jsonl with a key "source"), and addresses of all of these in
  object stores, such as s3://bucket/clips/ (install s3fs, gcsfs or adlfs).

output, in DIR:
  poses/source_id=ID/part-0.parquet   a row for each person of each frame: source, frame, time, box, score, 17 joints
  sources.parquet                     a row for each source: frames, people, tracks, state, and what went wrong
  annotated/ID.mp4                    with --annotate: the video with its people drawn
  .batch/                             what is done so far

resuming:
  The same command goes on where it ended, whatever ended it, and does only what is missing, new, changed or failed
  before. The results are the same bytes whatever the number of workers, here and on a cluster.

exit codes:
  0 all is done, 2 some source failed or the output cannot be written, 130 interrupted.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of `gcpose-trt batch`."""
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.epilog = _EPILOG
    parser.add_argument("inputs", nargs="+", metavar="INPUT", help="video, picture, folder, pattern, manifest, address")
    parser.add_argument("--output", required=True, metavar="DIR", help="folder of the results")
    _add_network(parser.add_argument_group("what is found; another batch in DIR has to agree"))
    _add_work(parser.add_argument_group("who does it; changes nothing in the results"))
    _add_cluster(parser.add_argument_group("on a Ray cluster"))
    parser.add_argument("--fresh", action="store_true", help="begin anew: remove what an earlier batch left in DIR")
    parser.add_argument("--quiet", action="store_true", help="no progress bar and no summary")


def _add_network(group: argparse._ArgumentGroup) -> None:
    add = group.add_argument
    add_model(group)
    add("--precision", choices=("fp32", "fp16", "int8"), help="of the network; int8 is the fastest on a CPU")
    add("--min-score", type=score, metavar="X", help="leave out people below this score (default: the model's own)")
    add("--max-people", type=positive_int, metavar="N", help="keep the best N people of a frame")
    add("--threads", type=positive_int, metavar="N", help="CPU threads of each network (default: 1)")
    add(
        "--batch",
        type=positive_int,
        metavar="N",
        help="frames that go through the network together (default: 1 on a CPU, 8 on a GPU)",
    )
    add(
        "--segment",
        "--segment-seconds",
        dest="segment_s",
        type=positive_number,
        metavar="S",
        help="videos are cut at key frames about so many seconds apart (30)",
    )
    add("--segment-images", type=positive_int, metavar="N", help="pictures are cut into groups of N (64)")
    toggle = argparse.BooleanOptionalAction
    add("--track", action=toggle, default=True, help="number people through each video (default)")
    add("--annotate", action="store_true", help="also draw an MP4 of each video")


def _add_work(group: argparse._ArgumentGroup) -> None:
    add = group.add_argument
    add("--workers", type=positive_int, metavar="N", help="networks at a time (default: one a GPU, or one a core)")
    add("--device", metavar="D", help="where torch or tensorrt run: cpu, cuda:1 (default: all GPUs)")


def _add_cluster(group: argparse._ArgumentGroup) -> None:
    add = group.add_argument
    add("--ray", metavar="auto|HOST:PORT", help="work on the cluster of this machine, or on that one")
    add("--ray-cpus", type=positive_number, metavar="X", help="CPU cores of each network (default: by --threads)")
    add("--ray-gpus", type=positive_number, metavar="X", help="GPUs of each network, may be a part (default: 1)")
    add("--decoders", type=positive_int, metavar="N", help="decoding tasks at a time (default: as many as keep up)")


def run(args: argparse.Namespace) -> int:
    """Run the batch; see `add_arguments`."""
    # Our errors are one line; OpenCV, which reads this when it is first imported, would add its own.
    os.environ.setdefault("OPENCV_LOG_LEVEL", "SILENT")
    executor = _cluster(args)
    try:
        import fsspec  # noqa: F401
    except ImportError as error:
        raise MissingDependencyError("fsspec", "batch", "a batch") from error
    from gcpose_trt.batch.progress import Bar
    from gcpose_trt.batch.run import run_batch
    from gcpose_trt.cli.terminal import Terminal

    with ExitStack() as stack:
        watched: dict[str, Any] = {}
        if not args.quiet:
            terminal: Any = Terminal(sys.stderr)
            bar = stack.enter_context(Bar(terminal, sys.stderr.isatty()))
            watched = {"progress": bar, "log": lambda line: bar.log(f"gcpose-trt: {line}")}
        summary = run_batch(
            args.inputs,
            args.output,
            workers=args.workers,
            device=args.device,
            executor=executor,
            fresh=args.fresh,
            **watched,
            model=args.model,
            backend=args.backend,
            precision=args.precision,
            size=args.size,
            min_score=args.min_score,
            max_people=args.max_people,
            threads=args.threads,
            batch=args.batch,
            segment_s=args.segment_s,
            segment_images=args.segment_images,
            track=args.track,
            annotate=args.annotate,
        )
    return _tell(summary, args.quiet)


def _cluster(args: argparse.Namespace) -> MakeExecutor | None:
    """Return what makes the executor of a cluster; None where this machine does the work."""
    if args.ray is None:
        for name in ("ray_cpus", "ray_gpus", "decoders"):
            if getattr(args, name) is not None:
                raise GcposeError(f"--{name.replace('_', '-')} is of a Ray cluster; give --ray auto, too")
        return None
    try:
        import ray.data  # noqa: F401
    except ImportError as error:
        raise MissingDependencyError("ray[data]", "ray", "a batch on a cluster") from error
    from gcpose_trt.batch.ray_data import RayExecutor

    return lambda recipe, on_frames: RayExecutor(
        recipe, args.ray, args.workers, args.ray_cpus, args.ray_gpus, args.decoders, on_frames
    )


def _tell(summary: Summary, quiet: bool) -> int:
    """Print what a batch came to and return the exit code."""
    for line in summary.problems():
        print(f"gcpose-trt: {line}", file=sys.stderr)
    if not quiet:
        print("\n".join(summary.lines()))
    if summary.interrupted:
        print("gcpose-trt: interrupted; the same command goes on where it ended", file=sys.stderr)
        return 130
    return 2 if summary.failures else 0
