"""How fast a batch is on this machine with 1 and 2 workers, local and on Ray, and what many GPUs would come to.

The rates of the parts are measured here, but for the network's: a GPU's frames a second are an assumption, given for a
few values.
"""

from __future__ import annotations

import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from benchmarks.batch import parts
from benchmarks.batch.cluster import cluster
from benchmarks.batch.scaling import Assumptions, printed, table
from benchmarks.batch.table import NIC_GBPS, RESIZED
from benchmarks.common import parser, record, run, write
from gcpose_trt.batch.local import LocalExecutor
from gcpose_trt.batch.ray_data import RayExecutor
from gcpose_trt.batch.ray_streaming import BLOCK_BYTES
from gcpose_trt.batch.recipe import host_rule, make_recipe
from gcpose_trt.batch.types import Executor, PlanJob, Recipe, SegmentJob, SegmentPoses, SourcePlan

NETWORK_FPS = (100.0, 300.0, 1000.0)
NICS = (10.0, NIC_GBPS, 100.0)
GPUS = (1, 2, 4, 8, 16, 32, 64)
SEGMENT_S = 30.0  # the product's default


def main() -> int:
    """Measure, calculate, print."""
    options = parser(__doc__)
    options.add_argument("--repeats", type=int, default=3, help="runs of each number of workers, interleaved")
    options.add_argument("--frames", type=int, default=25, help="frames of each of the four clips of a run")
    options.add_argument("--gpus-a-node", type=int, default=4, help="assumption: GPUs of a machine")
    options.add_argument("--cores-a-node", type=int, default=64, help="assumption: cores of a machine")
    args = options.parse_args()
    recipe = make_recipe("mobile", "onnxruntime", "int8", threads=1, batch=1, segment_s=1.0)
    with tempfile.TemporaryDirectory() as name, cluster() as address:
        folder = Path(name)
        throughput = _throughput(recipe, address, folder, args.frames, args.repeats)
        measured = _parts(recipe, address, folder, args.repeats)
    document = record(
        {
            "kind": "batch",
            "note": _note(),
            "recipe": {**asdict(recipe), "model": Path(recipe.model).name},
            "throughput": throughput,
            "parts": measured,
            "scaling": {
                "note": "arithmetic: measured parts, assumed networks, links and machines; nothing waits for another",
                "cases": {
                    clip: _case(clip, measured, args.gpus_a_node, args.cores_a_node) for clip in measured["decoding"]
                },
            },
        }
    )
    write(args.json, document)
    _print(document)
    return 0


def _note() -> str:
    return (
        "frames a second from the first plan to the last Parquet file: decoding, network, tracking, Parquet, and the "
        f"start of the workers; {os.cpu_count()} cores, which the operating system and, if the load says so, other "
        "work share; on Ray a decoder, a scheduler and three raylets share them too"
    )


def _throughput(recipe: Recipe, address: str, folder: Path, frames: int, repeats: int) -> dict[str, Any]:
    clips = [parts.make_clip(folder / f"{n}.mp4", parts.CLIPS["360p"], frames, skip=10 * n) for n in range(4)]
    kinds: dict[str, Callable[[], Executor]] = {
        "local, 1 worker": lambda: LocalExecutor(recipe, 1),
        "local, 2 workers": lambda: LocalExecutor(recipe, 2),
        "Ray, 1 worker": lambda: RayExecutor(recipe, address, 1),
        "Ray, 2 workers": lambda: RayExecutor(recipe, address, 2),
    }
    runs: dict[str, list[tuple[float, float]]] = {kind: [] for kind in kinds}
    for number in range(repeats):
        for kind, make in kinds.items():
            with make() as executor:
                runs[kind].append(_batch(executor, recipe, clips, folder / f"{kind} {number}"))
            print(f"{kind}: {runs[kind][-1][0]:.1f} frames/s", file=sys.stderr)
    return {
        kind: {
            "frames": len(clips) * frames,
            "fps": _spread([fps for fps, _ in values]),
            "seconds_to_the_first_segment": _spread([first for _, first in values]),
        }
        for kind, values in runs.items()
    }


