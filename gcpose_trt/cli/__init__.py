"""The command `gcpose-trt`: one thin file a subcommand, each with `add_arguments(parser)` and `run(args) -> int`."""

from __future__ import annotations

import argparse
import importlib
import os
import re
import sys
import traceback
from collections.abc import Sequence
from typing import NoReturn

from gcpose_trt import __version__
from gcpose_trt.errors import GcposeError

COMMANDS = {
    "demo": "find the people in a clip, an image or a folder and draw their skeletons",
    "batch": "find the people of many videos and pictures, into Parquet; on this machine or a Ray cluster",
    "eval": "measure COCO keypoint and box AP of a model",
    "export": "trace a PyTorch model into ONNX",
    "train": "train a model on COCO-format data",
    "import-checkpoint": "turn a checkpoint from elsewhere into one of ours",
    "plugins": "build the TensorRT plugin library",
    "calibrate": "collect the ranges that INT8 needs",
    "quantize": "turn a model into one for the CPU in INT8",
    "build-engine": "turn a model into TensorRT engines",
    "export-triton": "make a model repository for NVIDIA Triton Inference Server",
    "inspect": "show what an engine holds",
    "compare": "compare two backends or precisions stage by stage",
    "benchmark": "measure speed, accuracy, memory and power on this machine, beside peers",
    "benchmark compare": "show what changed between two reports",
    "benchmark report": "write a report's pages again",
    "benchmark roofline": "show each layer's time beside what this machine could do",
    "doctor": "check this machine: driver, GPU, TensorRT, plugins, OpenCV, ONNX Runtime",
}


class Parser(argparse.ArgumentParser):
    """An argument parser whose errors are one line, like every other error of the command."""

    def error(self, message: str) -> NoReturn:
        """Exit with code 2; argparse's own version prints the usage first."""
        sys.exit(_fail(f"{message}; see {self.prog} --help", 2))


def build_parser(command: str | None = None) -> Parser:
    """Return the parser with every subcommand.

    Args:
        command: the subcommand that will run. Only its module is imported and only its options are added, so that
            `gcpose-trt --help` pays for none of them.
    """
    debug = Parser(add_help=False)
    debug.add_argument(
        "--debug",
        action="store_true",
        default=argparse.SUPPRESS,
        help="show the traceback of an error (also with GCPOSE_DEBUG=1)",
    )
    parser = Parser(prog="gcpose-trt", description="One-stage human pose estimation on the edge.", parents=[debug])
    parser.add_argument("--version", action="version", version=f"gcpose-trt {__version__}")
    subparsers = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    for name, summary in COMMANDS.items():
        subparser = subparsers.add_parser(name, help=summary, description=summary, parents=[debug])
        if name == command:
            module = importlib.import_module(f"gcpose_trt.cli.{re.sub('[- ]', '_', name)}")
            subparser.description = (module.__doc__ or summary).strip()
            module.add_arguments(subparser)
            subparser.set_defaults(run=module.run)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code.

    Returns:
        0 done, 1 a fault of the program or a reader that went away, 2 bad usage or input, 130 interrupted.
    """
    arguments = list(sys.argv[1:] if argv is None else argv)
    debug = "--debug" in arguments or os.environ.get("GCPOSE_DEBUG", "") not in ("", "0")
    try:
        return _run(arguments)
    except KeyboardInterrupt:
        return _fail("interrupted; what was written so far is complete and readable", 130, debug)
    except BrokenPipeError:
        # The reader of a pipe went away (| head); keep Python from failing again when it flushes stdout at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except GcposeError as error:
        return _fail(str(error), 2, debug)
    except ImportError as error:
        return _fail(_import_advice(error), 2, debug)
    except MemoryError:
        return _fail("out of memory; choose a smaller --size or fewer people", 2, debug)
    except OSError as error:
        return _fail(f"{error}; check the path, its permissions and the free space", 2, debug)
    except Exception as error:
        return _fail(
            f"unexpected {type(error).__name__}: {error}; run again with --debug and report what it prints", 1, debug
        )


def _run(arguments: list[str]) -> int:
    # The options before the subcommand take no value, so the first word without a dash is the subcommand.
    place = next((place for place, word in enumerate(arguments) if not word.startswith("-")), len(arguments))
    pair = " ".join(arguments[place : place + 2])
    if pair in COMMANDS:  # argparse takes a subcommand of two words as one
        arguments = [*arguments[:place], pair, *arguments[place + 2 :]]
    command = arguments[place] if place < len(arguments) else None
    args = build_parser(command).parse_args(arguments)
    code = int(args.run(args))
    # A pipe that broke shows here, where it is caught, and not when Python closes stdout.
    sys.stdout.flush()
    return code


def _import_advice(error: ImportError) -> str:
    if error.name == "cv2" or "libGL" in str(error):
        # opencv-python and opencv-python-headless both write the folder cv2, so the one installed last wins; only the
        # headless one loads without the display libraries, and removing either of them breaks the other.
        return (
            f"OpenCV cannot be loaded ({error}); pip uninstall -y opencv-python opencv-contrib-python "
            "opencv-python-headless, then pip install opencv-python-headless"
        )
    return (
        f"cannot import {error.name or 'a package'} ({error}); install gcpose-trt again in a fresh virtual environment"
    )


def _fail(message: str, code: int, debug: bool = False) -> int:
    """Print `message` as one line on stderr, below the traceback if that is wanted, and return `code`."""
    if debug:
        traceback.print_exc()
    print(f"gcpose-trt: error: {' '.join(message.splitlines())}", file=sys.stderr)
    return code
