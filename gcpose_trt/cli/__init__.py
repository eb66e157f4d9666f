"""The command `gcpose-trt`: one thin file a subcommand, each with `add_arguments(parser)` and `run(args) -> int`."""

from __future__ import annotations

import argparse
import importlib
import os
import sys
from collections.abc import Sequence

from gcpose_trt import __version__
from gcpose_trt.errors import GcposeError

COMMANDS = {
    "demo": "find the people in a clip, an image or a folder and draw their skeletons",
    "eval": "measure COCO keypoint and box AP of a model",
    "export": "trace a PyTorch model into ONNX",
    "train": "train a model on COCO-format data",
    "import-checkpoint": "turn a checkpoint from elsewhere into one of ours",
}


def build_parser() -> argparse.ArgumentParser:
    """Return the parser with every subcommand; the modules behind them import nothing heavy at the top."""
    parser = argparse.ArgumentParser(prog="gcpose-trt", description="One-stage human pose estimation on the edge.")
    parser.add_argument("--version", action="version", version=f"gcpose-trt {__version__}")
    subparsers = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    for name, summary in COMMANDS.items():
        module = importlib.import_module(f"gcpose_trt.cli.{name.replace('-', '_')}")
        subparser = subparsers.add_parser(name, help=summary, description=(module.__doc__ or summary).strip())
        module.add_arguments(subparser)
        subparser.set_defaults(run=module.run)
    return parser


def _fail(message: str, code: int) -> int:
    print(f"gcpose-trt: error: {message}", file=sys.stderr)
    return code


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code: 0 done, 2 bad usage or input, 130 interrupted."""
    args = build_parser().parse_args(argv)
    try:
        return int(args.run(args))
    except GcposeError as error:
        return _fail(str(error), 2)
    except KeyboardInterrupt:
        return _fail("interrupted; what was written so far is complete and readable", 130)
    except MemoryError:
        return _fail("out of memory; choose a smaller --size or fewer people", 2)
    except BrokenPipeError:
        # The reader of a pipe went away (| head); keep Python from failing again when it flushes stdout at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
