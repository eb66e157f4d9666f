"""A folder of TensorRT engines, run one half after the other with the values in between on the host.

Slower than the runtime's own way and simpler: here a comparison must be able to feed the second half with another
side's features. An engine tells its outputs only.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from gcpose_trt.compare.side import Array, Detected, Posed
from gcpose_trt.errors import GcposeError
from gcpose_trt.runtime.backends.tensorrt.engine import Context, Engine
from gcpose_trt.runtime.backends.tensorrt.opening import open_folder
from gcpose_trt.runtime.cuda import DeviceMemory
from gcpose_trt.runtime.engine_record import FILE_NAME
from gcpose_trt.runtime.info import ModelInfo

_WHY = "an engine tells its outputs only"


class EngineSide:
    """Both engines of a folder.

    Args:
        folder: written by `gcpose-trt build-engine`.
        label: what the report calls this side.
        device: number of the GPU.

    Raises:
        GcposeError: see `gcpose_trt.runtime.backends.tensorrt.opening.open_folder`.
    """

    absent: Mapping[str, str] = dict.fromkeys(("pyramid", "proposals", "box branch", "logits"), _WHY)

    def __init__(self, folder: str, label: str = "", device: int = 0) -> None:
        self.label = label or folder
        self._opened = open_folder(Path(folder), device)
        record = self._opened.record
        made = {**record.model, "size": list(record.size), "max_people": record.max_people}
        self.info = ModelInfo.from_dict(made, str(Path(folder) / FILE_NAME))
        self.batch_limit: int | None = record.batch
        self._stream = self._opened.device.stream()
        self._contexts: dict[tuple[str, int], Context] = {}

    def detect(self, image: NDArray[np.uint8], image_size: NDArray[np.int64]) -> Detected:
        """See `Side.detect`."""
        engine = self._opened.detector
        shapes = {name: engine.tensors[name].shape for name in ("p2", "boxes", "scores", "count")}
        found = self._run(engine, 0, {"image": image, "image_size": image_size}, shapes)
        return Detected(
            p2=found["p2"].astype(np.float32),
            boxes=found["boxes"],
            scores=found["scores"],
            count=found["count"].astype(np.int64),
        )

    def refine(self, found: Detected, image_size: NDArray[np.int64]) -> tuple[Array, Array] | None:
        """An engine cannot be cut."""
        return None

    def pose(self, p2: Array, boxes: Array, batch_index: Array) -> Posed:
        """See `Side.pose`; rows that fill a bucket are of nobody, and dropped."""
        engine, buckets = self._opened.pose, self._opened.record.buckets
        wanted = engine.tensors["p2"].shape
        if p2.shape[1:] != wanted[1:]:
            raise GcposeError(
                f"{self.label} takes P2 of shape {wanted[1:]}, not {p2.shape[1:]}; compare it at its own size"
            )
        most = buckets[-1]
        keypoints = []
        for start in range(0, len(boxes), most):
            part, rows = boxes[start : start + most], batch_index[start : start + most]
            profile = next(place for place, bucket in enumerate(buckets) if bucket >= len(part))
            bucket = buckets[profile]
            fill = ((0, bucket - len(part)), (0, 0))
            feeds = {"p2": p2, "boxes": np.pad(part, fill), "batch_index": np.pad(rows, fill[0])}
            found = self._run(engine, profile, feeds, {"keypoints": (bucket, *engine.tensors["keypoints"].shape[1:])})
            keypoints.append(found["keypoints"][: len(part)])
        return Posed(np.concatenate(keypoints))

    def _run(
        self, engine: Engine, profile: int, feeds: Mapping[str, Array], outputs: Mapping[str, tuple[int, ...]]
    ) -> dict[str, Array]:
        """Run an engine on arrays, cast to its types, and return its outputs."""
        device, stream = self._opened.device, self._stream
        held: list[DeviceMemory] = []
        try:
            with device.current():
                given = {name: np.ascontiguousarray(feed, engine.dtype(name)) for name, feed in feeds.items()}
                results = {name: np.zeros(shape, engine.dtype(name)) for name, shape in outputs.items()}
                addresses = {}
                for name, array in {**given, **results}.items():
                    held.append(device.allocate(array.nbytes))
                    addresses[name] = held[-1].address
                for name, array in given.items():
                    self._copy_in(addresses[name], array)
                shapes = {name: array.shape for name, array in given.items()}
                self._context(engine, profile, shapes).execute(addresses, stream)
                return {name: self._copy_out(addresses[name], array) for name, array in results.items()}
        finally:
            for memory in held:
                memory.free()

    def _context(self, engine: Engine, profile: int, shapes: Mapping[str, tuple[int, ...]]) -> Context:
        key = engine.name, profile
        if key not in self._contexts:
            self._contexts[key] = engine.context(profile, shapes, self._stream)
        return self._contexts[key]

    def _copy_in(self, address: int, array: Array) -> None:
        pinned = self._opened.device.allocate_pinned(array.nbytes)
        pinned.view(array.shape, array.dtype)[...] = array
        self._stream.to_device(address, pinned.view(array.shape, array.dtype))
        self._stream.synchronize()
        pinned.free()

    def _copy_out(self, address: int, array: Array) -> Array:
        pinned = self._opened.device.allocate_pinned(array.nbytes)
        self._stream.to_host(pinned.view(array.shape, array.dtype), address)
        self._stream.synchronize()
        array[...] = pinned.view(array.shape, array.dtype)
        pinned.free()
        return array

    def close(self) -> None:
        """Free engines, memory and the GPU's context."""
        self._contexts.clear()
        self._opened.detector.close()
        self._opened.pose.close()
        self._opened.device.close()
