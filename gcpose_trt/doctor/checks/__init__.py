"""The checks by topic, in the order of the report.

A check takes a `Situation` and yields any number of `Check`s. It may raise: `examine` makes that a red line with the
check's name.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from gcpose_trt.doctor.check import Check
from gcpose_trt.doctor.checks import (
    bindings,
    cameras,
    cuda,
    gpu,
    jetson,
    model,
    onnxruntime,
    opencv,
    plugins,
    pyav,
    python,
    storage,
    system,
    tensorrt,
    torch,
)
from gcpose_trt.doctor.machine import Situation


@dataclass(frozen=True)
class Topic:
    """Checks that are shown together.

    Attributes:
        key: for programs.
        title: for people.
        checks: (name, function); the name stands for the function if that fails.
    """

    key: str
    title: str
    checks: tuple[tuple[str, Callable[[Situation], Iterable[Check]]], ...]


TOPICS = (
    Topic(
        "machine",
        "This machine",
        (
            ("System", system.check_system),
            ("Jetson", jetson.check_board),
            ("Power mode", jetson.check_power),
            ("Clocks", jetson.check_clocks),
            ("Processor", system.check_processor),
            ("Memory", storage.check_memory),
            ("Disk", storage.check_disk),
        ),
    ),
    Topic(
        "running",
        "Running models on the CPU",
        (
            ("Python", python.check_python),
            ("Packages", python.check_packages),
            ("OpenCV", opencv.check),
            ("PyAV", pyav.check),
            ("ONNX Runtime", onnxruntime.check),
            ("Cameras", cameras.check),
        ),
    ),
    Topic(
        "gpu",
        "NVIDIA GPU",
        (
            ("Driver", gpu.check_driver),
            ("GPU", gpu.check_gpus),
            ("CUDA runtime", cuda.check_runtime),
            ("nvcc", cuda.check_nvcc),
            ("CUDA in Python", bindings.check),
        ),
    ),
    Topic(
        "tensorrt",
        "TensorRT",
        (
            ("TensorRT", tensorrt.check_tensorrt),
            ("TensorRT-RTX", tensorrt.check_rtx),
            ("Lean runtime", tensorrt.check_lean),
            ("Plugin library", plugins.check_library),
            ("Creators", plugins.check_creators),
            ("Headers", plugins.check_headers),
        ),
    ),
    Topic(
        "developing",
        "Training and export",
        (
            ("PyTorch", torch.check),
            ("ONNX", python.check_export),
        ),
    ),
)

MODEL = Topic("model", "The model", (("Model", model.check),))
