"""What `gcpose-trt demo` draws, and where it goes."""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from gcpose_trt.errors import GcposeError, MissingDependencyError

if TYPE_CHECKING:
    from gcpose_trt.pose.drawing import Painter
    from gcpose_trt.runtime.estimator import PoseEstimator
    from gcpose_trt.video.live import Output
    from gcpose_trt.video.live_types import Capture, Controls, Snapshot
    from gcpose_trt.video.sinks.naming import Planned
    from gcpose_trt.web.server import WebServer

_LABELS = {
    "mp4": "pictures",
    "image": "pictures",
    "images": "pictures",
    "jsonl": "poses",
    "csv": "table",
    "coco": "results",
    "mqtt": "messages",
}


def choose_outputs(args: argparse.Namespace, captures: Sequence[Capture]) -> list[Planned]:
    """Return the files and brokers, before a model is loaded; `args` gets a view where a live source has no output.

    Raises:
        GcposeError: one does not suit the source, there is nowhere to show a live source, or the page must not be
            served as asked.
    """
    from gcpose_trt.video.sinks.naming import PICTURES, plan_outputs

    planned = plan_outputs(captures, args.output or (), args.jsonl)
    if (args.window or args.web is not None) and not args.output:  # whoever watches records on request only
        planned = [plan for plan in planned if plan.kind not in PICTURES and args.jsonl is not None]
    if args.token is not None and args.web is None:
        raise GcposeError("--token is for the page; give --web, too")
    if not planned and not args.window and args.web is None:
        _choose_view(args)
    if args.web is not None:
        _check_page(args)
    return planned


def _check_page(args: argparse.Namespace) -> None:
    from gcpose_trt.web.address import parse_address
    from gcpose_trt.web.server import check_access, check_packages

    check_packages()
    check_access(*parse_address(args.web), _token(args))


def _token(args: argparse.Namespace) -> str | None:
    return args.token or os.environ.get("GCPOSE_TOKEN") or None


def _choose_view(args: argparse.Namespace) -> None:
    """Choose a window, or else the page: whoever tries a camera wants to see something."""
    from gcpose_trt.video.sinks.window import check_windows
    from gcpose_trt.web.server import check_packages

    try:
        check_windows()
        args.window = True
    except GcposeError:
        try:
            check_packages()
        except MissingDependencyError as error:
            raise GcposeError(f"nowhere to show a live source; give --output, or, for --web, {error}") from error
        args.web = ""


def painter(args: argparse.Namespace, estimator: PoseEstimator, captures: Sequence[Capture], stream: int) -> Painter:
    """Return what draws the pictures of one source."""
    from gcpose_trt.pose.drawing import Painter, PaintOptions

    live = captures[stream].live
    return Painter(
        PaintOptions(
            hud=live if args.hud is None else args.hud,
            trails=live if args.trails is None else args.trails,
            keypoint_threshold=estimator.keypoint_threshold,
        )
    )


def open_all(
    args: argparse.Namespace,
    captures: Sequence[Capture],
    planned: Sequence[Planned],
    stop: Callable[[], object],
    log: Callable[[str], None],
) -> list[Output]:
    """Open every output but the page.

    Args:
        args: the command's.
        captures: the sources.
        planned: files and brokers.
        stop: ends the run, when the window is closed.
        log: takes lines about what goes wrong.

    Raises:
        GcposeError: one of them cannot be opened.
    """
    from gcpose_trt.video.live import Output
    from gcpose_trt.video.sinks.naming import stream_names
    from gcpose_trt.video.sinks.opening import open_outputs

    names = stream_names(captures)
    outputs = open_outputs(planned, captures, segment_minutes=args.segment, every=args.every, log=log)
    if args.window:
        from gcpose_trt.video.sinks.window import WindowSink

        several = names if len(names) > 1 else ()
        outputs.append(Output("window", WindowSink(several, stop)))
    return outputs


def places(planned: Sequence[Planned]) -> list[str]:
    """Return a line for each file and broker that says where it is."""
    return [f"{_LABELS[plan.kind]:<11} {plan}" for plan in planned]


def make_page(
    args: argparse.Namespace,
    captures: Sequence[Capture],
    keypoint_threshold: float,
    controls: Controls,
    snapshot: Callable[[], Snapshot],
    log: Callable[[str], None],
) -> WebServer:
    """Return the page's server, not yet started.

    Raises:
        GcposeError: an address that is none, or one that needs a token.
    """
    from gcpose_trt.video.sinks.naming import stream_names
    from gcpose_trt.web.address import parse_address
    from gcpose_trt.web.server import WebServer

    host, port = parse_address(args.web)
    return WebServer(
        host,
        port,
        controls=controls,
        snapshot=snapshot,
        streams=stream_names(captures),
        keypoint_threshold=keypoint_threshold,
        token=_token(args),
        log=log,
    )
