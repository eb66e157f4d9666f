"""A STAND-IN for pycuda.driver over ctypes; see tests/support/pycuda_standin.

Like pycuda, it keeps its own stack of contexts in each thread, with only the topmost on the driver's stack, and objects
can be destroyed only where their context is on top or in the thread that retained it.
"""

from __future__ import annotations

import ctypes
import threading
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

_cuda = ctypes.CDLL("libcuda.so.1")
_local = threading.local()


class Error(Exception):
    pass


class LogicError(Error):
    pass


class MemoryError(Error):  # pycuda's name
    pass


class event_flags:  # noqa: N801  # pycuda's name
    DEFAULT = 0
    DISABLE_TIMING = 2


class device_attribute:  # noqa: N801  # pycuda's name
    INTEGRATED = 18


def _call(name: str, *arguments: Any) -> None:
    code = getattr(_cuda, name)(*arguments)
    if code:
        text = ctypes.c_char_p()
        _cuda.cuGetErrorString(code, ctypes.byref(text))
        words = f"{name.split('_')[0]} failed: {(text.value or b'').decode()}"
        raise (MemoryError if code == 2 else LogicError)(words)


def _stack() -> list[Context]:
    if not hasattr(_local, "stack"):
        _local.stack = []
    return _local.stack


def _top() -> Context | None:
    while _stack() and not _stack()[-1].valid:
        _stack().pop()
    return _stack()[-1] if _stack() else None


def init(flags: int = 0) -> None:
    _call("cuInit", flags)


def get_driver_version() -> int:
    version = ctypes.c_int()
    _call("cuDriverGetVersion", ctypes.byref(version))
    return version.value


class Device:
    def __init__(self, index: int) -> None:
        self._device = ctypes.c_int()
        _call("cuDeviceGet", ctypes.byref(self._device), index)

    @staticmethod
    def count() -> int:
        count = ctypes.c_int()
        _call("cuDeviceGetCount", ctypes.byref(count))
        return count.value

    def name(self) -> str:
        buffer = ctypes.create_string_buffer(256)
        _call("cuDeviceGetName", buffer, 256, self._device)
        return buffer.value.decode()

    def compute_capability(self) -> tuple[int, int]:
        return self.get_attribute(75), self.get_attribute(76)

    def total_memory(self) -> int:
        size = ctypes.c_size_t()
        _call("cuDeviceTotalMem_v2", ctypes.byref(size), self._device)
        return size.value

    def get_attribute(self, attribute: int) -> int:
        value = ctypes.c_int()
        _call("cuDeviceGetAttribute", ctypes.byref(value), attribute, self._device)
        return value.value

    def retain_primary_context(self) -> Context:
        handle = ctypes.c_void_p()
        _call("cuDevicePrimaryCtxRetain", ctypes.byref(handle), self._device)
        return Context(handle, self._device)


class Context:
    def __init__(self, handle: ctypes.c_void_p, device: ctypes.c_int) -> None:
        self._handle, self._device, self._thread, self.valid = handle, device, threading.get_ident(), True

    def push(self) -> None:
        if _stack():
            _call("cuCtxPopCurrent_v2", ctypes.byref(ctypes.c_void_p()))
        _call("cuCtxPushCurrent_v2", self._handle)
        _stack().append(self)

    @staticmethod
    def pop() -> None:
        if not _stack():
            raise LogicError("context::pop failed: invalid device context - cannot pop non-current context")
        _call("cuCtxPopCurrent_v2", ctypes.byref(ctypes.c_void_p()))
        _stack().pop()
        below = _top()
        if below is not None:
            _call("cuCtxPushCurrent_v2", below._handle)

    def detach(self) -> None:
        active = _top() is self
        if active or self._thread == threading.get_ident():
            _call("cuDevicePrimaryCtxRelease_v2", self._device)
        self.valid = False
        below = _top() if active else None
        if below is not None:
            _call("cuCtxPushCurrent_v2", below._handle)

    @staticmethod
    def synchronize() -> None:
        _call("cuCtxSynchronize")