def _spread(values: Sequence[float]) -> dict[str, float]:
    found = {"median": statistics.median(values), "min": min(values), "max": max(values)}
    return {name: round(value, 2) for name, value in found.items()}


def _batch(executor: Executor, recipe: Recipe, clips: Sequence[Path], folder: Path) -> tuple[float, float]:
    """Do a batch; return its frames a second, and the seconds until the first segment came."""
    start = time.perf_counter()
    plans: list[Any] = []
    for clip in clips:
        executor.submit(PlanJob(parts.spec_of(clip), recipe))
    while len(plans) < len(clips):
        plans += executor.collect(wait=True)
    missing: dict[str, tuple[SourcePlan, list[SegmentPoses]]] = {plan.spec.id: (plan, []) for plan in plans}
    jobs = [SegmentJob(plan, segment, recipe) for plan in plans for segment in plan.segments]
    first = 0.0
    for segment in executor.estimate(jobs):
        first = first or time.perf_counter() - start
        plan, come = missing[segment.source_id]
        come.append(segment)
        if len(come) == len(plan.segments):
            executor.submit(parts.finish(plan, recipe, come, folder))
    done: list[Any] = []
    while len(done) < len(clips):
        done += executor.collect(wait=True)
    return sum(outcome.frames for outcome in done) / (time.perf_counter() - start), first


def _parts(recipe: Recipe, address: str, folder: Path, repeats: int) -> dict[str, Any]:
    clips = {
        name: parts.make_clip(folder / f"{name}.mp4", size, 60 if name == "1080p" else 100)
        for name, size in parts.CLIPS.items()
    }
    eight = replace(recipe, batch=8)  # as on a GPU
    # TensorRT's networks get whole frames, those of ONNX Runtime and PyTorch what they would make of them.
    kinds = {"": None, RESIZED: host_rule(recipe)}
    return {
        "decoding": {
            f"{name}{kind}": parts.decoding(clip, eight, rule, repeats)
            for kind, rule in kinds.items()
            for name, clip in clips.items()
        },
        "merging": parts.merging(clips["360p"], recipe, folder, repeats),
        "driver": parts.driver(address, recipe, parts.plan_clip(clips["360p"], recipe), folder, repeats),
    }


def _case(clip: str, measured: dict[str, Any], gpus_a_node: int, cores_a_node: int) -> dict[str, Any]:
    decoding, merging, driver = measured["decoding"][clip], measured["merging"], measured["driver"]
    assumptions = Assumptions(
        network_fps=NETWORK_FPS[0],
        decode_fps=decoding["fps_a_core"],
        merge_fps=merging["fps_a_core"],
        gpus_a_node=gpus_a_node,
        cores_a_node=cores_a_node,
        nic_gbps=NICS[0],
        frame_bytes=decoding["frame_bytes"],
        file_bytes=decoding["file_bytes"],
        result_bytes=merging["result_bytes"],
        segment_frames=SEGMENT_S * parts.RATE,
        driver_segment_s=driver["segment_s"],
        driver_block_s=driver["block_s"],
        block_bytes=BLOCK_BYTES,
    )
    rows = table(assumptions, NETWORK_FPS, NICS, GPUS)
    return {"clip": clip, "assumptions": asdict(assumptions), "rows": rows}


def _print(document: dict[str, Any]) -> None:
    for kind, runs in document["throughput"].items():
        fps = runs["fps"]
        print(f"{kind}: {fps['median']} frames/s ({fps['min']} to {fps['max']})")
    for name, part in document["parts"].items():
        print(f"{name}: {part}")
    for clip, case in document["scaling"]["cases"].items():
        print(
            f"\n{clip}, by arithmetic: frames/s of a GPU, links, GPUs to the knee, frames/s of the whole and what binds"
        )
        print(printed(case["rows"]))


if __name__ == "__main__":
    run(main)
