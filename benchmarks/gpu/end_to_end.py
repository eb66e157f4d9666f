"""Time from frame to poses with engines on a GPU: one frame at a time, and streamed; end to end and on the GPU alone.

`single` is latency: a frame on the host goes in, its poses come out, before the next one is taken. `streamed` is
throughput: the next frame is on its way meanwhile. `gpu` is the detector and the pose half by events on the GPU,
`total` all of it by the wall clock: staging, copy, letterbox, launches, copy back, selection. Decoding is in none of
them. The cost of a person more is the slope of `total` over the people of a frame that shows many.
"""

from __future__ import annotations

import shutil
import subprocess
import time
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.common import SAMPLE_CLIP, parser, read_frames, record, run, statistics, write
from gcpose_trt import PoseEstimator
from gcpose_trt.errors import GcposeError
from gcpose_trt.runtime.cuda import open_device
from gcpose_trt.runtime.engine_record import EngineRecord

CLOCKS = "clocks.sm,clocks.mem,clocks_throttle_reasons.active,temperature.gpu,power.draw"


def gpu_state() -> str | None:
    """Return the GPU's clocks, what throttles them, temperature and power as nvidia-smi gives them, None without it."""
    if shutil.which("nvidia-smi") is None:  # Jetson has tegrastats instead
        return None
    command = ["nvidia-smi", f"--query-gpu={CLOCKS}", "--format=csv,noheader", "--id=0"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done.stdout.strip() or None


def measure_single(estimator: PoseEstimator, frames: list[NDArray[np.uint8]], repeats: int) -> dict[str, Any]:
    """Return latency of one frame after the other, by part."""
    timings, walls, people = [], [], []
    for index in range(repeats):
        start = time.perf_counter()
        poses, timing = estimator.run(frames[index % len(frames)])
        walls.append(1e3 * (time.perf_counter() - start))
        timings.append(timing)
        people.append(len(poses))
    return {
        "total_ms": statistics(walls),
        "gpu_ms": statistics([timing.network for timing in timings]),
        "detector_ms": statistics([timing.detector for timing in timings]),
        "pose_ms": statistics([timing.pose for timing in timings]),
        "people": round(float(np.mean(people)), 2),
    }


def measure_stream(estimator: PoseEstimator, frames: list[NDArray[np.uint8]], repeats: int) -> dict[str, float]:
    """Return frames a second with the next frame under way."""
    source = (frames[index % len(frames)] for index in range(repeats))
    start = time.perf_counter()
    count = sum(1 for _ in estimator.stream(source))
    seconds = time.perf_counter() - start
    return {"frames": count, "frames_per_second": round(count / seconds, 1)}


def measure_people(model: str, frame: NDArray[np.uint8], most: int, repeats: int) -> dict[str, Any]:
    """Return the time by number of people, kept from a frame that shows many, and the cost of one more."""
    medians: dict[int, float] = {}
    for people in [count for count in (1, 2, 4, 8, 16, 32) if count <= most]:
        # Every box is kept whatever its score: the pose half does the same work for any.
        with PoseEstimator(model, "tensorrt", min_score=0.0, max_people=people) as estimator:
            estimator.warmup()
            found = measure_single(estimator, [frame], repeats)
            if round(found["people"]) == people:
                medians[people] = found["total_ms"]["median"]
    slope = float(np.polyfit(list(medians), list(medians.values()), 1)[0]) if len(medians) > 1 else None
    return {"total_ms": medians, "one_more_ms": None if slope is None else round(slope, 4)}


def measure(model: str, clip: Path, repeats: int) -> dict[str, Any]:
    """Return every measurement of one folder of engines."""
    built = EngineRecord.load(model)
    frames = read_frames(clip, 32)
    with open_device() as device:
        gpu = device.info
    with PoseEstimator(model, "tensorrt") as estimator:
        estimator.warmup()
        measure_single(estimator, frames, repeats // 4 + 1)  # clocks rise with work
        before = gpu_state()
        single = measure_single(estimator, frames, repeats)
        streamed = measure_stream(estimator, frames, repeats)
        after = gpu_state()
    return {
        "gpu": {"name": gpu.name, "compute_capability": gpu.compute_capability, "driver": gpu.driver_version},
        "gpu_state": {"fields": CLOCKS, "before": before, "after": after},
        "engine": {
            name: getattr(built, name) for name in ("tensorrt", "precision", "size", "batch", "gcm", "roi_align")
        },
        "frame": list(frames[0].shape),
        "single": single,
        "streamed": streamed,
        "by_people": measure_people(model, frames[0], built.max_people, repeats // 4 + 1),
    }


def main() -> int:
    """Measure and print."""
    options = parser(__doc__)
    options.add_argument("--model", required=True, help="folder of engines")
    options.add_argument("--clip", type=Path, default=SAMPLE_CLIP, help="video whose frames are taken")
    options.add_argument("--repeats", type=int, default=500, help="frames a measurement")
    args = options.parse_args()
    if args.repeats < 1:
        raise GcposeError(f"--repeats {args.repeats} is too few; give at least 1")
    found = measure(args.model, args.clip, args.repeats)
    write(args.json, record(found))
    single = found["single"]
    print(
        f"{found['gpu']['name']}, {found['engine']['precision']} at {found['engine']['size']}, "
        f"{single['people']} people a frame"
    )
    for name in ("total_ms", "gpu_ms", "detector_ms", "pose_ms"):
        print(f"{name:12} {single[name]['median']:8.3f} median {single[name]['p90']:8.3f} p90")
    print(f"streamed     {found['streamed']['frames_per_second']:8.1f} frames a second")
    print(f"one more     {found['by_people']['one_more_ms']} ms a person")
    return 0


if __name__ == "__main__":
    run(main)
