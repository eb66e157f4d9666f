"""A whole report as `gcpose_trt.benchmark.schema` describes it, from a seeded generator: no machine measured it."""

from __future__ import annotations

import hashlib
from typing import Any

import numpy as np

from gcpose_trt.benchmark.contender import ContenderSpec
from gcpose_trt.benchmark.schema import KIND, SCHEMA, UNSTEADY_SPREAD
from gcpose_trt.benchmark.statistics import summary
from gcpose_trt.pose.types import PoseFrame

MOBILE = ContenderSpec("mobile", precision="fp32", threads=2)
MOBILE_INT8 = ContenderSpec("mobile", precision="int8", size="448", threads=2)
MOVENET = ContenderSpec("movenet.onnx", peer="movenet", threads=2)
RTMLIB = ContenderSpec("rtmlib.onnx", peer="rtmlib", threads=2)
R50 = ContenderSpec("r50", precision="fp32", threads=2)
MEASURED = (MOBILE, MOBILE_INT8, MOVENET)
ROUNDS, FRAMES = 5, 40

# Milliseconds of each stage, in the middle; the pose network's is for no people, then ms a person.
_STAGES: dict[str, dict[str, float]] = {
    MOBILE.id: {"decode": 2.1, "preprocess": 1.4, "detector": 61.0, "pose": 6.0, "postprocess": 0.4, "draw": 0.9},
    MOBILE_INT8.id: {"decode": 2.1, "preprocess": 1.1, "detector": 27.0, "pose": 4.0, "postprocess": 0.4, "draw": 0.9},
    MOVENET.id: {"decode": 2.1, "preprocess": 0.8, "network": 38.0, "postprocess": 0.1, "draw": 0.8},
}
_PERSON = {MOBILE.id: 4.1, MOBILE_INT8.id: 2.3, MOVENET.id: 0.0}
_INFO: dict[str, dict[str, Any]] = {
    MOBILE.id: {"precision": "fp32", "size": "long side 640", "bytes": 38_512_004, "licence": "Apache-2.0"},
    MOBILE_INT8.id: {"precision": "int8", "size": "long side 448", "bytes": 11_203_551, "licence": "Apache-2.0"},
    MOVENET.id: {"precision": "fp32", "size": "long side 256", "bytes": 19_022_336, "licence": "Apache-2.0"},
}
_AP = {MOBILE.id: (0.3825, 0.3177), MOBILE_INT8.id: (0.3412, 0.2790), MOVENET.id: (0.2987, 0.2101)}
_WHAT = "resident memory of the process, libraries included, without the parent"


def sample_report(*, seed: int = 0, slower: float = 1.0, unsteady: bool = False, **changes: Any) -> dict[str, Any]:
    """Return a complete report: three contenders measured, one peer skipped, one model failed, two sessions.

    Args:
        seed: another one gives another run on the same machine.
        slower: what all times of `MOBILE_INT8` are multiplied by.
        unsteady: whether the times of `MOVENET` spread over 10 %.
        changes: top-level keys to have other values ("complete", "environment", ...).
    """
    rng = np.random.default_rng(seed)
    people = np.tile(np.arange(FRAMES) * 7 % 5, (ROUNDS, 1))
    latency = {}
    for spec in MEASURED:
        factor = slower if spec is MOBILE_INT8 else 1.0
        latency[spec.id] = _latency(spec.id, rng, people, factor, 0.15 if unsteady and spec is MOVENET else 0.02)
    report: dict[str, Any] = {
        "schema": SCHEMA,
        "kind": KIND,
        "complete": True,
        "suite": {"name": "cpu", "settings": {"frames": FRAMES, "rounds": ROUNDS, "threads": 2, "turn": 10}},
        "command": "gcpose-trt benchmark cpu --peers movenet,rtmlib --output report",
        "commit": "0123456789ab",
        "sessions": [
            _session(rng, "2026-11-20T09:00:00+00:00", "2026-11-20T09:07:31+00:00"),
            _session(rng, "2026-11-20T10:12:05+00:00", "2026-11-20T10:19:44+00:00"),
        ],
        "environment": _environment(),
        "clip": {"name": "sample.mp4", "width": 640, "height": 360, "frames": FRAMES, "sha256": _digest("clip")},
        "contenders": [_contender(spec) for spec in (*MEASURED, RTMLIB, R50)],
        "units": {f"latency/round-{number}": {"seconds": 31.5 + number} for number in range(ROUNDS)},
        "latency": latency,
        "people": {spec.id: _people(spec.id, rng, slower if spec is MOBILE_INT8 else 1.0) for spec in MEASURED[:2]},
        "throughput": {spec.id: _throughput(latency[spec.id], rng) for spec in MEASURED},
        "start": {spec.id: _start(latency[spec.id], rng) for spec in MEASURED},
        "accuracy": {spec.id: _accuracy(spec.id) for spec in MEASURED},
        "parity": {
            MOBILE_INT8.id: {
                "reference": MOBILE.id,
                "frames": FRAMES,
                "people": 84,
                "missing": 2,
                "extra": 1,
                "score_difference": 0.061,
                "joint_pixels": {"median": 0.8, "p99": 4.6, "max": 11.2},
            }
        },
        "samples": [
            {"frame": frame, "poses": {spec.id: _poses(rng, frame).to_dict() for spec in MEASURED}}
            for frame in (0, 20, 39)
        ],
    }
    return report | changes


