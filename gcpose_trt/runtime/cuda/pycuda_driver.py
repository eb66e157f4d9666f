"""The CUDA driver through pycuda: the primary context, never pycuda.autoinit or pycuda.tools.

pycuda keeps a stack of contexts of its own in each thread and refuses to destroy an object in a thread where its
context is not on top of that stack, so everything, freeing included, happens between `push` and `pop`. It wraps no
graphs: those functions are called in the driver's library itself.
"""

from __future__ import annotations

import ctypes
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gcpose_trt.runtime.cuda.errors import OUT_OF_MEMORY, CudaError, no_driver
from gcpose_trt.runtime.cuda.protocol import DeviceInfo

try:
    import pycuda.driver as drv
except ImportError as _error:
    if "libcuda" not in str(_error):
        raise
    raise no_driver(_error) from _error

_THREAD_LOCAL = 1  # CU_STREAM_CAPTURE_MODE_THREAD_LOCAL
# pycuda gives the driver's words only; these are its words for the codes that have an advice of their own.
_WORDS = {
    "no CUDA-capable device is detected": 100,
    "invalid device ordinal": 101,
    "invalid device context": 201,
    "context is destroyed": 709,
    "an illegal memory access was encountered": 700,
    "unspecified launch failure": 719,
    "the launch timed out and was terminated": 702,
    "unknown error": 999,
    "initialization error": 3,
    "driver shutting down": 4,
    "CUDA driver is a stub library": 34,
    "system has unsupported display driver / cuda driver combination": 803,
}


class PyCuda:
    """See `Driver` for the methods.

    Raises:
        CudaError: the driver does not start.
    """

    name = "pycuda"

    def __init__(self) -> None:
        with _errors():
            drv.init()
        self._library = ctypes.CDLL("libcuda.so.1")

    def device_count(self) -> int:
        with _errors():
            return int(drv.Device.count())

    def describe(self, index: int) -> DeviceInfo:
        with _errors():
            device = drv.Device(index)
            version = int(drv.get_driver_version())
            major, minor = device.compute_capability()
            return DeviceInfo(
                index=index,
                name=device.name().strip(),
                compute_capability=f"{major}.{minor}",
                total_memory=int(device.total_memory()),
                driver_version=f"{version // 1000}.{version % 1000 // 10}",
                integrated=bool(device.get_attribute(drv.device_attribute.INTEGRATED)),
            )

    def retain(self, index: int) -> Any:
        with _errors():
            return drv.Device(index).retain_primary_context()

    def release(self, context: Any, index: int) -> None:
        # Pushed, because pycuda gives a context back only where it is current, or in the thread that made it. Taken off
        # the driver's stack before that, because detaching puts the context below back, but leaves this one there.
        with _errors():
            context.push()
            self._raw("cuCtxPopCurrent_v2", ctypes.byref(ctypes.c_void_p()))
            context.detach()

    def push(self, context: Any) -> None:
        with _errors():
            context.push()

    def pop(self) -> None:
        with _errors():
            drv.Context.pop()

    def synchronize(self) -> None:
        with _errors():
            drv.Context.synchronize()

    def memory(self) -> tuple[int, int]:
        with _errors():
            free, total = drv.mem_get_info()
            return int(free), int(total)

    def allocate(self, size: int) -> tuple[Any, int]:
        with _errors():
            memory = drv.mem_alloc(size)
            return memory, int(memory)

    def free(self, memory: Any) -> None:
        with _errors():
            memory.free()

    def allocate_pinned(self, size: int) -> tuple[Any, NDArray[np.uint8]]:
        with _errors():
            array = drv.pagelocked_empty(size, np.uint8)
            return array.base, array

    def free_pinned(self, memory: Any) -> None:
        with _errors():
            memory.free()

    def to_device(self, address: int, pinned: NDArray[np.uint8], stream: Any) -> None:
        with _errors():
            drv.memcpy_htod_async(address, pinned, stream.value)

    def to_host(self, pinned: NDArray[np.uint8], address: int, stream: Any) -> None:
        with _errors():
            drv.memcpy_dtoh_async(pinned, address, stream.value)

    def fill(self, address: int, value: int, size: int, stream: Any) -> None:
        with _errors():
            drv.memset_d8_async(address, value, size, stream.value)

    def create_stream(self) -> Any:
        with _errors():
            return _Box(drv.Stream(1))  # CU_STREAM_NON_BLOCKING

    def stream_address(self, stream: Any) -> int:
        return int(stream.value.handle)

    def synchronize_stream(self, stream: Any) -> None:
        with _errors():
            stream.value.synchronize()

    def wait_foreign(self, stream: Any, address: int) -> None:
        # pycuda cannot name a stream that it did not make; waiting on the host is as right, and slower.
        self._raw("cuStreamSynchronize", ctypes.c_void_p(address))

    def destroy_stream(self, stream: Any) -> None:
        with _errors():
            stream.value = None  # pycuda destroys what nothing refers to

    def create_event(self, timing: bool) -> Any:
        with _errors():
            return _Box(drv.Event(0 if timing else drv.event_flags.DISABLE_TIMING))

    def record(self, event: Any, stream: Any) -> None:
        with _errors():
            event.value.record(stream.value)

    def wait_event(self, stream: Any, event: Any) -> None:
        with _errors():
            stream.value.wait_for_event(event.value)

    def synchronize_event(self, event: Any) -> None:
        with _errors():
            event.value.synchronize()

    def elapsed(self, start: Any, end: Any) -> float:
        with _errors():
            return float(start.value.time_till(end.value))

    def destroy_event(self, event: Any) -> None:
        with _errors():
            event.value = None

    def begin_capture(self, stream: Any) -> None:
        self._raw("cuStreamBeginCapture_v2", _stream(stream), _THREAD_LOCAL)

    def end_capture(self, stream: Any) -> Any:
        graph, executable = ctypes.c_void_p(), ctypes.c_void_p()
        self._raw("cuStreamEndCapture", _stream(stream), ctypes.byref(graph))
        try:
            self._raw("cuGraphInstantiateWithFlags", ctypes.byref(executable), graph, ctypes.c_ulonglong(0))
        finally:
            self._raw("cuGraphDestroy", graph)
        return executable

    def launch(self, graph: Any, stream: Any) -> None:
        self._raw("cuGraphLaunch", graph, _stream(stream))

    def destroy_graph(self, graph: Any) -> None:
        self._raw("cuGraphExecDestroy", graph)

    def _raw(self, name: str, *arguments: Any) -> None:
        code = getattr(self._library, name)(*arguments)
        if code:
            text = ctypes.c_char_p()
            self._library.cuGetErrorString(code, ctypes.byref(text))
            raise CudaError(name, code, (text.value or b"").decode(errors="replace"))


class _Box:
    """Holds the only reference to an object of pycuda, so that dropping it destroys the object there and then."""

    def __init__(self, value: Any) -> None:
        self.value: Any = value


def _stream(stream: _Box) -> ctypes.c_void_p:
    return ctypes.c_void_p(stream.value.handle)


@contextmanager
def _errors() -> Iterator[None]:
    """Turn pycuda's exceptions, which hold the call and the driver's words, into ours."""
    try:
        yield
    except drv.Error as error:
        call, _, words = str(error).partition(" failed: ")
        words = re.split(r" - ", words)[0].strip()
        code = OUT_OF_MEMORY if isinstance(error, drv.MemoryError) else _WORDS.get(words)
        raise CudaError(call, code, words) from error
