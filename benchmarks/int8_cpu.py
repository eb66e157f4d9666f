"""FP32 against INT8 in ONNX Runtime on the CPU: whole frames, taken in turn, and which nodes ran quantized.

Every frame runs through both estimators, one after the other and in changing order, so that a busy neighbour slows both
alike; the ratio is the median of the ratios of each pair. Run it alone on the machine all the same.
"""

from __future__ import annotations

import json
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray

from benchmarks.common import SAMPLE_CLIP, parser, read_frames, record, run, statistics, write
from gcpose_trt.errors import GcposeError
from gcpose_trt.runtime import bundle
from gcpose_trt.runtime.estimator import PoseEstimator

PRECISIONS = ("fp32", "int8")
_INTEGER = ("QLinear", "QGemm")  # how ONNX Runtime calls its integer kernels
_BORDER = ("QuantizeLinear", "DequantizeLinear")
Frames = Sequence[NDArray[np.uint8]]


def measure(model: str, frames: Frames, threads: int, rounds: int) -> dict[str, Any]:
    """Return the milliseconds a frame of both precisions, taken in turn, and their ratio.

    Args:
        model: a shipped name or a folder, with its INT8 form beside it.
        frames: BGR uint8.
        threads: of each inference.
        rounds: times that all frames are run.
    """
    took: dict[str, list[float]] = {name: [] for name in PRECISIONS}
    stages: dict[str, list[tuple[float, float]]] = {name: [] for name in PRECISIONS}
    with (
        PoseEstimator(model, threads=threads, precision="fp32") as float_one,
        PoseEstimator(model, threads=threads, precision="int8") as int8_one,
    ):
        estimators = {"fp32": float_one, "int8": int8_one}
        for estimator in estimators.values():
            for frame in frames:  # sizes are new to the allocator once
                estimator(frame)
        for turn in range(rounds):
            for frame in frames:
                for name in PRECISIONS if turn % 2 else PRECISIONS[::-1]:
                    start = time.perf_counter()
                    _, timing = estimators[name].run(frame)
                    took[name].append(1e3 * (time.perf_counter() - start))
                    stages[name].append((timing.detector, timing.pose))
    ratios = np.array(took["fp32"]) / np.array(took["int8"])
    result: dict[str, Any] = {
        name: {
            "frame": statistics(took[name]),
            "detector": statistics([stage[0] for stage in stages[name]]),
            "pose": statistics([stage[1] for stage in stages[name]]),
        }
        for name in PRECISIONS
    }
    low, median, high = np.percentile(ratios, [25, 50, 75])
    medians = [np.median(took[name]) for name in PRECISIONS]
    result["speedup"] = {
        "median_of_pairs": round(float(median), 3),
        "quartiles": [round(float(low), 3), round(float(high), 3)],
        "ratio_of_medians": round(float(medians[0] / medians[1]), 3),
        "ratio_of_fastest": round(min(took["fp32"]) / min(took["int8"]), 3),
    }
    return result


def profile(model: str, frames: Frames, threads: int) -> dict[str, Any]:
    """Return, by graph of the INT8 form, which nodes ran on integers and what part of the time they took."""
    paths = bundle.int8_form(bundle.find(model))
    if paths is None:
        raise GcposeError(f"{model} has no INT8 form; make one with: gcpose-trt quantize {model}")
    with tempfile.TemporaryDirectory() as folder, PoseEstimator(model, threads=threads, precision="int8") as estimator:
        sessions = {}
        for graph in bundle.GRAPHS:
            options = ort.SessionOptions()
            options.intra_op_num_threads = threads
            options.enable_profiling = True
            options.profile_file_prefix = str(Path(folder) / graph)
            sessions[graph] = ort.InferenceSession(
                str(getattr(paths, graph)), options, providers=["CPUExecutionProvider"]
            )
        _profiled_run(estimator, sessions, frames)
        return {graph: summarise(json.loads(Path(s.end_profiling()).read_text())) for graph, s in sessions.items()}