class _Owned:
    """Something that is destroyed with its last reference."""

    _destroy = ""

    def __init__(self) -> None:
        self._handle = ctypes.c_void_p()
        context = _top()
        if context is None:
            raise LogicError("explicit_context_dependent failed: invalid device context - no currently active context?")
        self._context = context

    @property
    def handle(self) -> int:
        return self._handle.value or 0

    def __del__(self) -> None:
        context = getattr(self, "_context", None)
        if context is not None and self._handle.value:
            assert _top() is context or context._thread == threading.get_ident(), (
                "cannot activate out-of-thread context"
            )
            _call(self._destroy, self._handle)
            self._handle = ctypes.c_void_p()


class Stream(_Owned):
    _destroy = "cuStreamDestroy_v2"

    def __init__(self, flags: int = 0) -> None:
        super().__init__()
        _call("cuStreamCreate", ctypes.byref(self._handle), flags)

    @property
    def synchronize(self) -> Callable[[], None]:
        # pycuda's methods have no Python frame, in which a traceback would keep the stream alive for too long.
        return partial(_call, "cuStreamSynchronize", self._handle)

    def wait_for_event(self, event: Event) -> None:
        _call("cuStreamWaitEvent", self._handle, event._handle, 0)


class Event(_Owned):
    _destroy = "cuEventDestroy_v2"

    def __init__(self, flags: int = 0) -> None:
        super().__init__()
        _call("cuEventCreate", ctypes.byref(self._handle), flags)

    def record(self, stream: Stream | None = None) -> Event:
        _call("cuEventRecord", self._handle, stream._handle if stream else None)
        return self

    def synchronize(self) -> Event:
        _call("cuEventSynchronize", self._handle)
        return self

    def time_till(self, other: Event) -> float:
        milliseconds = ctypes.c_float()
        _call("cuEventElapsedTime", ctypes.byref(milliseconds), self._handle, other._handle)
        return milliseconds.value


class DeviceAllocation(_Owned):
    _destroy = "cuMemFree_v2"

    def __int__(self) -> int:
        return self.handle

    def free(self) -> None:
        self.__del__()


class PagelockedHostAllocation(DeviceAllocation):
    _destroy = "cuMemFreeHost"
    __array_interface__: dict[str, Any]


def mem_alloc(size: int) -> DeviceAllocation:
    memory = DeviceAllocation()
    _call("cuMemAlloc_v2", ctypes.byref(memory._handle), ctypes.c_size_t(size))
    return memory


def pagelocked_empty(shape: int, dtype: Any, order: str = "C", mem_flags: int = 0) -> np.ndarray:
    memory = PagelockedHostAllocation()
    size = int(np.prod(shape)) * np.dtype(dtype).itemsize
    _call("cuMemHostAlloc", ctypes.byref(memory._handle), ctypes.c_size_t(size), mem_flags)
    kind = np.dtype(dtype).str
    memory.__array_interface__ = {"shape": (shape,), "typestr": kind, "data": (memory.handle, False), "version": 3}
    return np.asarray(memory)  # its base is the allocation, as pycuda's is


def mem_get_info() -> tuple[int, int]:
    free, total = ctypes.c_size_t(), ctypes.c_size_t()
    _call("cuMemGetInfo_v2", ctypes.byref(free), ctypes.byref(total))
    return free.value, total.value


# These drop their argument before they call: pycuda has no Python frame that a traceback would keep it alive in.
def memcpy_htod_async(dest: int, src: np.ndarray, stream: Stream) -> None:
    handle, size = stream._handle, ctypes.c_size_t(src.nbytes)
    del stream
    _call("cuMemcpyHtoDAsync_v2", ctypes.c_ulonglong(dest), ctypes.c_void_p(src.ctypes.data), size, handle)


def memcpy_dtoh_async(dest: np.ndarray, src: int, stream: Stream) -> None:
    handle, size = stream._handle, ctypes.c_size_t(dest.nbytes)
    del stream
    _call("cuMemcpyDtoHAsync_v2", ctypes.c_void_p(dest.ctypes.data), ctypes.c_ulonglong(src), size, handle)


def memset_d8_async(dest: int, data: int, size: int, stream: Stream) -> None:
    _call("cuMemsetD8Async", ctypes.c_ulonglong(dest), ctypes.c_ubyte(data), ctypes.c_size_t(size), stream._handle)
