"""Train a model on COCO-format data."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from gcpose_trt.errors import GcposeError, MissingDependencyError

if TYPE_CHECKING:
    from gcpose_trt.training.trainer import Outcome


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of `gcpose-trt train`."""
    parser.add_argument("--config", required=True, help="name of a shipped recipe (mobile, r50_3x, ...) or a YAML file")
    parser.add_argument(
        "--data", nargs="+", type=Path, required=True, metavar="DIR", help="folders that the recipe's paths start from"
    )
    parser.add_argument("--output", type=Path, required=True, metavar="DIR", help="folder of the run")
    parser.add_argument("--init", type=Path, metavar="PATH", help="weights to start from")
    parser.add_argument(
        "--resume", action="store_true", help="go on where the run in --output was stopped, or export a finished one"
    )
    parser.add_argument("--iterations", type=int, metavar="N", help="length of the run; the schedule is scaled to it")
    parser.add_argument("--minutes", type=float, metavar="M", help="length of the run by the clock instead")
    parser.add_argument("--device", default="auto", help="auto (default), cpu, cuda or cuda:N")
    parser.add_argument("--threads", type=int, metavar="N", help="CPU threads")
    parser.add_argument("--seed", type=int, metavar="N", help="replaces the recipe's seed")
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        dest="overrides",
        help="change a setting of the recipe",
    )


def _check(args: argparse.Namespace) -> None:
    for name, low in (("iterations", 1), ("threads", 1), ("seed", 0)):
        value = getattr(args, name)
        if value is not None and value < low:
            raise GcposeError(f"--{name} is {value}; give at least {low}")
    if args.minutes is not None and not 0 < args.minutes < 1e7:
        raise GcposeError(f"--minutes is {args.minutes}; give a number above 0")
    if args.minutes is not None and args.iterations is not None:
        raise GcposeError("--minutes and --iterations both end the run; give one of them")
    for folder in args.data:
        if not folder.is_dir():
            raise GcposeError(f"there is no data folder {folder}; give folders that exist with --data")
    if args.init is not None and not args.init.is_file():
        raise GcposeError(f"there are no weights {args.init}; give a file that exists with --init")


def run(args: argparse.Namespace) -> int:
    """Train; return 0 at the end of the run, 130 when interrupted."""
    _check(args)
    # Both are read when torch loads. Threads that wait by spinning make training several times slower as soon as the
    # cores are shared, with the data workers for one.
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")
    if args.threads is not None:
        os.environ["OMP_NUM_THREADS"] = str(args.threads)
    try:
        import torch
    except ImportError as error:
        raise MissingDependencyError("torch", "train", "training") from error

    from dataclasses import replace

    from gcpose_trt.training.config_loading import load_config
    from gcpose_trt.training.distributed import join_processes, leave_processes
    from gcpose_trt.training.shipping import export_run, finished_run, require_packages
    from gcpose_trt.training.trainer import Trainer, rescale_schedule

    if args.threads is not None:
        torch.set_num_threads(args.threads)
    overrides = list(args.overrides)
    if args.seed is not None:
        overrides.append(f"seed={args.seed}")
    config = load_config(args.config, overrides)
    if args.iterations is not None:
        config = replace(config, schedule=rescale_schedule(config.schedule, args.iterations))
    processes = join_processes(args.device)
    try:
        if config.export and processes.is_main:
            require_packages()
        outcome = finished_run(args.output, config, args.minutes) if args.resume and config.export else None
        if outcome is None:
            trainer = Trainer(
                config,
                args.data,
                args.output,
                init=args.init,
                resume=args.resume,
                minutes=args.minutes,
                processes=processes,
            )
            outcome = trainer.run()
    finally:
        leave_processes()
    if processes.is_main:
        _say(_ending(outcome))
        # After the others were let go: they would wait for minutes.
        if config.export and outcome.finished:
            export_run(outcome.path, _say)
    return 0 if outcome.finished else 130


def _ending(outcome: Outcome) -> str:
    if outcome.finished:
        return f"{outcome.iteration} iterations done; the model is {outcome.path}"
    return (
        f"gcpose-trt: stopped after {outcome.iteration} iterations and saved {outcome.path}; "
        "the same command with --resume goes on"
    )


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)
