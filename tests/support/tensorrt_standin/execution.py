"""Contexts of the stand-ins' engines: they run the ONNX graph with ONNX Runtime, on host addresses.

A run is enqueued with cuLaunchHostFunc of the stand-in driver (tests.support.cuda_standin), so it keeps its place in
the stream and is captured into CUDA graphs like a kernel. What TensorRT forbids fails: addresses that are missing or
not at multiples of 256, shapes outside the profile, memory of a context that was never given.
"""

from __future__ import annotations

import ctypes
import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
import onnx

from tests.support.tensorrt_standin.core import Lib, say

if TYPE_CHECKING:
    from tests.support.tensorrt_standin.engines import Engine

_CALLBACK = ctypes.CFUNCTYPE(None, ctypes.c_void_p)
_TYPES = {"FLOAT": "f4", "HALF": "f2", "INT8": "i1", "INT32": "i4", "INT64": "i8", "UINT8": "u1", "BOOL": "?"}


class Context:
    """IExecutionContext: profile, shapes and addresses, and running."""

    device_memory = 0

    def __init__(self, lib: Lib, engine: Engine, managed: bool = False) -> None:
        self.lib, self.engine_core = lib, engine
        self.active_optimization_profile = 0
        self.shapes: dict[str, tuple[int, ...]] = {}
        self.addresses: dict[str, int] = {}
        self._managed = managed
        # What was enqueued, or captured into a graph, may be called for as long as the context lives.
        self._callbacks: list[Any] = []

    def set_optimization_profile_async(self, profile_index: int, stream_handle: int) -> bool:
        self.active_optimization_profile = profile_index
        return 0 <= profile_index < self.engine_core.num_optimization_profiles

    def set_input_shape(self, name: str, shape: Any) -> bool:
        low, _, high = self.engine_core.get_tensor_profile_shape(name, self.active_optimization_profile)
        sides = tuple(int(side) for side in shape)
        self.shapes[name] = sides
        return len(sides) == len(low) and all(a <= b <= c for a, b, c in zip(low, sides, high, strict=True))

    def set_tensor_address(self, name: str, memory: int) -> bool:
        self.addresses[name] = int(memory)
        return name in self.engine_core.tensors and memory % 256 == 0

    def set_device_memory(self, memory: int, size: int) -> None:
        if size < self.engine_core.device_memory_size:
            raise RuntimeError("the device memory is too small")
        self.device_memory = memory

    def execute_async_v3(self, stream_handle: int) -> bool:
        tensors = self.engine_core.tensors
        missing = [name for name in tensors if not self.addresses.get(name)]
        if missing or (self._managed and not self.device_memory):
            say(_SILENT, self.lib, "ERROR", f"no address for {missing}")
            return False
        job = _callback(self.engine_core, dict(self.addresses), dict(self.shapes))
        self._callbacks = [*self._callbacks[-63:], job] if not _captured(stream_handle) else [job, *self._callbacks]
        return _driver().cuLaunchHostFunc(ctypes.c_void_p(stream_handle), job, None) == 0


class _Silent:
    def log(self, severity: Any, text: str) -> None:
        """Say nothing."""


_SILENT = _Silent()


def _driver() -> ctypes.CDLL:
    return ctypes.CDLL("libcuda.so.1")


def _captured(stream: int) -> bool:
    status = ctypes.c_int()
    _driver().cuStreamIsCapturing(ctypes.c_void_p(stream), ctypes.byref(status))
    return status.value != 0


def _session(engine: Engine) -> Any:
    import onnxruntime as ort

    if getattr(engine, "session", None) is None:
        from gcpose_trt.graph.functions import attach_functions

        model = onnx.load_from_string(engine.model)
        attach_functions(model)
        options = ort.SessionOptions()
        options.intra_op_num_threads = 1
        options.log_severity_level = 4
        engine.session = ort.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])  # type: ignore[attr-defined]
    return engine.session  # type: ignore[attr-defined]


def _array(address: int, shape: tuple[int, ...], kind: str) -> np.ndarray:
    dtype = np.dtype(_TYPES[kind])
    size = math.prod(shape) * dtype.itemsize
    return np.frombuffer((ctypes.c_uint8 * size).from_address(address), dtype).reshape(shape)


def _callback(engine: Engine, addresses: dict[str, int], shapes: dict[str, tuple[int, ...]]) -> Callable[..., None]:
    """Return a C function that runs the graph on what lies at the addresses by then."""

    def run(_: Any) -> None:
        session = _session(engine)
        wanted = {value.name: value.type for value in session.get_inputs()}
        feeds = {}
        for name, entry in engine.tensors.items():
            if entry["input"]:
                array = _array(addresses[name], shapes.get(name, tuple(entry["shape"])), entry["kind"])
                # Engines of TensorRT 8 have int32 where the graph has int64.
                feeds[name] = array.astype(np.int64) if wanted[name] == "tensor(int64)" else array.copy()
        names = [value.name for value in session.get_outputs() if value.name in engine.tensors]
        for name, result in zip(names, session.run(names, feeds), strict=True):
            target = _array(addresses[name], result.shape, engine.tensors[name]["kind"])
            target[...] = result

    return _CALLBACK(run)
