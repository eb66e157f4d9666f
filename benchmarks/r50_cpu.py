"""Time of `r50` in PyTorch on the CPU against the paper authors' implementation, with the same weights and image.

The weights are seeded stand-ins with which the detector fires on everything: 100 people to pose, all of them scored
above 0.3. So the score threshold is shown at its best case too, with the few people that a photograph has: the pose
network runs on those above the threshold only, and the authors' code on all that its detector keeps.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.common import parser, record, run, statistics, write
from gcpose_trt import PoseEstimator
from gcpose_trt.errors import GcposeError
from gcpose_trt.model import build_model, load_checkpoint

AUTHORS_SECONDS = 9.2  # an image of 100 detections on two quiet cores of the machine that made the reference
CASES = ((0.0, 100), (0.3, 100), (0.3, 5))  # lowest score and most people that reach the pose network


def seeded_state(reference: Path) -> dict[str, torch.Tensor]:
    """Return the stand-in weights under detectron2's names.

    Args:
        reference: folder with `seeded_weights.py` and `detectron2_shapes.txt`.
    """
    spec = importlib.util.spec_from_file_location("seeded_weights", reference / "seeded_weights.py")
    if spec is None or spec.loader is None or not (reference / "detectron2_shapes.txt").is_file():
        raise GcposeError(f"{reference} lacks seeded_weights.py or detectron2_shapes.txt; give it with --reference")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    state = {}
    for line in (reference / "detectron2_shapes.txt").read_text().splitlines():
        name, _, shape = line.partition("\t")
        sides = tuple(int(side) for side in shape.split(",") if side)
        state[name] = torch.from_numpy(module.seeded_array(name, sides))
    return state


def measure(
    model: Any, image: np.ndarray, min_score: float, max_people: int, runs: int, threads: int
) -> dict[str, Any]:
    """Return how many people reached the pose network and what a call took."""
    with PoseEstimator(model, "torch", min_score=min_score, max_people=max_people, threads=threads) as estimator:
        timings = []
        for _ in range(runs + 1):
            people, timing = estimator.run(image)
            timings.append(timing)
    timings = timings[1:]  # the first pays for memory
    total = [timing.total for timing in timings]
    return {
        "min_score": min_score,
        "max_people": max_people,
        "people": len(people),
        "milliseconds": statistics(total),
        "detector_milliseconds": statistics([timing.detector for timing in timings]),
        "pose_milliseconds": statistics([timing.pose for timing in timings]),
        "ratio_to_authors": round(float(np.median(total)) / 1e3 / AUTHORS_SECONDS, 3),
    }


def main(argv: Sequence[str] | None = None) -> int:
    """Measure and print."""
    options = parser(__doc__)
    options.add_argument("--reference", type=Path, required=True, help="folder of the reference tensors")
    options.add_argument("--image", default="000000000885", help="which of its images")
    options.add_argument("--runs", type=int, default=5, help="repetitions")
    options.add_argument("--threads", type=int, default=2, help="CPU threads")
    args = options.parse_args(argv)

    case = np.load(args.reference / f"r50_{args.image}.npz")
    image = np.ascontiguousarray(case["resized_bgr"])
    model = build_model("r50")
    load_checkpoint(model, seeded_state(args.reference))
    measured = []
    for min_score, max_people in CASES:
        row = measure(model, image, min_score, max_people, args.runs, args.threads)
        measured.append(row)
        total, detector, pose = (row[f"{part}milliseconds"]["median"] / 1e3 for part in ("", "detector_", "pose_"))
        print(
            f"min score {row['min_score']:.1f}: {row['people']} people, median {total:.2f} s (detector {detector:.2f}, "
            f"pose {pose:.2f}), {row['ratio_to_authors']:.2f} of the authors' {AUTHORS_SECONDS} s",
            flush=True,
        )
    settings = {"image": args.image, "image_size": list(image.shape[:2]), "threads": args.threads, "runs": args.runs}
    write(args.json, record({"settings": settings, "authors_seconds": AUTHORS_SECONDS, "measured": measured}))
    return 0


if __name__ == "__main__":
    run(main)
