"""Write report.md, report.html and the sample frames again from the report.json of an earlier gcpose-trt benchmark.

Nothing is measured. Sample frames need the clip: the one that comes with the package is found, others are given with
--clip; without it skeletons are drawn without the frame.

Exit code 0: written; 2: bad input, or matplotlib is missing (report.md is written all the same).
"""

from __future__ import annotations

import argparse
from pathlib import Path


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of `gcpose-trt benchmark report`."""
    parser.add_argument("report", type=Path, metavar="FOLDER", help="folder with report.json, or a report.json")
    parser.add_argument("--output", type=Path, metavar="DIR", help="where to write (default: beside the report)")
    parser.add_argument(
        "--clip", type=Path, metavar="PATH", help="what was measured, for the sample frames (default: the sample clip)"
    )


def run(args: argparse.Namespace) -> int:
    """Write the files and print their paths."""
    from gcpose_trt.benchmark.reading import read_report
    from gcpose_trt.benchmark.reporting import render

    report = read_report(args.report)
    folder = args.output or (args.report if args.report.is_dir() else args.report.parent)
    for path in render(report, folder, args.clip):
        # One line a file that people open; the pictures lie beside them.
        if path.suffix != ".jpg":
            print(path)
    return 0
