"""Find the people in cameras, streams, clips or images; draw their skeletons, show, write and send their joints."""

from __future__ import annotations

import argparse
import os
import sys
from contextlib import ExitStack
from typing import TYPE_CHECKING

from gcpose_trt.cli.arguments import add_model, frame_size, positive_int, positive_number, score
from gcpose_trt.errors import GcposeError

if TYPE_CHECKING:
    from gcpose_trt.runtime.estimator import PoseEstimator
    from gcpose_trt.video.live import LivePipeline, Summary
    from gcpose_trt.video.live_types import Capture
    from gcpose_trt.video.sinks.naming import Planned


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of `gcpose-trt demo`."""
    from gcpose_trt.video.capture.uri import CODECS, FLIPS, GRAMMAR

    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.epilog = GRAMMAR
    _add_source(parser.add_argument_group("source"), FLIPS, CODECS)
    _add_network(parser.add_argument_group("network"))
    _add_outputs(parser.add_argument_group("outputs, any number at once"))
    _add_picture(parser.add_argument_group("what is found and drawn"))
    parser.add_argument("--quiet", action="store_true", help="no progress bar and no summary")


def _add_source(group: argparse._ArgumentGroup, flips: tuple[str, ...], codecs: tuple[str, ...]) -> None:
    add = group.add_argument
    add(
        "--source",
        action="append",
        metavar="S",
        help="camera, stream, video, image, folder ...: see below; again for more (default: the sample clip)",
    )
    add("--capture-size", type=frame_size, metavar="WxH", help="picture size asked of a camera, or scaled to")
    add("--fps", type=positive_number, metavar="X", help="take at most so many frames a second of each source")
    add("--flip", default="none", choices=flips, help="turn or mirror the pictures")
    add("--loop", type=int, default=0, metavar="N", help="play files N times more; -1 for ever")
    add("--codec", choices=codecs, help="asked of a camera")
    add("--timeout", type=positive_number, default=5.0, metavar="S", help="seconds until a silent source is lost (5)")
    add("--no-reconnect", action="store_true", help="end with a lost camera or stream instead of trying it again")
    add(
        "--policy",
        choices=("latest", "all"),
        help="latest: drop frames that would come late (default of live sources); all: take every frame (of files)",
    )
    add("--max-frames", type=positive_int, metavar="N", help="stop after N frames")


def _add_network(group: argparse._ArgumentGroup) -> None:
    add = group.add_argument
    add_model(group)
    add(
        "--precision",
        choices=("fp32", "fp16", "int8"),
        help="of the network (default: by the backend; engines have their own); int8 is the fastest on a CPU",
    )
    add("--device", metavar="D", help="where torch or tensorrt run: cpu, cuda, cuda:1 (default: by the backend)")
    add("--threads", type=positive_int, metavar="N", help="CPU threads of the network (default: all)")


def _add_outputs(group: argparse._ArgumentGroup) -> None:
    add = group.add_argument
    add(
        "--output",
        action="append",
        metavar="PATH",
        help=".mp4, image, folder, 'folder/*.jpg', .jsonl, .csv, .json (COCO's results) or mqtt://host/topic; "
        "again for more (default of files that are not watched: pictures and JSON lines in output/)",
    )
    add(
        "--jsonl",
        metavar="PATH",
        help="poses as JSON lines (default: beside pictures of files)",
    )
    add("--segment", type=positive_number, metavar="MINUTES", help="cut .mp4 outputs into files of that length")
    add("--every", type=positive_number, default=0.0, metavar="S", help="seconds between pictures of a folder (all)")
    add("--window", action="store_true", help="show the pictures; q ends")
    add(
        "--web",
        nargs="?",
        const="",
        metavar="HOST:PORT",
        help="serve a page with live video, settings and charts (127.0.0.1:8080)",
    )
    add(
        "--token",
        metavar="T",
        help="what the page asks for; needed for any address but this machine's "
        "(better in the variable GCPOSE_TOKEN, since others see command lines)",
    )


def _add_picture(group: argparse._ArgumentGroup) -> None:
    add = group.add_argument
    add("--min-score", type=score, metavar="X", help="leave out people below this score (default: the model's own)")
    add("--max-people", type=positive_int, metavar="N", help="keep the best N people of a frame")
    toggle = argparse.BooleanOptionalAction
    add("--track", action=toggle, default=None, help="number people through a video (default: videos and cameras)")
    add("--smooth", type=score, nargs="?", const=0.5, default=0.0, metavar="X", help="calm joints, 0 to 1 (off; 0.5)")
    add("--hud", action=toggle, default=None, help="panel with rates and latency (default: live sources)")
    add("--trails", action=toggle, default=None, help="where people went (default: live sources)")
    add("--blur-heads", action="store_true", help="make heads unrecognisable in every picture")


def run(args: argparse.Namespace) -> int:
    """Run the demo; see `add_arguments`."""
    # Our errors are one line; OpenCV, which reads this when it is first imported, would add its own.
    os.environ.setdefault("OPENCV_LOG_LEVEL", "SILENT")
    from gcpose_trt.cli.demo_outputs import choose_outputs, places
    from gcpose_trt.runtime.estimator import PoseEstimator

    with ExitStack() as stack:
        captures = _open_captures(args, stack)
        planned = choose_outputs(args, captures)
        estimator = stack.enter_context(
            PoseEstimator(
                args.model,
                args.backend,
                args.size,
                args.min_score,
                args.max_people,
                args.threads,
                args.precision,
                args.device,
            )
        )
        estimator.warmup()
        summary = _run(args, captures, estimator, planned, stack)
        warnings = [warning for capture in captures for warning in capture.warnings]
    for warning in warnings:
        print(f"gcpose-trt: warning: {warning}", file=sys.stderr)
    if not args.quiet:
        print("\n".join([*summary.lines(), *places(planned)]))
    # A camera has no end of its own: there Ctrl-C is how a run is meant to end.
    if summary.interrupted and not any(capture.live for capture in captures):
        raise KeyboardInterrupt
    return 2 if summary.failures else 0


def _open_captures(args: argparse.Namespace, stack: ExitStack) -> list[Capture]:
    from gcpose_trt.assets import SAMPLE
    from gcpose_trt.video.capture import CaptureOptions, open_capture

    if args.source is None and not SAMPLE.is_file():
        raise GcposeError(f"the sample clip {SAMPLE} is missing; install gcpose-trt again or give --source")
    options = CaptureOptions(
        size=args.capture_size,
        fps=args.fps,
        flip=args.flip,
        loop=args.loop,
        codec=args.codec,
        timeout_s=args.timeout,
        reconnect=not args.no_reconnect,
    )
    captures = []
    for stream, uri in enumerate([str(SAMPLE)] if args.source is None else args.source):
        capture = open_capture(uri, options, stream)
        stack.callback(capture.close)
        captures.append(capture)
    return captures


def _run(
    args: argparse.Namespace,
    captures: list[Capture],
    estimator: PoseEstimator,
    planned: list[Planned],
    stack: ExitStack,
) -> Summary:
    from functools import partial

    from tqdm import tqdm

    from gcpose_trt.cli.demo_outputs import make_page, open_all, painter
    from gcpose_trt.cli.terminal import Terminal
    from gcpose_trt.video.live import LivePipeline, Output
    from gcpose_trt.video.live_types import Controls, Settings

    live = any(capture.live for capture in captures)
    controls = Controls(Settings(estimator.min_score, args.smooth, False, args.blur_heads))
    moving = any(capture.kind not in ("image", "images") for capture in captures)
    terminal = Terminal(sys.stderr)
    bar = stack.enter_context(
        tqdm(
            total=_total(captures, args.max_frames),
            unit="frame",
            desc=_title(captures),
            disable=args.quiet,
            file=terminal,
        )
    )

    def log(line: str) -> None:
        bar.write(f"gcpose-trt: {line}", file=terminal)

    def progress(people: int) -> None:
        bar.set_postfix(people=people, refresh=False)
        bar.update()

    made: list[LivePipeline] = []  # the page shows how the pipeline does and is one of its outputs
    opened = open_all(args, captures, planned, lambda: made[0].stop(), log)
    page = None
    if args.web is not None:
        from gcpose_trt.web.sink import WebSink

        page = make_page(args, captures, estimator.keypoint_threshold, controls, lambda: made[0].snapshot(), log)
        opened.append(Output("page", WebSink(page)))
    pipeline = LivePipeline(
        captures,
        estimator,
        opened,
        controls=controls,
        policy=args.policy or ("latest" if live else "all"),
        tracking=moving if args.track is None else args.track,
        painter_factory=partial(painter, args, estimator, captures),
        max_frames=args.max_frames,
        progress=progress,
        log=log,
    )
    made.append(pipeline)
    if page is not None:
        page.start()
        stack.callback(page.stop)
        log(f"page at {page.url}")
    return pipeline.run()


def _title(captures: list[Capture]) -> str:
    first = captures[0].path.name if captures[0].path else captures[0].name
    return first if len(captures) == 1 else f"{len(captures)} sources"


def _total(captures: list[Capture], most: int | None) -> int | None:
    counts = [capture.frames for capture in captures if capture.frames is not None]
    known = sum(counts) if len(counts) == len(captures) else None
    return known if most is None else min(most, known or most)
