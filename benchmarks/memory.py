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

COMMAND = [sys.executable, "-m", "gcpose_trt"]
MEBIBYTE = 1 << 20


def run_command(arguments: Sequence[str]) -> tuple[float, float]:
    """Run `gcpose-trt` with `arguments` in a process of its own.

    Returns:
        Its peak resident memory in MiB, children included, and the wall time in milliseconds.

    Raises:
        GcposeError: it exits with another code than 0.
    """
    start = time.perf_counter()
    with tempfile.TemporaryFile() as errors:
        process = subprocess.Popen([*COMMAND, *arguments], stdout=subprocess.DEVNULL, stderr=errors)
        _, status, usage = os.wait4(process.pid, 0)
        milliseconds = 1e3 * (time.perf_counter() - start)
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            errors.seek(0)
            raise GcposeError(f"gcpose-trt {' '.join(arguments)} failed: {errors.read().decode()[-300:]}")
    # Linux counts in KiB, macOS in bytes.
    return usage.ru_maxrss * (1 if sys.platform == "darwin" else 1024) / MEBIBYTE, milliseconds


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
