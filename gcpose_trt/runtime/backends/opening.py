"""Which library runs a model, and with what: the options of `PoseEstimator` that go together, and those that do not."""

from __future__ import annotations

import os
from typing import Any

from gcpose_trt.errors import GcposeError
from gcpose_trt.runtime import bundle
from gcpose_trt.runtime.backends import Backend

BACKENDS = ("auto", "onnxruntime", "torch", "tensorrt")
PRECISIONS = ("fp32", "fp16", "int8")
_BUILD = "build them with: gcpose-trt build-engine"


def open_backend(
    model: Any,
    backend: str = "auto",
    threads: int | None = None,
    precision: str | None = None,
    device: str | None = None,
) -> Backend:
    """Return a model that is ready to run; see `PoseEstimator` for the arguments.

    Raises:
        GcposeError: no such model, it cannot be loaded, or the options do not go together.
        MissingDependencyError: the backend is not installed.
    """
    is_path = isinstance(model, (str, os.PathLike))
    engines = bundle.engine_folder(model) if is_path else None
    chosen = _choose(model, is_path, engines is not None) if backend == "auto" else backend
    if precision is not None and precision not in PRECISIONS:
        raise GcposeError(f"no precision is called {precision!r}; choose one of {', '.join(PRECISIONS)}")
    if chosen == "torch":
        from gcpose_trt.runtime.backends.torch_backend import TorchBackend

        _refuse_engines(chosen, engines)
        if precision == "int8":
            raise GcposeError("backend torch does not run in int8; use backend onnxruntime, or TensorRT engines")
        return TorchBackend(model, threads, device, None if precision is None else precision == "fp16")
    if not is_path:
        raise GcposeError(f"backend {chosen} takes a name or a path, not a {type(model).__name__}; use backend torch")
    if chosen == "tensorrt":
        return _open_engines(model, engines, threads, precision, device)
    _refuse_engines(chosen, engines)
    if device not in (None, "cpu"):
        raise GcposeError(f"backend onnxruntime runs on the CPU, not on {device}; leave the device out, or use torch")
    paths = bundle.find(model)
    from gcpose_trt.runtime.backends.onnxruntime_backend import OnnxRuntimeBackend

    return OnnxRuntimeBackend(paths, threads, precision or "fp32")


def _choose(model: Any, is_path: bool, is_engine: bool) -> str:
    if is_engine:
        return "tensorrt"
    checkpoint = is_path and os.fspath(model).endswith((".pth", ".pt"))
    return "torch" if checkpoint or not is_path else "onnxruntime"


def _refuse_engines(backend: str, engines: Any) -> None:
    if engines is not None:
        raise GcposeError(
            f"{engines} holds TensorRT engines, which backend {backend} cannot run; use backend tensorrt, or give the "
            "model that they were built from"
        )


def _open_engines(model: Any, engines: Any, threads: int | None, precision: str | None, device: str | None) -> Backend:
    if engines is None:
        raise GcposeError(
            f"{os.fspath(model)} is no folder of TensorRT engines; {_BUILD} {os.fspath(model)} --output DIR"
        )
    if threads is not None:
        raise GcposeError("backend tensorrt runs on the GPU and has no CPU threads to set; leave the threads out")
    kind, _, number = (device or "cuda").partition(":")
    if kind != "cuda" or not (number or "0").isdigit():
        raise GcposeError(f"backend tensorrt runs on a GPU, not on {device!r}; leave the device out or give cuda:0")
    from gcpose_trt.runtime.engine_record import EngineRecord

    if precision is not None:
        built = EngineRecord.load(engines)
        if built.precision != precision:
            raise GcposeError(
                f"{engines} was built in {built.precision}, not {precision}; leave the precision out, or build another "
                f"with: gcpose-trt build-engine --precision {precision}"
            )
    from gcpose_trt.runtime.backends.tensorrt_backend import TensorRTBackend

    return TensorRTBackend(engines, int(number or 0))
