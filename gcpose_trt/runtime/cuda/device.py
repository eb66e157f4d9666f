"""A GPU's primary context and what lives in it: memory, streams, events, graphs; all of it freed by one `close`."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from types import TracebackType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gcpose_trt.errors import GcposeError
from gcpose_trt.runtime.cuda.protocol import DeviceInfo, Driver


class Resource:
    """Something of the driver that must be given back once.

    Args:
        device: whose context it lives in.
        kind: what it is, for `Device.live`.
        destroy: gives it back; called with the context current.
    """

    def __init__(self, device: Device, kind: str, destroy: Callable[[], None]) -> None:
        self._device = device
        self.kind = kind
        self._destroy: Callable[[], None] | None = destroy
        device._keep(self)

    def free(self) -> None:
        """Give it back; twice is harmless."""
        destroy, self._destroy = self._destroy, None
        if destroy is not None:
            try:
                with self._device.current():
                    destroy()
            finally:
                self._device._forget(self)


class DeviceMemory(Resource):
    """Memory of the GPU: `address`, a multiple of 256, and `size` in bytes."""

    def __init__(self, device: Device, size: int) -> None:
        driver = device.driver
        handle, self.address = driver.allocate(size)
        self.size = size
        super().__init__(device, "device memory", lambda: driver.free(handle))


class PinnedMemory(Resource):
    """Page-locked host memory: `bytes`, (size,) uint8. No view of it may be used after `free`."""

    def __init__(self, device: Device, size: int) -> None:
        driver = device.driver
        handle, self.bytes = driver.allocate_pinned(size)
        super().__init__(device, "pinned memory", lambda: driver.free_pinned(handle))

    def view(self, shape: tuple[int, ...], dtype: Any, offset: int = 0) -> NDArray[Any]:
        """Return the bytes from `offset` as an array."""
        length = int(np.prod(shape)) * np.dtype(dtype).itemsize
        return self.bytes[offset : offset + length].view(dtype).reshape(shape)


class Event(Resource):
    """A point in a stream."""

    def __init__(self, device: Device, timing: bool) -> None:
        driver = device.driver
        self.handle = handle = driver.create_event(timing)
        self._driver = driver
        super().__init__(device, "event", lambda: driver.destroy_event(handle))

    def synchronize(self) -> None:
        """Wait until it has happened; other threads of Python run meanwhile."""
        self._driver.synchronize_event(self.handle)

    def since(self, start: Event) -> float:
        """Milliseconds since another timed event; both have happened."""
        return self._driver.elapsed(start.handle, self.handle)


class Graph(Resource):
    """Work that was captured once and is launched as one."""

    def __init__(self, device: Device, handle: Any) -> None:
        driver = device.driver
        self.handle = handle
        super().__init__(device, "graph", lambda: driver.destroy_graph(handle))


class Stream(Resource):
    """Work in order; `address` is the CUstream as a number, for other libraries."""

    def __init__(self, device: Device) -> None:
        self._driver = driver = device.driver
        self.handle = handle = driver.create_stream()
        self.address = driver.stream_address(handle)
        super().__init__(device, "stream", lambda: driver.destroy_stream(handle))

    def to_device(self, address: int, pinned: NDArray[Any]) -> None:
        """Enqueue a copy of a contiguous array in pinned memory."""
        self._driver.to_device(address, pinned.reshape(-1).view(np.uint8), self.handle)

    def to_host(self, pinned: NDArray[Any], address: int) -> None:
        """Enqueue a copy into a contiguous array in pinned memory."""
        self._driver.to_host(pinned.reshape(-1).view(np.uint8), address, self.handle)

    def fill(self, memory: DeviceMemory, value: int = 0) -> None:
        """Enqueue writing one byte's value over all of the memory."""
        self._driver.fill(memory.address, value, memory.size, self.handle)

    def record(self, event: Event) -> None:
        """Enqueue the event."""
        self._driver.record(event.handle, self.handle)

    def wait(self, event: Event) -> None:
        """Let what is enqueued from here on wait for the event's last record."""
        self._driver.wait_event(self.handle, event.handle)

    def wait_foreign(self, address: int) -> None:
        """Let what is enqueued from here on wait for the CUstream of another library (1 legacy, 2 per thread)."""
        self._driver.wait_foreign(self.handle, address)

    def launch(self, graph: Graph) -> None:
        """Enqueue a graph."""
        self._driver.launch(graph.handle, self.handle)

    def synchronize(self) -> None:
        """Wait until it is empty; other threads of Python run meanwhile."""
        self._driver.synchronize_stream(self.handle)


