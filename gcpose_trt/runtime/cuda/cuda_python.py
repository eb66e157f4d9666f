"""The CUDA driver through cuda-python (the package cuda-bindings)."""

from __future__ import annotations

import ctypes
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gcpose_trt.runtime.cuda.errors import CudaError, no_driver
from gcpose_trt.runtime.cuda.protocol import DeviceInfo

try:
    from cuda.bindings import driver as cu
except ImportError:  # before 12.6, which JetPack 5 and 6.0 have
    from cuda import cuda as cu


class CudaPython:
    """See `Driver` for the methods.

    Raises:
        GcposeError: no NVIDIA driver on this machine.
        CudaError: the driver does not start.
    """

    name = "cuda-python"

    def __init__(self) -> None:
        try:
            result = cu.cuInit(0)
        except Exception as error:  # without libcuda the package raises exceptions of several kinds
            raise no_driver(error) from error
        _check("cuInit", result)

    def device_count(self) -> int:
        return int(_call("cuDeviceGetCount"))

    def describe(self, index: int) -> DeviceInfo:
        device = _call("cuDeviceGet", index)
        attribute = cu.CUdevice_attribute
        version = int(_call("cuDriverGetVersion"))
        major = _call("cuDeviceGetAttribute", attribute.CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR, device)
        minor = _call("cuDeviceGetAttribute", attribute.CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR, device)
        integrated = _call("cuDeviceGetAttribute", attribute.CU_DEVICE_ATTRIBUTE_INTEGRATED, device)
        return DeviceInfo(
            index=index,
            name=_call("cuDeviceGetName", 256, device).split(b"\0")[0].decode(errors="replace").strip(),
            compute_capability=f"{major}.{minor}",
            total_memory=int(_call("cuDeviceTotalMem", device)),
            driver_version=f"{version // 1000}.{version % 1000 // 10}",
            integrated=bool(integrated),
        )

    def retain(self, index: int) -> Any:
        return _call("cuDevicePrimaryCtxRetain", _call("cuDeviceGet", index))

    def release(self, context: Any, index: int) -> None:
        _call("cuDevicePrimaryCtxRelease", _call("cuDeviceGet", index))

    def push(self, context: Any) -> None:
        _check("cuCtxPushCurrent", cu.cuCtxPushCurrent(context))

    def pop(self) -> None:
        _check("cuCtxPopCurrent", cu.cuCtxPopCurrent())

    def synchronize(self) -> None:
        _call("cuCtxSynchronize")

    def memory(self) -> tuple[int, int]:
        free, total = _call("cuMemGetInfo")
        return int(free), int(total)

    def allocate(self, size: int) -> tuple[Any, int]:
        memory = _call("cuMemAlloc", size)
        return memory, int(memory)

    def free(self, memory: Any) -> None:
        _call("cuMemFree", memory)

    def allocate_pinned(self, size: int) -> tuple[Any, NDArray[np.uint8]]:
        address = int(_call("cuMemHostAlloc", size, 0))
        return address, np.ctypeslib.as_array((ctypes.c_uint8 * size).from_address(address))

    def free_pinned(self, memory: Any) -> None:
        _call("cuMemFreeHost", memory)

    def to_device(self, address: int, pinned: NDArray[np.uint8], stream: Any) -> None:
        source = pinned.ctypes.data
        _check("cuMemcpyHtoDAsync", cu.cuMemcpyHtoDAsync(address, source, pinned.nbytes, stream))

    def to_host(self, pinned: NDArray[np.uint8], address: int, stream: Any) -> None:
        target = pinned.ctypes.data
        _check("cuMemcpyDtoHAsync", cu.cuMemcpyDtoHAsync(target, address, pinned.nbytes, stream))

    def fill(self, address: int, value: int, size: int, stream: Any) -> None:
        _call("cuMemsetD8Async", address, value, size, stream)

    def create_stream(self) -> Any:
        return _call("cuStreamCreate", cu.CUstream_flags.CU_STREAM_NON_BLOCKING.value)

    def stream_address(self, stream: Any) -> int:
        return int(stream)

    def synchronize_stream(self, stream: Any) -> None:
        _call("cuStreamSynchronize", stream)

    def wait_foreign(self, stream: Any, address: int) -> None:
        event = self.create_event(False)
        try:
            self.record(event, cu.CUstream(address))
            self.wait_event(stream, event)
        finally:
            self.destroy_event(event)  # the driver frees it once it has happened

    def destroy_stream(self, stream: Any) -> None:
        _call("cuStreamDestroy", stream)

    def create_event(self, timing: bool) -> Any:
        flags = cu.CUevent_flags
        return _call("cuEventCreate", (flags.CU_EVENT_DEFAULT if timing else flags.CU_EVENT_DISABLE_TIMING).value)

    def record(self, event: Any, stream: Any) -> None:
        _check("cuEventRecord", cu.cuEventRecord(event, stream))

    def wait_event(self, stream: Any, event: Any) -> None:
        _check("cuStreamWaitEvent", cu.cuStreamWaitEvent(stream, event, 0))

    def synchronize_event(self, event: Any) -> None:
        _check("cuEventSynchronize", cu.cuEventSynchronize(event))

    def elapsed(self, start: Any, end: Any) -> float:
        return float(_call("cuEventElapsedTime", start, end))

    def destroy_event(self, event: Any) -> None:
        _call("cuEventDestroy", event)

    def begin_capture(self, stream: Any) -> None:
        # Thread-local: what other threads do meanwhile, allocate for example, does not spoil the capture.
        mode = cu.CUstreamCaptureMode.CU_STREAM_CAPTURE_MODE_THREAD_LOCAL
        _call("cuStreamBeginCapture", stream, mode)

    def end_capture(self, stream: Any) -> Any:
        graph = _call("cuStreamEndCapture", stream)
        try:
            # CUDA 11 has a cuGraphInstantiate with other arguments, CUDA 12 and later this one under that name only.
            instantiate = "cuGraphInstantiateWithFlags"
            return _call(instantiate if hasattr(cu, instantiate) else "cuGraphInstantiate", graph, 0)
        finally:
            _call("cuGraphDestroy", graph)

    def launch(self, graph: Any, stream: Any) -> None:
        _check("cuGraphLaunch", cu.cuGraphLaunch(graph, stream))

    def destroy_graph(self, graph: Any) -> None:
        _call("cuGraphExecDestroy", graph)


def _call(name: str, *arguments: Any) -> Any:
    return _check(name, getattr(cu, name)(*arguments))


def _check(name: str, result: tuple[Any, ...]) -> Any:
    """Return what a call returned beside its code: nothing, one value or several."""
    code = int(result[0])
    if code == 0:
        return result[1] if len(result) == 2 else result[1:]
    status, text = cu.cuGetErrorString(result[0])
    raise CudaError(name, code, text.decode(errors="replace") if int(status) == 0 and text else "")
