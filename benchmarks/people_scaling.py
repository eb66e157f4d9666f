"""Time of one frame against the number of people in it: the detector once, the pose network on N boxes."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.common import SAMPLE_CLIP, parser, read_frames, record, run, statistics, write
from gcpose_trt.runtime import bundle
from gcpose_trt.runtime.backends.onnxruntime_backend import OnnxRuntimeBackend
from gcpose_trt.runtime.preprocess import fit, parse_size, place

PEOPLE = (0, 1, 2, 5, 10, 20)


def crowd(count: int, height: int, width: int) -> NDArray[np.float32]:
    """Return `count` upright boxes (count, 4) of assorted sizes inside (height, width); the same ones every time."""
    random = np.random.default_rng(0)
    tall = random.uniform(0.2, 0.8, count) * height
    wide = np.minimum(0.45 * tall, 0.9 * width)
    left, top = random.uniform(0, 1, count) * (width - wide), random.uniform(0, 1, count) * (height - tall)
    return np.stack([left, top, left + wide, top + tall], 1).astype(np.float32)


def measure(
    backend: OnnxRuntimeBackend, frame: NDArray[np.uint8], size: str | None, rounds: int
) -> dict[int, list[float]]:
    """Return the milliseconds from the frame to its keypoints, `rounds` for each number of `PEOPLE`.

    The numbers of people take turns, so that a busy moment of the machine does not fall on one of them alone.
    """
    rule = parse_size(size, backend.info.divisor) or backend.info.size_rule
    box = fit((frame.shape[0], frame.shape[1]), rule)
    image_size = np.array([box.content], np.int64)
    times: dict[int, list[float]] = {count: [] for count in PEOPLE}
    for turn in range(-2, rounds):  # two rounds to warm up
        for count in PEOPLE:
            boxes = crowd(count, *box.content)
            start = time.perf_counter()
            found = backend.detect(place(frame, box)[None], image_size)
            if count:  # as PoseEstimator does: without people the pose network is not called
                backend.pose(found.p2, boxes, np.zeros(count, np.int64))
            if turn >= 0:
                times[count].append(1e3 * (time.perf_counter() - start))
    return times


def main(argv: Sequence[str] | None = None) -> int:
    """Measure and print one line a number of people."""
    options = parser(__doc__)
    options.add_argument("--model", default="mobile", help="our model")
    options.add_argument("--clip", type=Path, default=SAMPLE_CLIP, help="video to take a frame from")
    options.add_argument("--size", help="long side, or HEIGHTxWIDTH; the model's own if not given")
    options.add_argument("--rounds", type=int, default=30, help="repetitions of each number")
    options.add_argument("--threads", type=int, default=2, help="CPU threads")
    args = options.parse_args(argv)

    frame = read_frames(args.clip, 1)[0]
    backend = OnnxRuntimeBackend(bundle.find(args.model), args.threads)
    times = measure(backend, frame, args.size, args.rounds)
    backend.close()

    medians = {count: float(np.median(values)) for count, values in times.items()}
    longest = max(medians.values())
    print("people   median ms   p90 ms")
    for count, values in times.items():
        bar = "#" * round(40 * medians[count] / longest)
        print(f"{count:6d} {medians[count]:11.1f} {np.percentile(values, 90):8.1f}   {bar}")
    slope = np.polyfit(list(medians), list(medians.values()), 1)[0]
    print(f"about {slope:.1f} ms more for each person")
    write(
        args.json,
        record(
            {
                "settings": {
                    "model": args.model,
                    "weights_sha256": backend.info.weights_sha256,
                    "size": args.size or backend.info.size or f"long side {backend.info.long}",
                    "threads": args.threads,
                    "rounds": args.rounds,
                },
                "milliseconds": {str(count): statistics(values) for count, values in times.items()},
                "milliseconds_a_person": round(float(slope), 3),
            }
        ),
    )
    return 0


if __name__ == "__main__":
    run(main)
