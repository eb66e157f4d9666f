"""The memory of one batch on its way through the GPU. Two of them let one batch be copied while another is computed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gcpose_trt.pose.types import KEYPOINTS
from gcpose_trt.runtime.backends.tensorrt.engine import Engine, size_of
from gcpose_trt.runtime.cuda import Device, DeviceMemory, Lot, PinnedMemory, Stream

_ALIGN = 256  # TensorRT wants every tensor at a multiple of this


@dataclass(frozen=True)
class Part:
    """One tensor inside a piece of memory."""

    offset: int
    shape: tuple[int, ...]
    dtype: np.dtype[Any]


class Block:
    """Tensors that lie one after the other on the GPU, and their copies in page-locked memory.

    Args:
        lot: makes the memory.
        parts: name, shape and type of each.
    """

    def __init__(self, lot: Lot, parts: list[tuple[str, tuple[int, ...], np.dtype[Any]]]) -> None:
        self.parts: dict[str, Part] = {}
        end = 0
        for name, shape, dtype in parts:
            self.parts[name] = Part(end, shape, dtype)
            end += -(-size_of(shape, dtype) // _ALIGN) * _ALIGN
        self.memory: DeviceMemory = lot.allocate(end)
        self._pinned: PinnedMemory = lot.allocate_pinned(end)
        self.host: dict[str, NDArray[Any]] = {
            name: self._pinned.view(part.shape, part.dtype, part.offset) for name, part in self.parts.items()
        }

    def address(self, name: str) -> int:
        """Return where a tensor lies on the GPU."""
        return self.memory.address + self.parts[name].offset

    def clear(self, stream: Stream) -> None:
        """Zero both, the device's part on a stream."""
        self._pinned.bytes[:] = 0
        stream.fill(self.memory)

    def to_host(self, stream: Stream, rows: int | None = None) -> None:
        """Enqueue one copy of everything, of the last tensor only the first `rows`."""
        stream.to_host(self._pinned.bytes[: self._end(rows)], self.memory.address)

    def to_device(self, stream: Stream) -> None:
        """Enqueue one copy of everything."""
        stream.to_device(self.memory.address, self._pinned.bytes)

    def _end(self, rows: int | None) -> int:
        part = list(self.parts.values())[-1]
        shape = part.shape if rows is None else (rows, *part.shape[1:])
        return part.offset + size_of(shape, part.dtype)


class Slot:
    """Memory and events of one batch.

    Args:
        device: the GPU.
        detector: for shapes and types.
        pose: likewise.
        most: largest bucket of the pose engine.
        stream: where the memory is first written.

    Attributes:
        image: the detector's input (B, H, W, 3) uint8.
        sizes: `image_size` (B, 2).
        p2: the features.
        results: `count` (B,), `scores` (B, K), `boxes` (B, K, 4), `keypoints` (most, 17, 3), in this order: one copy
            brings them to the host.
        zeros: `batch_index` (most,) of people who are all in the first frame.
        picked: `boxes` (most, 4) and `batch_index` (most,) of people whom the host chose.
        began, uploaded, started, detected, posed, done: points in the streams: around upload, detector and pose.
    """

    def __init__(self, device: Device, detector: Engine, pose: Engine, most: int, stream: Stream) -> None:
        self._device = device
        self._frames: DeviceMemory | None = None
        self._staging: PinnedMemory | None = None
        with device.current(), Lot(device) as lot:  # all of it or nothing
            self._allocate(lot, detector, pose, most)
            self.results.clear(stream)
            self.picked.clear(stream)
            stream.fill(self.zeros)
            stream.synchronize()

    def _allocate(self, lot: Lot, detector: Engine, pose: Engine, most: int) -> None:
        shapes = {name: info.shape for name, info in detector.tensors.items()}
        index, real = pose.dtype("batch_index"), np.dtype(np.float32)
        self.image = lot.allocate(size_of(shapes["image"], np.dtype(np.uint8)))
        self.sizes = Block(lot, [("image_size", shapes["image_size"], detector.dtype("image_size"))])
        self.p2 = lot.allocate(size_of(shapes["p2"], detector.dtype("p2")))
        frames, people = shapes["scores"]
        self.results = Block(
            lot,
            [
                ("count", (frames,), detector.dtype("count")),
                ("scores", (frames, people), real),
                # The pose engine may read more rows than the detector has.
                ("boxes", (max(frames * people, most), 4), real),
                ("keypoints", (most, KEYPOINTS, 3), real),
            ],
        )
        self.zeros = lot.allocate(most * index.itemsize)
        self.picked = Block(lot, [("boxes", (most, 4), real), ("batch_index", (most,), index)])
        self.began, self.uploaded, self.started, self.detected, self.posed, self.done = (
            lot.event(timing=True) for _ in range(6)
        )

    def staging(self, size: int) -> tuple[NDArray[np.uint8], int]:
        """Return page-locked bytes for frames and the address of as many on the GPU; they grow as needed."""
        if self._staging is None or self._frames is None or self._frames.size < size:
            for old in (self._staging, self._frames):
                if old is not None:
                    old.free()
            self._staging = self._frames = None  # if there is no room for the new ones
            self._staging, self._frames = self._device.allocate_pinned(size), self._device.allocate(size)
        return self._staging.bytes[:size], self._frames.address

    def boxes(self) -> NDArray[np.float32]:
        """Return the detector's boxes (B, K, 4) on the host."""
        frames, people = self.results.parts["scores"].shape
        return self.results.host["boxes"][: frames * people].reshape(frames, people, 4)


def aligned(size: int) -> int:
    """Return the size up to where the next frame may begin."""
    return -(-size // _ALIGN) * _ALIGN
