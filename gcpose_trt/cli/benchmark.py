"""Measure how fast, how accurate and how hot models of ours and peers run on this machine.

Each contender (model x backend x precision x size, and each peer) runs in a process of its own; they take turns on the
same frames of a clip. The folder of --output gets report.json, report.md and report.html; the same command again goes
on with a run that was interrupted. See also: gcpose-trt benchmark compare, benchmark report, benchmark roofline.

Suites: quick (two minutes), cpu, gpu, jetson, accuracy, or a .toml file of your own; options replace what it says.
Exit code 0: measured; 2: bad input, or nothing could be measured; 130: interrupted, the partial report is marked.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib.util
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gcpose_trt.cli.arguments import positive_int
from gcpose_trt.errors import MissingDependencyError

if TYPE_CHECKING:
    from gcpose_trt.benchmark.plan import Settings

# Options that are settings of the same name; what is not given stays as the suite has it.
_SETTINGS = (
    *("models", "backends", "precisions", "sizes", "peers", "people", "batches", "streams", "sections"),
    *("threads", "device", "clip", "frames", "rounds", "turn", "starts", "images", "annotations", "max_images"),
)


def _count(text: str) -> int:
    try:
        value = int(text)
    except ValueError:
        value = -1
    if value < 0:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number of at least 0")
    return value


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of `gcpose-trt benchmark`."""
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("suite", nargs="?", default="quick", metavar="SUITE", help="what to measure (default: quick)")
    parser.add_argument("--output", type=Path, metavar="DIR", help="folder of the report (default: benchmark-SUITE)")
    parser.add_argument("--fresh", action="store_true", help="start over, whatever the folder has")
    parser.add_argument("--plan", action="store_true", help="only say what would be measured, and what is left out")
    of_ours = parser.add_argument_group("contenders")
    of_ours.add_argument("--models", nargs="+", metavar="MODEL", help="shipped names, folders, checkpoints, engines")
    of_ours.add_argument("--backends", nargs="+", metavar="B", help="auto, onnxruntime, torch, tensorrt")
    of_ours.add_argument("--precisions", nargs="+", metavar="P", help="fp32, fp16, int8, or default")
    of_ours.add_argument("--sizes", nargs="+", metavar="SIZE", help="long side such as 448, HEIGHTxWIDTH, or default")
    of_ours.add_argument(
        "--peers",
        nargs="+",
        metavar="NAME=WEIGHTS",
        help="movenet, torchvision, torchvision_onnx, rtmlib, ultralytics, or an adapter of your own "
        "(FILE.py=WEIGHTS); options behind commas: movenet=movenet.onnx,size=448",
    )
    of_ours.add_argument("--threads", type=positive_int, metavar="N", help="CPU threads of each (default: all cores)")
    of_ours.add_argument("--device", help="where ours run: cpu, cuda, cuda:1")
    work = parser.add_argument_group("work")
    work.add_argument(
        "--sections",
        nargs="+",
        metavar="S",
        help="latency, people, throughput, start, accuracy, parity, samples",
    )
    work.add_argument("--clip", metavar="PATH", help="video, image or folder of images (default: the sample clip)")
    work.add_argument("--frames", type=positive_int, metavar="N", help="frames of it, evenly spread")
    work.add_argument("--rounds", type=positive_int, metavar="N", help="how often each contender runs them")
    work.add_argument("--turn", type=positive_int, metavar="N", help="frames until the next contender has its turn")
    work.add_argument("--people", nargs="+", type=_count, metavar="N", help="numbers of people in a frame")
    work.add_argument("--batches", nargs="+", type=positive_int, metavar="N", help="batch sizes")
    work.add_argument("--streams", nargs="+", type=positive_int, metavar="N", help="numbers of simultaneous streams")
    work.add_argument("--starts", type=positive_int, metavar="N", help="how often each is started anew")
    work.add_argument("--images", metavar="DIR", help="images for average precision")
    work.add_argument("--annotations", metavar="JSON", help="COCO person-keypoints annotations of them")
    work.add_argument("--max-images", type=positive_int, metavar="N", help="the first N images only")


def run(args: argparse.Namespace) -> int:
    """Measure, write the report and say where it is."""
    from gcpose_trt.benchmark import suites
    from gcpose_trt.benchmark.reporting import render
    from gcpose_trt.benchmark.runner import run_benchmark
    from gcpose_trt.engine.process import terminable

    given = {name: getattr(args, name) for name in _SETTINGS}
    settings = suites.with_options(suites.load(args.suite), given)
    if args.plan:
        return _show_plan(settings)
    output = args.output or Path(f"benchmark-{settings.name}")
    plots = importlib.util.find_spec("matplotlib") is not None
    if not plots:
        _say("there will be no report.html, only report.md; for the page: pip install 'gcpose-trt[benchmark]'")
    try:
        with terminable():
            report = run_benchmark(settings, output, fresh=args.fresh, arguments=_words(), say=_say, progress=True)
    except KeyboardInterrupt:
        _render_partial(output, settings)
        raise
    with contextlib.suppress(*([] if plots else [MissingDependencyError])):  # that was said above
        render(report, output, Path(settings.clip) if settings.clip else None)
    for kind in ("json", "md", *(["html"] if plots else [])):
        print(output / f"report.{kind}")
    return 0


def _show_plan(settings: Settings) -> int:
    from gcpose_trt.benchmark import sections
    from gcpose_trt.benchmark.plan import make_plan

    plan = make_plan(settings)
    parts = sum(len(module.units(plan)) for module in sections.load_all())
    print(f"{settings.name}: {len(plan.contenders)} contenders, {plan.settings.frames} frames x {plan.rounds} rounds,")
    print(f"sections {' '.join(name for name in settings.sections if plan.wants(name))}, {parts} parts")
    for case in plan.cases:
        print(f"  {case.spec.label}" + (f": left out, {case.skipped}" if case.skipped else ""))
    for note in plan.notes:
        print(f"note: {note}")
    return 0


def _render_partial(output: Path, settings: Settings) -> None:
    """Write the pages of what there is; a second Ctrl-C leaves them."""
    from gcpose_trt.benchmark.reading import read_report
    from gcpose_trt.benchmark.reporting import render

    report: dict[str, Any] = read_report(output)
    render(report, output, Path(settings.clip) if settings.clip else None)
    _say(f"{output} holds what was measured so far, marked as partial; the same command goes on")


def _words() -> list[str]:
    return sys.argv[1:] if len(sys.argv) > 1 else ["benchmark"]


def _say(line: str) -> None:
    print(f"gcpose-trt: {line}", file=sys.stderr)
