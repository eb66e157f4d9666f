"""Both halves of the network on the GPU, for every slot and number of people."""

from __future__ import annotations

from collections.abc import Callable

from gcpose_trt.runtime.backends.tensorrt.engine import Context, Engine
from gcpose_trt.runtime.backends.tensorrt.slot import Slot
from gcpose_trt.runtime.backends.tensorrt.stage import Graphs, Stage
from gcpose_trt.runtime.cuda import Device, Stream


class Network:
    """The engines' contexts, and what they run on.

    The detector has one context, on one stream; the pose half one a bucket, all on another stream. So the pose of one
    batch runs beside the detector of the next, and no context ever runs twice at a time. All methods are to be called
    under one lock.

    Args:
        device: the GPU.
        detector: engine of the first half.
        pose: engine of the second half.
        buckets: numbers of people that `pose` has a profile for, rising.
        graphs: whether CUDA graphs are used.
    """

    def __init__(
        self, device: Device, detector: Engine, pose: Engine, buckets: tuple[int, ...], graphs: Graphs
    ) -> None:
        self._device, self._pose, self._graphs = device, pose, graphs
        self.buckets = buckets
        self.detect_stream: Stream = device.stream()
        self.pose_stream: Stream = device.stream()
        shapes = {name: detector.tensors[name].shape for name in ("image", "image_size")}
        self._detect_context = detector.context(0, shapes, self.detect_stream)
        self._p2 = detector.tensors["p2"].shape
        self._pose_contexts: dict[int, Context] = {}
        self._stages: dict[tuple[Slot, str, int], Stage] = {}

    def bucket(self, people: int) -> int:
        """Return the smallest bucket for so many people, the largest if there is none, 0 for nobody."""
        if people == 0:
            return 0
        return next((bucket for bucket in self.buckets if bucket >= people), self.buckets[-1])

    def detect(self, slot: Slot) -> None:
        """Enqueue the first half on the slot's image."""
        results = slot.results
        addresses = {"image": slot.image.address, "image_size": slot.sizes.address("image_size")}
        addresses |= {"p2": slot.p2.address}
        addresses |= {name: results.address(name) for name in ("boxes", "scores", "count")}
        self._run(slot, "detect", 0, self.detect_stream, lambda: self._detect(addresses))

    def pose_first(self, slot: Slot, bucket: int) -> None:
        """Enqueue the second half on the first boxes of the slot's only frame, as the detector left them, and bring
        the results of both to the host."""

        def enqueue() -> None:
            self._run_pose(slot, bucket, slot.results.address("boxes"), slot.zeros.address)
            slot.results.to_host(self.pose_stream, bucket)

        self._run(slot, "first", bucket, self.pose_stream, enqueue)

    def pose_picked(self, slot: Slot, bucket: int) -> None:
        """Enqueue the second half on the boxes that lie in `slot.picked`, and bring the joints to the host."""
        picked = slot.picked

        def enqueue() -> None:
            picked.to_device(self.pose_stream)
            self._run_pose(slot, bucket, picked.address("boxes"), picked.address("batch_index"))
            slot.results.to_host(self.pose_stream, bucket)

        self._run(slot, "picked", bucket, self.pose_stream, enqueue)

    def _detect(self, addresses: dict[str, int]) -> None:
        self._detect_context.execute(addresses, self.detect_stream)

    def _run_pose(self, slot: Slot, bucket: int, boxes: int, index: int) -> None:
        addresses = {"p2": slot.p2.address, "boxes": boxes, "batch_index": index}
        addresses["keypoints"] = slot.results.address("keypoints")
        self._pose_context(bucket).execute(addresses, self.pose_stream)

    def _pose_context(self, bucket: int) -> Context:
        if bucket not in self._pose_contexts:
            shapes = {"p2": self._p2, "boxes": (bucket, 4), "batch_index": (bucket,)}
            profile = self.buckets.index(bucket)
            self._pose_contexts[bucket] = self._pose.context(profile, shapes, self.pose_stream)
        return self._pose_contexts[bucket]

    def _run(self, slot: Slot, what: str, bucket: int, stream: Stream, enqueue: Callable[[], None]) -> None:
        stage = self._stages.get((slot, what, bucket))
        if stage is None:
            stage = self._stages[slot, what, bucket] = Stage(self._device, stream, enqueue, self._graphs)
        stage.run()

    def close(self) -> None:
        """Drop the contexts; graphs and streams go with the device."""
        self._stages.clear()
        self._pose_contexts.clear()
        del self._detect_context
