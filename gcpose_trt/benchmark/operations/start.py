"""The first frames of a process that has just been started, and the memory that it took so far."""

from __future__ import annotations

import contextlib
import time
from typing import Any

from gcpose_trt.benchmark.contender import Contender
from gcpose_trt.benchmark.memory import GpuMemory, host_peak
from gcpose_trt.benchmark.operations.frames import Decoder

ON_CPU = "it runs on the CPU"


def run(contender: Contender, request: dict[str, Any]) -> dict[str, Any]:
    """Run some frames, one after the other, in a process that has run none.

    Args:
        contender: as it was opened.
        request: "clip", "indices" (numbers of the frames; the first is the process's first, at least one more follows).

    Returns:
        "first_frame" (milliseconds from frame to poses), "steady" (those of each further frame), "host_peak_bytes"
        (None where the system does not tell), and "gpu_peak_bytes", what GPUs hold for it after the last frame, the
        most that it needed, because libraries keep what they have; or None, and why in "gpu_reason".
    """
    times: list[float] = []
    gpu = GpuMemory(None, ON_CPU)
    with contextlib.closing(Decoder(request["clip"])) as decoder:
        for index in request["indices"]:
            frame, _ = decoder.read(index)
            start = time.perf_counter()
            contender.run(frame)
            times.append(1e3 * (time.perf_counter() - start))
    peak = host_peak()  # before a further library is loaded
    if not contender.info.device.startswith("cpu"):
        gpu = GpuMemory.connected()
        gpu.look()
        gpu.close()
    return {
        "first_frame": times[0],
        "steady": times[1:],
        "host_peak_bytes": peak,
        "gpu_peak_bytes": gpu.peak,
        "gpu_reason": gpu.reason or None,
    }
