"""What every measurement needs: a record of where it was made, robust statistics, frames of a clip."""

from __future__ import annotations

import argparse
import datetime
import json
import os
import platform
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NoReturn

import av
import numpy as np
from numpy.typing import NDArray

from gcpose_trt import __version__
from gcpose_trt.benchmark.environment import processor
from gcpose_trt.benchmark.surroundings import commit
from gcpose_trt.doctor.probe import Probe
from gcpose_trt.errors import GcposeError
from gcpose_trt.evaluation.report import installed_versions
from gcpose_trt.files import atomic_write

REPOSITORY = Path(__file__).resolve().parent.parent
SAMPLE_CLIP = REPOSITORY / "gcpose_trt/assets/sample.mp4"


def parser(module_doc: str | None) -> argparse.ArgumentParser:
    """Return a parser with the options that all measurements share."""
    result = argparse.ArgumentParser(description=module_doc, formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    result.add_argument("--json", type=Path, metavar="OUT", help="write the result here")
    return result


def run(main: Callable[[], int]) -> NoReturn:
    """Run a measurement as a program; bad input is one line and exit code 1."""
    try:
        sys.exit(main())
    except GcposeError as error:
        sys.exit(f"error: {error}")


def statistics(milliseconds: Sequence[float] | NDArray[np.float64]) -> dict[str, float]:
    """Return the median, the 90th percentile and the spread of repeated timings, in milliseconds.

    The spread is the distance between the quartiles: a neighbour's burst of work does not move it as it moves a
    standard deviation.
    """
    values = np.asarray(milliseconds, np.float64)
    low, median, high, p90 = np.percentile(values, [25, 50, 75, 90])
    names = ("median", "p90", "spread", "min", "max")
    return {
        name: round(float(x), 3)
        for name, x in zip(names, (median, p90, high - low, values.min(), values.max()), strict=True)
    }


def record(measured: dict[str, Any]) -> dict[str, Any]:
    """Return `measured` with the date, command line, commit, machine and versions."""
    return {
        "date": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
        "command": command_line(),
        "commit": commit(),
        "machine": {
            "cpu": processor.model(Probe()) or platform.machine(),
            "cores": os.cpu_count(),
            "load_before": round(os.getloadavg()[0], 2),
        },
        "versions": {"gcpose-trt": __version__, "python": platform.python_version(), **installed_versions()},
        **measured,
    }


def write(path: Path | None, document: dict[str, Any]) -> None:
    """Write a record as JSON, if a path was given."""
    if path is not None:
        with atomic_write(path, "w") as stream:
            json.dump(document, stream, indent=1)
            stream.write("\n")


def markdown(head: Sequence[str], rows: Sequence[Sequence[str]], words: int = 1) -> list[str]:
    """Return a table's lines in Markdown; the first `words` columns are on the left, numbers on the right."""
    lines = [" | ".join(head), " | ".join([":---"] * words + ["---:"] * (len(head) - words)), *map(" | ".join, rows)]
    return [f"| {line} |" for line in lines]


def command_line() -> str:
    """Return the command as it could be given again, with folders of this machine left out."""
    script = Path(sys.argv[0])
    module = f"benchmarks.{script.parent.name if script.stem == '__main__' else script.stem}"
    arguments = [Path(word).name if Path(word).is_absolute() else word for word in sys.argv[1:]]
    return " ".join(["python -m", module, *arguments])


def read_frames(clip: Path, count: int) -> list[NDArray[np.uint8]]:
    """Return `count` frames (H, W, 3) uint8 BGR spread evenly over a clip.

    Raises:
        GcposeError: the clip cannot be read or has no frames.
    """
    try:
        with av.open(str(clip)) as container:
            frames = [frame.to_ndarray(format="bgr24") for frame in container.decode(video=0)]
    except (OSError, av.error.FFmpegError) as error:
        raise GcposeError(f"cannot read {clip} ({error}); give a video with --clip") from error
    if not frames:
        raise GcposeError(f"{clip} has no frames; give a video with --clip")
    chosen = np.linspace(0, len(frames) - 1, count).round().astype(int)
    return [frames[index] for index in chosen]