def _profiled_run(estimator: PoseEstimator, sessions: dict[str, ort.InferenceSession], frames: Frames) -> None:
    """Run every frame through the profiled sessions, at the size that the estimator would give it."""
    from gcpose_trt.runtime.preprocess import fit, place

    for frame in frames:
        box = fit((frame.shape[0], frame.shape[1]), estimator.info.size_rule)
        image = np.zeros((1, *box.canvas, 3), np.uint8)
        place(frame, box, image[0])
        feeds = {"image": image, "image_size": np.array([box.content], np.int64)}
        p2, boxes, scores = sessions["detector"].run(["p2", "boxes", "scores"], feeds)
        people = max(1, int((scores[0] >= estimator.min_score).sum()))
        index = np.zeros(people, np.int64)
        sessions["pose"].run(None, {"p2": p2, "boxes": boxes[0, :people], "batch_index": index})


def summarise(events: list[dict[str, Any]]) -> dict[str, Any]:
    """Return what a profile of ONNX Runtime says of its nodes.

    Args:
        events: of one session, as ONNX Runtime writes them.

    Returns:
        "integer": kernels on integers with their number and names, "float_weighted": convolutions and products left in
        float, "borders": quantizing and dequantizing nodes, and "share": part of the time of each kind.
    """
    kinds: dict[str, str] = {}
    microseconds: Counter[str] = Counter()
    for event in events:
        if event.get("cat") == "Node" and event["name"].endswith("_kernel_time"):
            name, op_type = event["name"].removesuffix("_kernel_time"), event["args"]["op_name"]
            kinds[name] = op_type
            microseconds[_kind(op_type)] += event["dur"]
    total = sum(microseconds.values()) or 1
    integer = {name: op_type for name, op_type in kinds.items() if _kind(op_type) == "integer"}
    return {
        "integer": dict(Counter(integer.values())),
        "integer_nodes": sorted(integer),
        "float_weighted": sorted(name for name, op_type in kinds.items() if _kind(op_type) == "float_weighted"),
        "borders": dict(Counter(op_type for op_type in kinds.values() if op_type in _BORDER)),
        "share": {kind: round(time_ / total, 4) for kind, time_ in sorted(microseconds.items())},
    }


def _kind(op_type: str) -> str:
    if op_type.startswith(_INTEGER):
        return "integer"
    if op_type in _BORDER:
        return "border"
    return "float_weighted" if "Conv" in op_type or op_type in ("Gemm", "FusedGemm") else "other"


def main() -> int:
    """Measure, print, and write the record."""
    options = parser(__doc__)
    options.add_argument("--model", default="mobile", help="with its INT8 form in a folder of that name and -int8")
    options.add_argument("--clip", type=Path, default=SAMPLE_CLIP, help="video that the frames are taken from")
    options.add_argument("--frames", type=int, default=12, help="frames of it")
    options.add_argument("--rounds", type=int, default=10, help="times that each frame is run")
    options.add_argument("--threads", type=int, default=2, help="CPU threads of an inference")
    args = options.parse_args()
    cv2.setNumThreads(args.threads)
    frames = read_frames(args.clip, args.frames)
    found = measure(args.model, frames, args.threads, args.rounds)
    found["profile"] = profile(args.model, frames, args.threads)
    paths = bundle.find(args.model)
    other = bundle.int8_form(paths)
    found["bytes"] = {
        name: sum(file.stat().st_size for file in (part.detector, part.pose))
        for name, part in zip(PRECISIONS, (paths, other), strict=True)
        if part is not None
    }
    for name in PRECISIONS:
        print(f"{name}: {found[name]['frame']['median']:.1f} ms a frame (spread {found[name]['frame']['spread']:.1f})")
    print(f"int8 is {found['speedup']['median_of_pairs']:.2f} times as fast, {found['speedup']['quartiles']}")
    for graph, nodes in found["profile"].items():
        print(f"{graph}: {nodes['integer']}, float {len(nodes['float_weighted'])}, shares {nodes['share']}")
    settings = {"model": args.model, "clip": args.clip.name, "threads": args.threads, "rounds": args.rounds}
    write(args.json, record({"settings": {**settings, "frames": args.frames}, **found}))
    return 0


if __name__ == "__main__":
    run(main)
