"""Times the CUDA kernels against PyTorch's own operations and against the time that their bytes and operations need.

Needs a GPU, PyTorch with CUDA, and the library of `gcpose-trt plugins build`. Without a GPU it ends with one line and
exit code 2; `--counts` only prints bytes and operations and needs none.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import torch

from benchmarks.common import parser, record, write
from benchmarks.gpu import cases, counts, timing
from gcpose_trt.errors import GcposeError
from gcpose_trt.model.ops import native
from gcpose_trt.plugins import library
from gcpose_trt.plugins.kernels import Kernels


def measure(case: cases.Case, kernels: Kernels, peaks: counts.Peaks, repeats: int) -> dict[str, Any]:
    """Return times in microseconds, the floor, and how far apart they are."""
    ours, theirs = case.prepare(kernels)
    contestants = {"kernel": timing.as_graph(ours), "pytorch": timing.as_graph(theirs) if case.captures else theirs}
    times = timing.interleaved(contestants, repeats)
    floors = counts.floors(case.work, peaks)
    median = times["kernel"]["median"]
    return {
        "kernel_us": times["kernel"],
        "pytorch_us": times["pytorch"],
        "pytorch_in_a_graph": case.captures,
        "floor_us": {name: round(value, 3) for name, value in floors.items()},
        "times_faster": round(times["pytorch"]["median"] / median, 2),
        "times_floor": round(median / floors["floor"], 2),
    }


def measure_all(path: Path, repeats: int) -> dict[str, Any]:
    """Return the results of all cases with the GPU and the library."""
    torch.backends.cuda.matmul.allow_tf32 = False
    native.use(None)  # PyTorch's own operations stay its own
    kernels = Kernels(path)
    before = timing.gpu_record()
    peaks = {dtype: timing.measure_peaks(dtype) for dtype in (torch.float16, torch.float32)}
    found = {}
    with torch.inference_mode():
        for case in cases.all_cases():
            found[case.name] = result = measure(case, kernels, peaks[case.dtype], repeats)
            print(
                f"{case.name:70} {result['kernel_us']['median']:9.1f} us (spread {result['kernel_us']['spread']:.1f}), "
                f"{result['times_floor']:5.1f} x floor, PyTorch {result['pytorch_us']['median']:9.1f} us, "
                f"{result['times_faster']:6.1f} x faster",
                flush=True,
            )
    return {
        "gpu": {**before, "clocks_after": timing.gpu_record()["clocks"]},
        "library": {"sha256": library.sha256(path), **kernels.build_info},
        "peaks_reached_per_second": {cases.NAMES[dtype]: vars(value) for dtype, value in peaks.items()},
        "repeats": repeats,
        "cases": found,
    }


def _run() -> None:
    options = parser(__doc__)
    options.add_argument("--library", type=Path, help="the built kernels (default: where they are built)")
    options.add_argument("--repeats", type=int, default=200, help="runs of each contestant")
    options.add_argument("--counts", action="store_true", help="only print bytes and operations")
    args = options.parse_args()
    if args.counts:
        print(json.dumps({case.name: vars(case.work) for case in cases.all_cases()}, indent=1))
        return
    if not torch.cuda.is_available():
        raise GcposeError("PyTorch finds no NVIDIA GPU; run this on a machine that has one, with PyTorch for CUDA")
    if args.repeats < 1:
        raise GcposeError(f"--repeats {args.repeats} is too few; give at least 1")
    command = f"python -m benchmarks.gpu.kernels --repeats {args.repeats}"
    found = measure_all(library.find(args.library), args.repeats)
    write(args.json, record({"command": command, **found}))


def main() -> int:
    """Measure, or count; bad input is one line and exit code 2."""
    try:
        _run()
    except GcposeError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
