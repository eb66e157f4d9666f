"""Time of `mobile` from frame to poses against MoveNet MultiPose's, frame by frame in turn on the same clip."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.common import SAMPLE_CLIP, parser, read_frames, record, run, statistics, write
from benchmarks.peers import movenet
from gcpose_trt import PoseEstimator, PoseFrame
from gcpose_trt.benchmark.contender import ContenderSpec

Find = Callable[[NDArray[np.uint8]], PoseFrame]


def interleave(ours: Find, peer: Find, frames: list[NDArray[np.uint8]], warmup: int) -> dict[str, Any]:
    """Time both on every frame, now one first and now the other.

    Whatever else the machine does then falls on both alike, so the ratio can be trusted further than either time.

    Args:
        ours: from frame to poses.
        peer: the same of the other network.
        frames: BGR frames.
        warmup: frames to run before the clock counts.

    Returns:
        Statistics of both in milliseconds and of the ratio of the two times of a frame, and mean people a frame.
    """
    for frame in frames[:warmup]:
        ours(frame)
        peer(frame)
    times = np.zeros((2, len(frames)))
    people = np.zeros((2, len(frames)), int)
    for number, frame in enumerate(frames):
        order = [(0, ours), (1, peer)] if number % 2 == 0 else [(1, peer), (0, ours)]
        for row, find in order:
            start = time.perf_counter()
            found = find(frame)
            times[row, number] = 1e3 * (time.perf_counter() - start)
            people[row, number] = len(found)
    return {
        "ours": {"milliseconds": statistics(times[0]), "people_a_frame": float(people[0].mean())},
        "movenet": {"milliseconds": statistics(times[1]), "people_a_frame": float(people[1].mean())},
        "ratio_of_medians": round(float(np.median(times[0]) / np.median(times[1])), 3),
        "ratio_a_frame": {
            name: round(float(x), 3)
            for name, x in zip(("q25", "median", "q75"), np.percentile(times[0] / times[1], [25, 50, 75]), strict=True)
        },
    }


def main(argv: Sequence[str] | None = None) -> int:
    """Measure and print."""
    options = parser(__doc__)
    options.add_argument("--model", default="mobile", help="our model")
    options.add_argument("--movenet", type=Path, required=True, help="MoveNet MultiPose's ONNX file")
    options.add_argument("--clip", type=Path, default=SAMPLE_CLIP, help="video to take frames from")
    options.add_argument("--frames", type=int, default=100, help="how many, spread over the clip")
    options.add_argument("--warmup", type=int, default=10, help="frames before the clock counts")
    options.add_argument("--threads", type=int, default=2, help="CPU threads of each")
    options.add_argument("--size", help="our input; the model's own if not given")
    options.add_argument("--movenet-size", type=int, default=512, help="long side of its input")
    args = options.parse_args(argv)

    frames = read_frames(args.clip, args.frames)
    peer = movenet.open(
        ContenderSpec(str(args.movenet), peer="movenet", size=str(args.movenet_size), threads=args.threads)
    )
    with PoseEstimator(args.model, size=args.size, threads=args.threads) as ours:
        measured = interleave(ours, lambda frame: peer.run(frame)[0], frames, args.warmup)
        _, timing = ours.run(frames[0])
        info = ours.info
    for name in ("ours", "movenet"):
        side = measured[name]
        print(
            f"{name:<8} median {side['milliseconds']['median']:7.1f} ms   p90 {side['milliseconds']['p90']:7.1f} ms   "
            f"spread {side['milliseconds']['spread']:6.1f} ms   {side['people_a_frame']:.1f} people a frame"
        )
    per_frame = measured["ratio_a_frame"]["median"]
    print(f"ours / movenet: {measured['ratio_of_medians']:.2f} of medians, {per_frame:.2f} a frame")
    print(f"ours, one frame: detector {timing.detector:.1f} ms, pose {timing.pose:.1f} ms")
    settings = {
        "model": info.model,
        "weights_sha256": info.weights_sha256,
        "size": args.size or info.size or f"long side {info.long}",
        "movenet_size": args.movenet_size,
        "threads": args.threads,
        "frames": len(frames),
        "clip": args.clip.name,
        "clip_size": list(frames[0].shape[:2]),
    }
    write(args.json, record({"settings": settings, **measured}))
    return 0


if __name__ == "__main__":
    run(main)