class Lot:
    """Several resources of a device that are made, and given back, together.

    Entered with `with`, it gives all back if the block fails, and otherwise leaves them.

    Args:
        device: whose.
    """

    def __init__(self, device: Device) -> None:
        self._device = device
        self._made: list[Resource] = []

    def allocate(self, size: int) -> DeviceMemory:
        """See `Device.allocate`."""
        memory = self._device.allocate(size)
        self._made.append(memory)
        return memory

    def allocate_pinned(self, size: int) -> PinnedMemory:
        """See `Device.allocate_pinned`."""
        memory = self._device.allocate_pinned(size)
        self._made.append(memory)
        return memory

    def event(self, timing: bool = False) -> Event:
        """See `Device.event`."""
        event = self._device.event(timing)
        self._made.append(event)
        return event

    def free(self) -> None:
        """Give all back."""
        while self._made:
            self._made.pop().free()

    def __enter__(self) -> Lot:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is not None:
            self.free()


class Device:
    """The primary context of one GPU, shared with every other library in the process.

    Use it from any thread; what is made here may be used in any thread within `current()`. `close` frees what is left.

    Args:
        driver: a binding of the CUDA driver.
        index: the GPU's number.

    Raises:
        CudaError: no such GPU, or its context cannot be made.
    """

    def __init__(self, driver: Driver, index: int = 0) -> None:
        self.driver = driver
        count = driver.device_count()
        if not 0 <= index < count:
            raise GcposeError(
                f"there is no GPU {index}, this machine shows {count}; choose another (nvidia-smi -L lists them, "
                "CUDA_VISIBLE_DEVICES hides them), or use backend onnxruntime"
            )
        self.info: DeviceInfo = driver.describe(index)
        self._resources: dict[int, Resource] = {}
        self._lock = threading.Lock()
        self._depth = threading.local()
        self._context: Any = driver.retain(index)

    @contextmanager
    def current(self) -> Iterator[None]:
        """Make the context current in this thread, and leave what was current before as it was.

        Raises:
            GcposeError: the device is closed.
        """
        # Nested calls cost nothing: only the outermost talks to the driver.
        depth = getattr(self._depth, "value", 0)
        if depth == 0:
            if self._context is None:
                raise GcposeError("the GPU was closed; make a new PoseEstimator")
            self.driver.push(self._context)
        self._depth.value = depth + 1
        try:
            yield
        finally:
            self._depth.value = depth
            if depth == 0:
                self.driver.pop()

    def memory(self) -> tuple[int, int]:
        """Return free and total bytes."""
        with self.current():
            return self.driver.memory()

    def allocate(self, size: int) -> DeviceMemory:
        """Return device memory of at least one byte.

        Raises:
            CudaError: out of memory.
        """
        with self.current():
            return DeviceMemory(self, max(1, size))

    def allocate_pinned(self, size: int) -> PinnedMemory:
        """Return page-locked host memory of at least one byte.

        Raises:
            CudaError: out of memory.
        """
        with self.current():
            return PinnedMemory(self, max(1, size))

    def stream(self) -> Stream:
        """Return a new stream, which does not wait for the legacy default stream."""
        with self.current():
            return Stream(self)

    def event(self, timing: bool = False) -> Event:
        """Return a new event."""
        with self.current():
            return Event(self, timing)

    def capture(self, stream: Stream, enqueue: Callable[[], None]) -> Graph:
        """Return a graph of what `enqueue` puts on the stream, which does not run.

        Raises:
            GcposeError: something in it cannot be captured; the stream is as before.
        """
        with self.current():
            self.driver.begin_capture(stream.handle)
            try:
                enqueue()
            except BaseException:
                with suppress(GcposeError):  # what broke the capture is the error to report
                    self.driver.destroy_graph(self.driver.end_capture(stream.handle))
                raise
            return Graph(self, self.driver.end_capture(stream.handle))

    def synchronize(self) -> None:
        """Wait for everything on the GPU that this process enqueued."""
        with self.current():
            self.driver.synchronize()

    @property
    def live(self) -> Counter[str]:
        """What was made and not yet freed, by kind."""
        with self._lock:
            return Counter(resource.kind for resource in self._resources.values())

    def close(self) -> None:
        """Wait for the GPU, free everything that was made here and give the context back. Twice is harmless.

        Raises:
            CudaError: the first thing that could not be freed; the others are freed nevertheless.
        """
        if self._context is None:
            return
        errors: list[GcposeError] = []
        steps = [self.synchronize, *(resource.free for resource in reversed(list(self._resources.values())))]
        for step in steps:
            try:
                step()
            except GcposeError as error:
                errors.append(error)
        context, self._context = self._context, None
        self.driver.release(context, self.info.index)
        if errors:
            raise errors[0]

    def _keep(self, resource: Resource) -> None:
        with self._lock:
            self._resources[id(resource)] = resource

    def _forget(self, resource: Resource) -> None:
        with self._lock:
            self._resources.pop(id(resource), None)

    def __enter__(self) -> Device:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
