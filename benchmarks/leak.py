"""Whether an estimator loses memory: frames of changing content go through it, and what is held is compared.

Held by the process (resident memory) and on the GPU (free memory), from after a tenth of the frames to the end. Needs a
GPU; the tests run it on stand-ins for driver and TensorRT.
"""

from __future__ import annotations

import gc
from pathlib import Path

import numpy as np

from benchmarks.common import parser, record, run, write
from gcpose_trt import PoseEstimator
from gcpose_trt.errors import GcposeError
from gcpose_trt.runtime.cuda import open_device

ALLOWED_MIB = 16.0  # what allocators keep for themselves


def resident_mib() -> float:
    """Return the process's resident memory."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith("VmRSS:")).split()[1]) / 1024


def picture(index: int) -> np.ndarray:
    """Return a frame (H, W, 3) uint8 whose size and bright areas differ from the next one's."""
    height, width = 240 + 16 * (index % 5), 320 + 16 * (index % 3)
    frame = np.zeros((height, width, 3), np.uint8)
    left, top = (index * 7) % 200, (index * 5) % 150
    frame[top : top + 90, left : left + 60, : 1 + index % 4] = 200 if index % 7 else 0  # sometimes nobody
    return frame


def measure(model: str, frames: int) -> dict[str, object]:
    """Run an estimator over `frames` frames, by `run` and by `stream` in turn, and return what grew."""
    pictures = [picture(index) for index in range(105)]
    done = people = 0
    with open_device() as device, PoseEstimator(model, "tensorrt", min_score=0.0) as estimator:
        estimator.warmup()
        before: tuple[float, int] | None = None
        while done < frames:
            for poses, _ in estimator.stream(pictures):
                people += len(poses)
            for frame in pictures:
                people += len(estimator.run(frame)[0])
            done += 2 * len(pictures)
            if before is None and done >= frames // 10:
                gc.collect()
                before = resident_mib(), device.memory()[0]
        gc.collect()
        assert before is not None
        after = resident_mib(), device.memory()[0]
        gpu = device.info.name
    with open_device() as device:
        left = device.memory()[0]
    return {
        "gpu": gpu,
        "frames": done,
        "people": people,
        "resident_mib": [round(before[0], 1), round(after[0], 1)],
        "gpu_free_mib": [round(before[1] / 2**20, 1), round(after[1] / 2**20, 1)],
        "gpu_free_mib_closed": round(left / 2**20, 1),
    }


def main() -> int:
    """Measure, print, and fail if something grew."""
    options = parser(__doc__)
    options.add_argument("--model", required=True, help="folder of engines")
    options.add_argument("--frames", type=int, default=10_000, help="how many, rounded up")
    args = options.parse_args()
    found = measure(args.model, args.frames)
    write(args.json, record({"measured": found}))
    for name, value in found.items():
        print(f"{name:20} {value}")
    resident, free = found["resident_mib"], found["gpu_free_mib"]
    assert isinstance(resident, list)
    assert isinstance(free, list)
    if resident[1] - resident[0] > ALLOWED_MIB or free[0] - free[1] > ALLOWED_MIB:
        raise GcposeError(f"memory was lost over {found['frames']} frames (see above); find what holds it")
    return 0


if __name__ == "__main__":
    run(main)
