"""Show what changed between two reports of gcpose-trt benchmark, and whether it is more than chance.

Exit code 0: nothing is worse; 3: something is worse by more than the threshold, and it is no accident; 2: bad input, or
reports that cannot be compared.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from gcpose_trt.benchmark.comparison.defaults import AP_THRESHOLD, METRICS, THRESHOLD
from gcpose_trt.errors import GcposeError
from gcpose_trt.files import atomic_write, check_writable

WORSE = 3


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of `gcpose-trt benchmark compare`."""
    parser.add_argument("a", metavar="A", help="the earlier report: report.json, or the folder that it is in")
    parser.add_argument("b", metavar="B", help="the later report")
    parser.add_argument(
        "--threshold",
        type=_share,
        default=THRESHOLD,
        metavar="X",
        help="share by which a number may become worse: 0.05 or 5%% (default: %(default)s)",
    )
    parser.add_argument(
        "--ap-threshold",
        type=_share,
        default=AP_THRESHOLD,
        metavar="X",
        help="by how much average precision, 0..1, may fall (default: %(default)s)",
    )
    parser.add_argument(
        "--metrics",
        type=_metrics,
        default=METRICS,
        metavar="LIST",
        help=f"what is compared, with commas between: {','.join(METRICS)} (default: all)",
    )
    parser.add_argument(
        "--match",
        action="append",
        default=[],
        metavar="HOW",
        help="'LABEL OF A=LABEL OF B' compares these two; 'free' pairs up whoever is left over by the model, whatever "
        "backend, precision or size; may be given several times",
    )
    parser.add_argument(
        "--across-machines", action="store_true", help="compare times of different machines too, with a warning"
    )
    parser.add_argument("--all", action="store_true", help="list what stayed the same, too")
    parser.add_argument("--json", type=Path, metavar="PATH", help="write all numbers here")
    parser.add_argument("--markdown", type=Path, metavar="PATH", help="write the tables here")


def run(args: argparse.Namespace) -> int:
    """Compare two reports, print the table and write what was asked for.

    Args:
        args: as `add_arguments` describes them.

    Returns:
        0: nothing is worse; 3: something is.

    Raises:
        GcposeError: a report cannot be read, or the two cannot be compared.
    """
    from gcpose_trt.benchmark.comparison.comparing import compare_reports
    from gcpose_trt.benchmark.comparison.text import format_comparison, format_markdown, to_dict
    from gcpose_trt.benchmark.reading import read_report

    for path in (args.json, args.markdown):
        if path is not None:
            check_writable(path)
    if args.json is not None and args.json == args.markdown:
        raise GcposeError(f"--json and --markdown both name {args.json}; give each a file of its own")
    comparison = compare_reports(
        read_report(args.a),
        read_report(args.b),
        threshold=args.threshold,
        ap_threshold=args.ap_threshold,
        metrics=args.metrics,
        match=args.match,
        across_machines=args.across_machines,
    )
    print(format_comparison(comparison, args.a, args.b, args.all))
    if args.json is not None:
        with atomic_write(args.json, "w") as stream:
            json.dump(to_dict(comparison), stream, indent=1, allow_nan=False)
            stream.write("\n")
    if args.markdown is not None:
        with atomic_write(args.markdown, "w") as stream:
            stream.write(format_markdown(comparison, args.a, args.b, args.all))
    return WORSE if comparison.regressed else 0


def _share(text: str) -> float:
    try:
        value = float(text[:-1]) / 100 if text.endswith("%") else float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value < 1:  # also refuses nan
        raise argparse.ArgumentTypeError(f"{text!r} is not a share from 0 to 1, such as 0.05 or 5%")
    return value


def _metrics(text: str) -> tuple[str, ...]:
    names = tuple(word.strip() for word in text.split(",") if word.strip())
    unknown = [name for name in names if name not in METRICS]
    if unknown or not names:
        raise argparse.ArgumentTypeError(f"{(unknown or [text])[0]!r} is no metric, choose from {', '.join(METRICS)}")
    return names
