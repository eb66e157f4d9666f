"""What the toolkit asks of a Python binding of the CUDA driver: the least that the runtime needs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class DeviceInfo:
    """A GPU.

    Attributes:
        index: its number, from 0.
        name: as the driver gives it, "NVIDIA H200" or "Orin".
        compute_capability: "9.0".
        total_memory: bytes.
        driver_version: newest CUDA that the driver supports, "13.0".
        integrated: whether it shares the host's memory, as on Jetson.
    """

    index: int
    name: str
    compute_capability: str
    total_memory: int
    driver_version: str
    integrated: bool


class Driver(Protocol):
    """One binding. Handles are its own objects: nobody but the binding looks inside.

    Everything but `describe`, `device_count`, `retain` and `push` needs a current context. Every method raises
    `CudaError`.
    """

    name: str

    def device_count(self) -> int:
        """Number of GPUs; 0 is an answer, no driver an error."""

    def describe(self, index: int) -> DeviceInfo:
        """Describe a GPU, without making a context on it."""

    def retain(self, index: int) -> Any:
        """Take a reference to the primary context, which all libraries of a process share, and return it."""

    def release(self, context: Any, index: int) -> None:
        """Give the reference back; the context is not current afterwards."""

    def push(self, context: Any) -> None:
        """Make it current in this thread, above what was."""

    def pop(self) -> None:
        """Undo `push`."""

    def synchronize(self) -> None:
        """Wait for everything on the GPU."""

    def memory(self) -> tuple[int, int]:
        """Free and total bytes."""

    def allocate(self, size: int) -> tuple[Any, int]:
        """Return device memory, and its address, a multiple of 256."""

    def free(self, memory: Any) -> None:
        """Free what `allocate` returned."""

    def allocate_pinned(self, size: int) -> tuple[Any, NDArray[np.uint8]]:
        """Return page-locked host memory (size,), which copies may read and write while Python goes on."""

    def free_pinned(self, memory: Any) -> None:
        """Free what `allocate_pinned` returned."""

    def to_device(self, address: int, pinned: NDArray[np.uint8], stream: Any) -> None:
        """Enqueue a copy of contiguous page-locked bytes."""

    def to_host(self, pinned: NDArray[np.uint8], address: int, stream: Any) -> None:
        """Enqueue a copy into contiguous page-locked bytes."""

    def fill(self, address: int, value: int, size: int, stream: Any) -> None:
        """Enqueue writing one byte's value `size` times."""

    def create_stream(self) -> Any:
        """Return a stream that does not wait for the legacy default stream."""

    def stream_address(self, stream: Any) -> int:
        """Return the CUstream as a number, for other libraries."""

    def synchronize_stream(self, stream: Any) -> None:
        """Wait for a stream, without holding the interpreter's lock."""

    def wait_foreign(self, stream: Any, address: int) -> None:
        """Make `stream` wait for what another library enqueued on the CUstream `address` (1 legacy, 2 per thread)."""

    def destroy_stream(self, stream: Any) -> None:
        """Destroy what `create_stream` returned."""

    def create_event(self, timing: bool) -> Any:
        """Return an event; those without timing are cheaper."""

    def record(self, event: Any, stream: Any) -> None:
        """Enqueue the event."""

    def wait_event(self, stream: Any, event: Any) -> None:
        """Make the rest of the stream wait for the event's last record."""

    def synchronize_event(self, event: Any) -> None:
        """Wait for the event's last record, without holding the interpreter's lock."""

    def elapsed(self, start: Any, end: Any) -> float:
        """Milliseconds between two timed events that have happened."""

    def destroy_event(self, event: Any) -> None:
        """Destroy what `create_event` returned."""

    def begin_capture(self, stream: Any) -> None:
        """Collect what this thread enqueues on the stream instead of running it."""

    def end_capture(self, stream: Any) -> Any:
        """End collecting and return the executable graph. Ends it also where it fails."""

    def launch(self, graph: Any, stream: Any) -> None:
        """Enqueue a graph."""

    def destroy_graph(self, graph: Any) -> None:
        """Destroy what `end_capture` returned."""
