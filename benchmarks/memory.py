"""Peak memory of the demo, and how long `gcpose-trt --help` takes to start."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from benchmarks.common import parser, record, run, statistics, write
from gcpose_trt.errors import GcposeError

# The process itself reads its high-water mark at its end. What wait4 tells of a child starts from the memory of the
# parent that it was forked from.
PROGRAM = """
import os, sys
from gcpose_trt.cli import main
try:
    code = main()
except SystemExit as end:
    code = end.code
lines = open("/proc/self/status").read().splitlines()
peak = next(line for line in lines if line.startswith("VmHWM:"))
os.write(int(os.environ["PEAK_TO"]), peak.encode())
sys.exit(code)
"""


def run_command(arguments: Sequence[str]) -> tuple[float, float]:
    """Run `gcpose-trt` with `arguments` in a process of its own; Linux only.

    Returns:
        Its peak resident memory in MiB and the wall time in milliseconds.

    Raises:
        GcposeError: it exits with another code than 0.
    """
    reader, writer = os.pipe()
    try:
        start = time.perf_counter()
        done = subprocess.run(
            [sys.executable, "-c", PROGRAM, *arguments],
            capture_output=True,
            text=True,
            check=False,
            pass_fds=[writer],
            env=os.environ | {"PEAK_TO": str(writer)},
        )
        milliseconds = 1e3 * (time.perf_counter() - start)
        if done.returncode:
            raise GcposeError(f"gcpose-trt {' '.join(arguments)} failed: {done.stderr[-300:]}")
        kibibytes = int(os.read(reader, 100).split()[1])
    finally:
        os.close(reader)
        os.close(writer)
    return kibibytes / 1024, milliseconds


def main(argv: Sequence[str] | None = None) -> int:
    """Measure and print."""
    options = parser(__doc__)
    options.add_argument("--source", help="what the demo runs on; the sample clip if not given")
    options.add_argument("--runs", type=int, default=15, help="how often to start --help")
    args = options.parse_args(argv)

    with tempfile.TemporaryDirectory() as folder:
        arguments = ["demo", "--output", str(Path(folder) / "demo.mp4"), "--jsonl", str(Path(folder) / "demo.jsonl")]
        if args.source:
            arguments += ["--source", args.source]
        mebibytes, milliseconds = run_command(arguments)
    helps = [run_command(["--help"]) for _ in range(args.runs)]
    starts = statistics([wall for _, wall in helps])
    print(f"demo: peak {mebibytes:.0f} MiB, {milliseconds / 1e3:.1f} s")
    print(
        f"--help: median {starts['median']:.0f} ms, p90 {starts['p90']:.0f} ms, peak {max(m for m, _ in helps):.0f} MiB"
    )
    write(
        args.json,
        record(
            {
                "demo": {"peak_mebibytes": round(mebibytes, 1), "seconds": round(milliseconds / 1e3, 2)},
                "help": {"milliseconds": starts, "peak_mebibytes": round(max(m for m, _ in helps), 1)},
            }
        ),
    )
    return 0


if __name__ == "__main__":
    run(main)
