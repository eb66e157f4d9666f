"""Timing on a GPU: what the GPU itself takes, from a cold cache, with contestants taking turns."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from typing import Any

import torch

from benchmarks.common import statistics
from benchmarks.gpu.counts import Peaks

FLUSH_BYTES = 512 * 2**20  # more than any level-2 cache holds
WARM_UP = 10


def as_graph(launch: Callable[[], object]) -> Callable[[], None]:
    """Return the replay of `launch` recorded once, which costs the host the same for one kernel as for thirty."""
    side = torch.cuda.Stream()
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side):
        for _ in range(3):
            launch()
    torch.cuda.current_stream().wait_stream(side)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        launch()
    return graph.replay


def interleaved(contestants: dict[str, Callable[[], object]], repeats: int) -> dict[str, dict[str, float]]:
    """Time each of `contestants` `repeats` times, in turns; returns their `statistics` in microseconds.

    Before each run a large block of memory is overwritten, which empties the caches. That also keeps the GPU busy while
    the host goes on to launch, so that the host's part is not in the time between the two events of a graph's run.
    """
    flush = torch.empty(FLUSH_BYTES, dtype=torch.uint8, device="cuda")
    events: dict[str, list[tuple[torch.cuda.Event, torch.cuda.Event]]] = {name: [] for name in contestants}
    for repeat in range(WARM_UP + repeats):
        for name, launch in contestants.items():
            begin, end = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
            flush.zero_()
            begin.record()
            launch()
            end.record()
            if repeat >= WARM_UP:
                events[name].append((begin, end))
    torch.cuda.synchronize()
    return {name: statistics([begin.elapsed_time(end) * 1e3 for begin, end in pairs]) for name, pairs in events.items()}


def measure_peaks(dtype: torch.dtype, repeats: int = 20) -> Peaks:
    """Return what this GPU reaches: a copy of a gigabyte, and products of 8192 x 8192 matrices."""
    source = torch.empty(2**30, dtype=torch.uint8, device="cuda")
    target = torch.empty_like(source)
    side = 8192
    contestants: dict[str, Callable[[], object]] = {"copy": lambda: target.copy_(source)}
    for kind in {dtype, torch.float32}:
        a, b = (torch.randn(side, side, device="cuda", dtype=kind) for _ in range(2))
        out = torch.empty_like(a)
        contestants[str(kind)] = lambda a=a, b=b, out=out: torch.mm(a, b, out=out)
    times = interleaved(contestants, repeats)
    products = {name: 2 * side**3 / (found["median"] * 1e-6) for name, found in times.items() if name != "copy"}
    return Peaks(
        bytes=2 * 2**30 / (times["copy"]["median"] * 1e-6),
        matrix_operations=products[str(dtype)],
        operations=products[str(torch.float32)],
    )


def gpu_record() -> dict[str, Any]:
    """Return the GPU, its driver, and the versions of CUDA."""
    properties = torch.cuda.get_device_properties(0)
    return {
        "name": properties.name,
        "compute_capability": f"{properties.major}.{properties.minor}",
        "multiprocessors": properties.multi_processor_count,
        "memory_gib": round(properties.total_memory / 2**30, 1),
        "driver": _query("driver_version"),
        "clocks": _query("clocks.sm,clocks.mem,temperature.gpu,power.draw,clocks_throttle_reasons.active"),
        "cuda_of_torch": torch.version.cuda,
    }


def _query(fields: str) -> str | None:
    """Return what nvidia-smi says of the first GPU; None on Jetson, which has none of it."""
    command = ["nvidia-smi", f"--query-gpu={fields}", "--format=csv,noheader", "--id=0"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return None
    return done.stdout.strip()