def contender_of(report: dict[str, Any], spec: ContenderSpec) -> dict[str, Any]:
    """Return the report's record of a contender."""
    return next(record for record in report["contenders"] if record["id"] == spec.id)


def timings(
    rng: np.random.Generator, median: float, noise: float = 0.02, rounds: int = ROUNDS, frames: int = FRAMES
) -> np.ndarray:
    """Return (rounds, frames) times as a machine gives them: heavy-tailed, and near ones alike.

    Args:
        rng: where they come from.
        median: what they are about.
        noise: how far they are from it, as a share.
        rounds: how many rounds.
        frames: how many frames each.
    """
    shocks = rng.standard_t(3, rounds * frames)
    slow = np.empty(rounds * frames)
    level = 0.0
    for index, shock in enumerate(shocks):
        level = slow[index] = 0.9 * level + 0.3 * shock
    bursts = rng.exponential(1.0, rounds * frames) * (rng.random(rounds * frames) < 0.05) * 10
    return median * np.exp(np.clip(noise * (slow + bursts), -1.0, 1.0)).reshape(rounds, frames)


def _latency(name: str, rng: np.random.Generator, people: np.ndarray, factor: float, noise: float) -> dict[str, Any]:
    stages = {stage: factor * timings(rng, median, noise) for stage, median in _STAGES[name].items()}
    if "pose" in stages:
        stages["pose"] = stages["pose"] + factor * _PERSON[name] * people
    network = sum(stages[stage] for stage in ("network", "detector", "pose") if stage in stages)
    whole = sum(stages.values())
    found = sum(value for stage, value in stages.items() if stage not in ("decode", "draw"))
    record = summary(whole)
    rounds, frames = np.indices(whole.shape)
    joules = float(whole.mean()) / 1000 * 21.5
    return {
        "end_to_end": record,
        "network": summary(network),
        "stages": {stage: summary(values) for stage, values in stages.items()},
        "fps": 1000 / float(np.median(found)),
        "fps_end_to_end": 1000 / record["median"],
        "people": float(people.mean()),
        "energy": {"package-0": {"joules_per_frame": joules, "watts": 21.5}},
        "unsteady": bool(record["spread"] > UNSTEADY_SPREAD),
        "samples": {
            "end_to_end": whole.ravel().tolist(),
            "network": network.ravel().tolist(),
            "frame": (frames * 3).ravel().tolist(),
            "round": rounds.ravel().tolist(),
        },
    }


def _people(name: str, rng: np.random.Generator, factor: float) -> dict[str, Any]:
    counts = [0, 1, 2, 5, 10]
    base = _STAGES[name]
    pose = [factor * timings(rng, base["pose"] + _PERSON[name] * count) for count in counts]
    detector = [factor * timings(rng, base["detector"]) for _ in counts]
    total = [a + b + 2.0 for a, b in zip(pose, detector, strict=True)]
    return {
        "counts": counts,
        "total": [summary(values) for values in total],
        "detector": [summary(values) for values in detector],
        "pose": [summary(values) for values in pose],
        "slope": float(np.polyfit(counts, [np.median(values) for values in total], 1)[0]),
    }


def _throughput(latency: dict[str, Any], rng: np.random.Generator) -> dict[str, Any]:
    fps = latency["fps"]
    gains = ((1, 1.0), (2, 1.08), (4, 1.12))
    return {
        "batches": [{"batch": batch, "fps": summary(timings(rng, fps * gain, frames=8))} for batch, gain in gains],
        "streams": [{"streams": count, "fps": summary(timings(rng, fps * gain, frames=8))} for count, gain in gains],
    }


