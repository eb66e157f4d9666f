"""Where networks run on this machine, and how many at a time."""

from __future__ import annotations

import os

from gcpose_trt.batch.types import Recipe
from gcpose_trt.errors import GcposeError


def choose_devices(recipe: Recipe, workers: int | None = None, device: str | None = None) -> list[str | None]:
    """Return the device of each worker.

    On a CPU one worker a share of `recipe.threads` cores, which is the best throughput with one thread each; on GPUs
    one each. More workers than GPUs share them in turn.

    Args:
        recipe: says which backend runs.
        workers: as many instead.
        device: "cpu", or the one GPU to use: "cuda:1"; None takes what there is.

    Raises:
        GcposeError: CUDA cannot be used.
    """
    gpus = _gpus(recipe.backend, device)
    if not gpus:
        count = workers or max(1, cores() // max(1, recipe.threads or 1))
        return ["cpu" if recipe.backend == "torch" else None] * count
    return [gpus[index % len(gpus)] for index in range(workers or len(gpus))]


def cores() -> int:
    """Return how many cores this process may use."""
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, min(usable, _quota() or usable))


def _quota(path: str = "/sys/fs/cgroup/cpu.max") -> int | None:
    """Return the whole cores that a container's limit comes to; None without one."""
    try:
        with open(path, encoding="ascii") as stream:  # noqa: PTH123
            quota, period = stream.read().split()[:2]
        return max(1, int(quota) // int(period))
    except (OSError, ValueError):  # no control groups, or "max"
        return None


def _gpus(backend: str, device: str | None) -> list[str]:
    """Return the GPUs that a backend would use."""
    if backend == "onnxruntime":
        if device not in (None, "cpu"):
            raise GcposeError(f"backend onnxruntime runs on the CPU, not on {device}; leave the device out")
        return []
    if device == "cpu":
        return []
    if device not in (None, "cuda"):
        return [device]
    if backend == "tensorrt":
        from gcpose_trt.runtime.cuda import load_driver

        count = load_driver().device_count()
        if count == 0:
            raise GcposeError("CUDA shows no GPU; check nvidia-smi and CUDA_VISIBLE_DEVICES, or use an ONNX model")
    else:
        import torch

        count = torch.cuda.device_count() if torch.cuda.is_available() else 0
        if count == 0 and device is not None:
            return [device]  # whose worker says what is missing
    return [f"cuda:{index}" for index in range(count)]
