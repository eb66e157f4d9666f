"""Types of options that several subcommands have; each raises one line that names the range."""

from __future__ import annotations

import argparse


def positive_int(text: str) -> int:
    """Parse a whole number of at least 1."""
    try:
        value = int(text)
    except ValueError:
        value = 0
    if value < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number of at least 1")
    return value


def score(text: str) -> float:
    """Parse a score from 0 to 1."""
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value <= 1:  # also refuses nan
        raise argparse.ArgumentTypeError(f"{text!r} is not a number from 0 to 1")
    return value


def positive_number(text: str) -> float:
    """Parse a number above 0."""
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value < float("inf"):  # also refuses nan
        raise argparse.ArgumentTypeError(f"{text!r} is not a number above 0")
    return value


def frame_size(text: str) -> tuple[int, int]:
    """Parse (width, height) in pixels, such as 640x480."""
    from gcpose_trt.video.capture.uri import parse_size

    try:
        return parse_size(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not a width and a height such as 640x480") from None


def add_model(group: argparse._ArgumentGroup) -> None:
    """Add --model, --backend and --size, which say what `PoseEstimator` is to run."""
    group.add_argument(
        "--model", default="mobile", metavar="M", help="shipped name, folder of .onnx files or engines, .pth checkpoint"
    )
    backends = ("auto", "onnxruntime", "torch", "tensorrt")
    group.add_argument("--backend", default="auto", choices=backends, help="default: by the kind of model")
    size = "long side, or exact input such as 384x640 (default: the model's own)"
    group.add_argument("--size", metavar="N|HxW", help=size)