def _start(latency: dict[str, Any], rng: np.random.Generator) -> dict[str, Any]:
    steady = latency["end_to_end"]["median"]
    medians = {"import": 310.0, "load": 420.0, "first_frame": 2.2 * steady, "steady": steady}
    return {
        **{name: summary(timings(rng, median, frames=1).ravel()) for name, median in medians.items()},
        "host_peak_bytes": summary(np.round(timings(rng, 2.9e8, 0.002, frames=1)).ravel()),
        "gpu_peak_bytes": None,
        "gpu_reason": "no NVIDIA GPU",
        "what": _WHAT,
    }


def _accuracy(name: str) -> dict[str, Any]:
    keypoints, boxes = _AP[name]
    return {
        "keypoints": {"AP": keypoints, "AP50": 0.65, "AP75": 0.36, "APm": 0.33, "APl": 0.49, "AR": 0.43},
        "boxes": {"AP": boxes, "AP50": 0.57, "AP75": 0.29, "APs": None, "APm": 0.42, "APl": 0.53},
        "images": 100,
        "people": 476,
        "found": 897,
        "rank": "box*keypoints",
        "min_score": 0.05,
        "dataset": {"name": "val100", "sha256": _digest("val100")},
    }


def _contender(spec: ContenderSpec) -> dict[str, Any]:
    record: dict[str, Any] = {"id": spec.id, "label": spec.label, "peer": spec.peer, "spec": spec.to_dict()}
    if spec is RTMLIB:
        return record | {
            "status": "skipped",
            "reason": "no weights at rtmo-s.onnx; give them with --weights rtmlib=PATH",
        }
    if spec is R50:
        return record | {"status": "failed", "reason": "the process was killed (signal 9), most likely out of memory"}
    shared = {
        "backend": "onnxruntime",
        "device": "cpu",
        "version": "onnxruntime 1.32.0",
        "weights_sha256": _digest(spec.id),
        "rank": "box*keypoints",
        "keypoint_threshold": 0.05,
    }
    return record | {"status": "measured", "reason": "", "threads": 2} | shared | _INFO[spec.id]


def _environment() -> dict[str, Any]:
    return {
        "machine_id": _digest("machine")[:12],
        "cpu": "Example CPU @ 2.40GHz",
        "architecture": "x86_64",
        "board": None,
        "cores": {"physical": 2, "logical": 4, "affinity": 4, "quota": None, "usable": 4, "smt": True},
        "memory_bytes": 8_201_314_304,
        "memory_limit_bytes": None,
        "gpus": [],
        "driver": None,
        "cuda": None,
        "jetson": None,
        "power_mode": None,
        "on_battery": None,
        "container": "docker",
        "hypervisor": None,
        "os": "Debian GNU/Linux 12 (bookworm)",
        "kernel": "6.1.0-18-amd64",
        "versions": {"gcpose-trt": "0.1.0", "python": "3.11.7", "numpy": "2.4.6", "onnxruntime": "1.32.0"},
        "load": 0.31,
        "governor": "performance",
        "clocks": {"driver": "intel_pstate", "min_mhz": 800, "max_mhz": 2400, "boost": False},
        "energy_sensors": ["package-0"],
        "absent": {"gpus": "no NVIDIA GPU that programs can use", "power_mode": "the firmware offers no profile"},
    }


def _session(rng: np.random.Generator, started: str, ended: str) -> dict[str, Any]:
    return {"started": started, "ended": ended, "before": _snapshot(rng, started), "after": _snapshot(rng, ended)}


def _snapshot(rng: np.random.Generator, when: str) -> dict[str, Any]:
    return {
        "time": when,
        "load": round(float(rng.uniform(0.1, 0.4)), 2),
        "cpu_mhz": {"min": 2340.0, "median": 2380.0, "max": round(float(rng.uniform(2390, 2400)), 0)},
        "temperatures": {"x86_pkg_temp": round(float(rng.uniform(50, 58)), 1)},
        "throttled": {},
        "throttle_counts": {"package 0": 3},
        "gpus": [],
        "memory_available_bytes": int(rng.uniform(4e9, 6e9)),
        "absent": {"gpus": "no NVIDIA driver that answers"},
    }


def _poses(rng: np.random.Generator, frame: int) -> PoseFrame:
    people = 1 + frame % 3
    centres = rng.uniform((100, 90), (540, 270), (people, 2))
    half = np.stack([np.full(people, 40.0), np.full(people, 85.0)], axis=1)
    boxes = np.concatenate([centres - half, centres + half], axis=1)
    joints = centres[:, None] + rng.uniform(-1, 1, (people, 17, 2)) * half[:, None]
    confidence = rng.uniform(0.3, 1.0, (people, 17, 1))
    scores = np.sort(rng.uniform(0.4, 0.99, people))[::-1]
    return PoseFrame(boxes, scores, np.concatenate([joints, confidence], axis=2))  # type: ignore[arg-type]


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
