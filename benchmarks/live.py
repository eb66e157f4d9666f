"""What the live system costs besides the network: capture, tracking, JSON lines and the page with a viewer.

Rounds in turn: the network alone over frames that are decoded already, and the whole pipeline over a clip of the same
frames at 640x480 (every frame, from the file to the sinks). The viewer is a process of its own that reads the page's
video and WebSocket; in use it is another machine, here it shares the processor. Run it alone on the machine.
"""

from __future__ import annotations

import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from benchmarks.common import SAMPLE_CLIP, parser, read_frames, record, run, statistics, write
from gcpose_trt.pose.drawing import Painter, PaintOptions
from gcpose_trt.pose.types import PoseFrame
from gcpose_trt.runtime.estimator import PoseEstimator
from gcpose_trt.video.capture import open_capture
from gcpose_trt.video.frames import Frame, Result
from gcpose_trt.video.live import LivePipeline, Output, Summary
from gcpose_trt.video.live_types import Controls, Settings, Snapshot
from gcpose_trt.video.sinks import JsonLinesSink, Mp4Sink
from gcpose_trt.web.server import WebServer
from gcpose_trt.web.sink import WebSink

SIZE = (640, 480)
RATE = 30.0
Frames = Sequence[NDArray[np.uint8]]
VIEWER = """
import asyncio, sys, aiohttp

async def drain(chunks):
    async for _ in chunks:
        pass

async def main(base):
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=None)) as session:
        async with session.get(base + "stream.mjpg") as video, session.ws_connect(base + "ws") as socket:
            print("watching", flush=True)
            await asyncio.gather(drain(video.content.iter_any()), drain(socket))

try:
    asyncio.run(main(sys.argv[1]))
except (aiohttp.ClientError, ConnectionError):
    pass
"""


def make_clip(path: Path, frames: Frames) -> None:
    """Write frames as a clip, at RATE."""
    with Mp4Sink(path, RATE) as sink:
        for index, image in enumerate(frames):
            sink.write(Result(Frame(index, index / RATE, image, ""), PoseFrame.empty(), picture=image))


def network_only(estimator: PoseEstimator, frames: Frames) -> dict[str, float]:
    """Return seconds and processor seconds of the estimator over `frames`, one after the other."""
    return _timed(lambda: [estimator.run(frame) for frame in frames])[0]


def end_to_end(
    estimator: PoseEstimator, clip: Path, folder: Path, page: bool
) -> tuple[dict[str, float], Snapshot, Summary]:
    """Return seconds, processor seconds, stages and summary of the pipeline over the clip, with or without a viewer."""
    made: list[LivePipeline] = []
    controls = Controls(Settings(min_score=estimator.min_score))
    outputs = [Output("jsonl", JsonLinesSink(folder / "poses.jsonl"), None, lossless=True)]
    server = viewer = None
    if page:
        server = WebServer("127.0.0.1", 0, controls=controls, snapshot=lambda: made[0].snapshot(), streams=["clip"])
        outputs.append(Output("page", WebSink(server)))
    pipeline = LivePipeline(
        [open_capture(str(clip))],
        estimator,
        outputs,
        controls=controls,
        policy="all",
        tracking=True,
        painter_factory=lambda _: Painter(PaintOptions()),
        log=lambda line: print(line, file=sys.stderr),
    )
    made.append(pipeline)
    try:
        if server is not None:
            server.start()
            viewer = subprocess.Popen([sys.executable, "-c", VIEWER, server.url], stdout=subprocess.PIPE, text=True)
            assert viewer.stdout is not None
            viewer.stdout.readline()
        took, summary = _timed(pipeline.run)
        return took, pipeline.snapshot(), summary
    finally:
        if server is not None:
            server.stop()
        if viewer is not None:
            viewer.wait(timeout=30)


def _timed(work: Callable[[], Any]) -> tuple[dict[str, float], Any]:
    start, cpu = time.perf_counter(), _processor_seconds()
    done = work()
    return {"seconds": time.perf_counter() - start, "cpu_seconds": _processor_seconds() - cpu}, done


