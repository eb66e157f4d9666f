"""Arithmetic of a batch on many GPUs: which part of the pipeline is the slowest, and from how many GPUs on.

Every part is taken to be busy all of the time, and none to wait for another: the rate of the pipeline is that of its
slowest part. Real ones are slower. The rates of single parts are inputs.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

BYTES_A_GIGABIT = 1e9 / 8


@dataclass(frozen=True)
class Assumptions:
    """What the arithmetic starts from.

    Attributes:
        network_fps: frames a second of one GPU.
        decode_fps: frames a second that one core decodes and, where that is the decoder's work, resizes.
        merge_fps: frames a second that one core merges: tracking and Parquet.
        gpus_a_node: GPUs of a machine.
        cores_a_node: CPU cores of a machine; each network takes one, the others decode and merge.
        nic_gbps: gigabits a second, each way, between machines.
        frame_bytes: of a frame on its way from a decoder to a network: whole to TensorRT, resized to the others.
        file_bytes: of a frame in its video, read from shared storage.
        result_bytes: of a frame's poses on their way to the machine that the batch was started on.
        segment_frames: frames of a segment.
        driver_segment_s: seconds of that machine's process a segment: packing, gathering, writing.
        driver_block_s: seconds of the same for the scheduling of a block of decoded frames.
        block_bytes: of a block.
        local: share of the blocks that a network of the machine that decoded them takes: 1 / machines if they are
            taken at random, which is the worst that a scheduler does; None for that.
    """

    network_fps: float
    decode_fps: float
    merge_fps: float
    gpus_a_node: int
    cores_a_node: int
    nic_gbps: float
    frame_bytes: float
    file_bytes: float
    result_bytes: float
    segment_frames: float
    driver_segment_s: float
    driver_block_s: float
    block_bytes: float
    local: float | None = None


def limits(a: Assumptions, gpus: int) -> dict[str, float]:
    """Return the frames a second that each part can do with that many GPUs; infinite where it limits nothing."""
    nodes = math.ceil(gpus / a.gpus_a_node)
    cores = max(0, nodes * a.cores_a_node - gpus)
    local = 1 / nodes if a.local is None else a.local
    # Each machine receives what its networks need and sends what it decodes for others, at the same time.
    per_frame = (1 - local) * a.frame_bytes + a.file_bytes
    nic = a.nic_gbps * BYTES_A_GIGABIT
    driver = a.driver_segment_s / a.segment_frames + a.driver_block_s * a.frame_bytes / a.block_bytes
    # Decoding and merging share the cores in the proportion in which they need them; the one that takes most is named.
    shared = cores / (1 / a.decode_fps + 1 / a.merge_fps)
    decodes_most = a.decode_fps <= a.merge_fps
    return {
        "network": gpus * a.network_fps,
        "decoding": shared if decodes_most else math.inf,
        "merging": math.inf if decodes_most else shared,
        "traffic": nodes * nic / per_frame if per_frame else math.inf,
        "results": nic / a.result_bytes if a.result_bytes and nodes > 1 else math.inf,
        "driver": 1 / driver if driver else math.inf,
    }


def slowest(a: Assumptions, gpus: int) -> tuple[str, float]:
    """Return the part that binds, and the frames a second of the whole."""
    found = limits(a, gpus)
    name = min(found, key=lambda part: found[part])
    return name, found[name]


def knee(a: Assumptions, most: int = 64) -> int:
    """Return up to how many GPUs each further one adds its whole rate; 0 if not even the first does."""
    for gpus in range(1, most + 1):
        if slowest(a, gpus)[0] != "network":
            return gpus - 1
    return most


def table(a: Assumptions, network_fps: Sequence[float], nics: Sequence[float], counts: Sequence[int]) -> list[Any]:
    """Return a row for each speed of network and of links: what binds at each number of GPUs, and the knee."""
    rows = []
    for fps in network_fps:
        for nic in nics:
            case = replace(a, network_fps=fps, nic_gbps=nic)
            points = [(gpus, *slowest(case, gpus)) for gpus in counts]
            rows.append(
                {
                    "network_fps": fps,
                    "nic_gbps": nic,
                    "knee": knee(case, max(counts)),
                    "points": [
                        {"gpus": gpus, "fps": round(rate, 1), "binds": name, "efficiency": round(rate / gpus / fps, 3)}
                        for gpus, name, rate in points
                    ],
                }
            )
    return rows


def printed(rows: Sequence[dict[str, Any]]) -> str:
    """Return the table as text, a line a case."""
    counts = [point["gpus"] for point in rows[0]["points"]]
    head = f"{'frames/s':>8} {'Gb/s':>5} {'knee':>4}  " + " ".join(f"{f'{count} GPUs':>16}" for count in counts)
    lines = [head]
    for row in rows:
        cells = " ".join(f"{point['fps']:>7.0f} {point['binds']:<8}" for point in row["points"])
        lines.append(f"{row['network_fps']:>8.0f} {row['nic_gbps']:>5.0f} {row['knee']:>4}  {cells}")
    return "\n".join(lines)
