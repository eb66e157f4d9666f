"""Why a contender cannot run here, as far as it can be known without opening it."""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Callable
from pathlib import Path

from gcpose_trt.benchmark import peers
from gcpose_trt.benchmark.contender import ContenderSpec
from gcpose_trt.errors import GcposeError
from gcpose_trt.runtime import bundle
from gcpose_trt.runtime.engine_record import EngineRecord

# A discrete GPU, a Jetson's in several generations of its drivers, Windows' behind WSL.
_DEVICES = ("nvidia[0-9]*", "nvhost-gpu", "nvhost-ctrl-gpu", "dxg")
_BUILD = "gcpose-trt build-engine"


def has_gpu(devices: Path = Path("/dev")) -> bool:
    """Say whether there is an NVIDIA GPU; no driver is asked, because that takes memory on it for good."""
    return any(next(devices.glob(pattern), None) is not None for pattern in _DEVICES)


def obstacle(spec: ContenderSpec, gpu: Callable[[], bool] = has_gpu) -> str | None:
    """Return why this contender is left out, ending with what to do; None if it may run.

    Args:
        spec: the contender.
        gpu: says whether there is a GPU.

    Raises:
        GcposeError: there is no such peer.
    """
    if spec.peer:
        return peers.missing(spec)
    engines = bundle.engine_folder(spec.model)
    if spec.backend == "torch":
        return _torch(spec, engines)
    if spec.backend == "tensorrt" or (spec.backend == "auto" and engines is not None):
        return _tensorrt(spec, engines, gpu)
    return _onnxruntime(spec, engines)


def _torch(spec: ContenderSpec, engines: Path | None) -> str | None:
    if engines is not None:
        return f"{engines.name} holds TensorRT engines, which backend torch does not run; use backend tensorrt"
    if spec.precision == "int8":
        return "backend torch does not run in int8; use backend onnxruntime, or TensorRT engines"
    if importlib.util.find_spec("torch") is None:
        return "PyTorch is not installed; pip install 'gcpose-trt[train]'"
    return None


def _tensorrt(spec: ContenderSpec, engines: Path | None, gpu: Callable[[], bool]) -> str | None:
    if not gpu():
        return "this machine has no NVIDIA GPU; run on one that has"
    if engines is None:
        name = Path(spec.model).name
        if name not in bundle.shipped_names() and not Path(spec.model).exists():
            return f"there is no folder {spec.model}; build engines with: {_BUILD} mobile --output {spec.model}"
        return f"{name} is no folder of TensorRT engines; build one with: {_BUILD} {name} --output DIR"
    if spec.precision is not None:
        try:
            built = EngineRecord.load(engines).precision
        except GcposeError as error:
            return str(error)
        if built != spec.precision:
            return f"{engines.name} was built in {built}; build another with: {_BUILD} --precision {spec.precision}"
    return None


def _onnxruntime(spec: ContenderSpec, engines: Path | None) -> str | None:
    if engines is not None:
        return f"{engines.name} holds TensorRT engines, which ONNX Runtime does not run; use backend tensorrt"
    if spec.backend == "auto" and os.fspath(spec.model).endswith((".pth", ".pt")):
        return _torch(spec, engines)
    if spec.device not in (None, "cpu"):
        return f"backend onnxruntime runs on the CPU, not on {spec.device}; leave the device out, or use torch"
    if spec.precision == "fp16" and importlib.util.find_spec("onnx") is None:
        return "fp16 on the CPU needs the package onnx: pip install 'gcpose-trt[export]'"
    return None