def _processor_seconds() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def measure(model: str, precision: str, threads: int, count: int, rounds: int) -> dict[str, Any]:
    """Return rates and costs of network alone, pipeline, and pipeline with a viewer, by rounds taken in turn."""
    frames = [cv2.resize(frame, SIZE) for frame in read_frames(SAMPLE_CLIP, count)]
    kinds = ("network", "pipeline", "page")
    taken: dict[str, list[dict[str, float]]] = {kind: [] for kind in kinds}
    stages: dict[str, list[dict[str, float]]] = {"pipeline": [], "page": []}
    rates: list[dict[str, float]] = []
    with (
        tempfile.TemporaryDirectory() as folder,
        PoseEstimator(model, threads=threads, precision=precision) as estimator,
    ):
        clip = Path(folder) / "clip.mp4"
        make_clip(clip, frames)  # type: ignore[arg-type]
        network_only(estimator, frames)  # type: ignore[arg-type]  # sizes are new to the allocator once
        for turn in range(rounds):
            for kind in kinds if turn % 2 else kinds[::-1]:
                if kind == "network":
                    taken[kind].append(network_only(estimator, frames))  # type: ignore[arg-type]
                    continue
                took, snapshot, summary = end_to_end(estimator, clip, Path(folder), page=kind == "page")
                took["network_ms"] = float(np.mean([timing.network for timing in summary.timings]))
                taken[kind].append(took)
                stages[kind].append(snapshot.stages_ms)
            rates.append({kind: count / taken[kind][-1]["seconds"] for kind in kinds})
    return {
        "frames_a_round": count,
        "rounds": rounds,
        "milliseconds_a_frame": {
            kind: statistics([1e3 * took["seconds"] / count for took in taken[kind]]) for kind in kinds
        },
        "processor_milliseconds_a_frame": {
            kind: statistics([1e3 * took["cpu_seconds"] / count for took in taken[kind]]) for kind in kinds
        },
        "beside_the_network_ms": {
            kind: statistics([1e3 * took["seconds"] / count - took["network_ms"] for took in taken[kind]])
            for kind in stages
        },
        "rate_against_network": {kind: statistics([rate[kind] / rate["network"] for rate in rates]) for kind in stages},
        "stages_ms": {
            kind: {
                name: round(float(np.median([stage[name] for stage in found if name in stage])), 3)
                for name in sorted({name for stage in found for name in stage})
            }
            for kind, found in stages.items()
        },
    }


def main() -> int:
    """Measure, print, and write the record."""
    arguments = parser(__doc__)
    arguments.add_argument("--model", default="mobile", help="shipped name or folder")
    arguments.add_argument("--precision", default="fp32", choices=("fp32", "int8"), help="of the network")
    arguments.add_argument("--threads", type=int, default=2, help="of the network")
    arguments.add_argument("--frames", type=int, default=75, help="a round")
    arguments.add_argument("--rounds", type=int, default=9, help="of each kind")
    args = arguments.parse_args()
    document = record({})
    document.update(
        settings={
            "model": args.model,
            "precision": args.precision,
            "threads": args.threads,
            "frame": f"{SIZE[0]}x{SIZE[1]}",
            "sinks": "JSON lines; page: also the page, with one viewer on the same machine",
            "tracking": True,
        },
        **measure(args.model, args.precision, args.threads, args.frames, args.rounds),
    )
    for kind in ("pipeline", "page"):
        rate, beside = document["rate_against_network"][kind], document["beside_the_network_ms"][kind]
        extra = (
            document["processor_milliseconds_a_frame"][kind]["median"]
            - document["processor_milliseconds_a_frame"]["network"]["median"]
        )
        print(
            f"{kind:<9} {100 * rate['median']:.1f} % of the network's frame rate, {beside['median']:.2f} ms a frame "
            f"beside the network, {extra:.2f} ms of processor time more than the network alone"
        )
    write(args.json, document)
    return 0


if __name__ == "__main__":
    run(main)
