"""`gcpose-trt benchmark roofline`: how far is each part of a network from what this machine can do at best?

Counts operations and bytes of every layer, measures the machine's ceilings and the time of every layer, all with ONNX
Runtime on the CPU, and writes roofline.json, roofline.svg and roofline.html.

Exit code 0: measured; 2: bad input.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gcpose_trt.errors import GcposeError
from gcpose_trt.files import atomic_write, check_writable

if TYPE_CHECKING:
    from gcpose_trt.runtime.info import ModelInfo
    from gcpose_trt.runtime.preprocess import SizeRule

FILES = ("roofline.json", "roofline.svg", "roofline.html")


@dataclass(frozen=True)
class Machine:
    """What is asked of the machine; tests put their own in its place.

    Attributes:
        facts: returns what it is, see `environment.facts`.
        snapshot: returns how it is now, see `environment.snapshot`.
        cache: bytes of the last-level cache, see `ceilings.last_level_cache`.
        instructions: for products of integers, see `ceilings.integer_instructions`.
        seconds: for each probe of a ceiling and visit.
    """

    facts: Callable[[], dict[str, Any]]
    snapshot: Callable[[], dict[str, Any]]
    cache: int | None
    instructions: list[str] | None
    seconds: float = 0.25


def _whole(least: int, most: int) -> Callable[[str], int]:
    def parse(text: str) -> int:
        value = int(text) if text.isdecimal() else -1
        if not least <= value <= most:
            raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from {least} to {most}")
        return value

    return parse


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of `gcpose-trt benchmark roofline`."""
    parser.add_argument("model", nargs="?", default="mobile", metavar="MODEL", help="a shipped name or an ONNX model")
    parser.add_argument("--size", metavar="SIZE", help="long side, or HEIGHTxWIDTH (default: the model's own)")
    parser.add_argument(
        "--people", type=_whole(0, 1000), default=5, metavar="N", help="people in the frame (default: 5)"
    )
    parser.add_argument("--precision", choices=("fp32", "int8"), default="fp32", help="default: fp32")
    parser.add_argument("--threads", type=_whole(1, 1024), metavar="N", help="CPU threads (default: one a core)")
    parser.add_argument("--repeats", type=_whole(1, 1000), default=30, metavar="N", help="timed runs (default: 30)")
    parser.add_argument("--top", type=_whole(1, 1000), default=10, metavar="N", help="layers to list (default: 10)")
    parser.add_argument("--output", type=Path, default=Path("roofline"), metavar="DIR", help="default: roofline")


def run(args: argparse.Namespace) -> int:
    """Measure, print and write; return 0.

    Raises:
        GcposeError: no such model, engines, no such size, or the folder cannot be written.
        MissingDependencyError: without onnx or matplotlib.
    """
    from gcpose_trt.benchmark import environment
    from gcpose_trt.benchmark.roofline.ceilings import integer_instructions, last_level_cache

    machine = Machine(environment.facts, environment.snapshot, last_level_cache(), integer_instructions())
    return measure_and_write(args, machine)


def measure_and_write(args: argparse.Namespace, machine: Machine) -> int:
    """Do what `run` does, on a machine that is asked through `machine`."""
    from gcpose_trt.benchmark.roofline import page, plots, text
    from gcpose_trt.benchmark.roofline.sessions import need_onnx

    need_onnx()
    plots.need_matplotlib()
    for name in FILES:
        check_writable(args.output / name)
    record = measure(args, machine)
    print(text.format_text(record, args.top), flush=True)
    charts = plots.draw(record)
    contents = (
        json.dumps(record, indent=1) + "\n",
        plots.standalone(charts),
        page.render(record, charts, args.top),
    )
    for name, content in zip(FILES, contents, strict=True):
        with atomic_write(args.output / name, "w") as stream:
            stream.write(content)
    _say(f"wrote {', '.join(str(args.output / name) for name in FILES)}")
    return 0


def measure(args: argparse.Namespace, machine: Machine) -> dict[str, Any]:
    """Measure a network and the machine; return the record of `document`."""
    from gcpose_trt.benchmark.opening import physical_cores
    from gcpose_trt.benchmark.roofline import analysis, ceilings, profiling
    from gcpose_trt.benchmark.roofline.document import document
    from gcpose_trt.benchmark.roofline.graphs import find_files, optimise
    from gcpose_trt.benchmark.surroundings import command_line, commit
    from gcpose_trt.runtime import bundle
    from gcpose_trt.runtime.backends.onnxruntime_backend import OnnxRuntimeBackend
    from gcpose_trt.runtime.preprocess import fit
    from gcpose_trt.video.sampling import read_frames

    files = find_files(args.model, args.precision)
    threads = args.threads or physical_cores()
    before = machine.snapshot()
    backend = OnnxRuntimeBackend(bundle.find(args.model), threads, args.precision)
    with closing(backend), tempfile.TemporaryDirectory(prefix="gcpose-roofline-") as folder:
        frame = read_frames(None, 1)[0]
        box = fit((frame.shape[0], frame.shape[1]), _rule(backend.info, args.size))
        names = bundle.GRAPHS if args.people else bundle.GRAPHS[:1]
        _say("optimising the graphs")
        graphs = [optimise(name, getattr(files, name), Path(folder), threads) for name in names]
        integer = backend.precision == "int8"
        _say("measuring the machine, first half")
        visits = [ceilings.visit(threads, integer, machine.cache, machine.seconds)]
        _say(f"running the network {args.repeats} times with a profile and {args.repeats} times without")
        measured = profiling.measure(backend, graphs, frame, box, args.people, threads, args.repeats)
        _say("measuring the machine, second half")
        visits.append(ceilings.visit(threads, integer, machine.cache, machine.seconds))
        joined = ceilings.join(visits)
        found = analysis.analyse(graphs, measured, joined)
    after = machine.snapshot()
    return document(
        found,
        joined,
        model={
            "name": backend.info.model,
            "label": str(args.model).rstrip("/").rsplit("/", 1)[-1],
            "weights_sha256": backend.info.weights_sha256,
            "precision": backend.precision,
        },
        settings={
            "input": list(box.canvas),
            "content": list(box.content),
            "people": args.people,
            "threads": threads,
            "repeats": args.repeats,
        },
        surroundings={
            "command": command_line(sys.argv[1:]),
            "commit": commit(),
            "environment": machine.facts(),
            "before": before,
            "after": after,
        },
        instructions=machine.instructions,
        remarks=_remarks(before, after),
    )


def _rule(info: ModelInfo, size: str | None) -> SizeRule:
    from gcpose_trt.runtime.preprocess import parse_size

    wanted = parse_size(size, info.divisor)
    if wanted is None or (info.size is not None and wanted.exact == info.size):
        return info.size_rule
    if info.size is not None:
        fixed = f"{info.size[0]}x{info.size[1]}"
        raise GcposeError(f"this model takes inputs of {fixed} only, not {size}; leave --size out, or export another")
    return wanted


def _remarks(before: dict[str, Any], after: dict[str, Any]) -> list[str]:
    from gcpose_trt.benchmark.environment import changes

    return changes(before, after)


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)
