"""Running a folder of TensorRT engines on a GPU.

A frame goes: page-locked memory, copy, letterbox kernel, detector, pose, one copy of the results. Two slots of memory
let the next frame be copied and detected while the pose of the one before is computed. How many people there are is
known on the GPU only, so the pose half is launched for as many as the frame before had (rounded up to a bucket), and a
second time only if there are more. With several frames a batch the host reads the boxes first and gathers those of all
frames for one launch.
"""

from __future__ import annotations

import itertools
import os
import threading
import time
from collections import deque
from collections.abc import Generator, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gcpose_trt.errors import GcposeError
from gcpose_trt.pose.types import KEYPOINTS, PoseFrame
from gcpose_trt.runtime.backends import Detections
from gcpose_trt.runtime.backends.tensorrt.frames import DeviceFrame, height_width, prepare
from gcpose_trt.runtime.backends.tensorrt.network import Network
from gcpose_trt.runtime.backends.tensorrt.opening import Opened, open_folder
from gcpose_trt.runtime.backends.tensorrt.slot import Slot
from gcpose_trt.runtime.backends.tensorrt.stage import Graphs
from gcpose_trt.runtime.backends.tensorrt.upload import Uploader
from gcpose_trt.runtime.cuda import CudaError
from gcpose_trt.runtime.preprocess import Image, Letterbox, SizeRule, fit
from gcpose_trt.runtime.timing import Timing

SLOTS = 2
MOST_SLOTS = 8  # one for each thread that is inside at a time, up to this many
NO_GRAPHS = "GCPOSE_NO_CUDA_GRAPHS"


@dataclass
class Ticket:
    """A batch that was enqueued.

    Attributes:
        slot: its memory.
        frames: kept alive until they were read.
        boxes: where each frame lies in the input.
        bucket: people that the pose half was launched for already.
        start: when it was begun, `time.perf_counter`.
    """

    slot: Slot
    frames: list[Image | DeviceFrame]
    boxes: list[Letterbox]
    bucket: int
    start: float


class TensorRTBackend:
    """The engines of a folder behind the runtime's protocol, with both halves in one go.

    GCPOSE_NO_CUDA_GRAPHS=1 launches kernels one by one, to find out whether CUDA graphs are at fault.

    Args:
        folder: has engine.json, detector.engine and pose.engine.
        device: the GPU's number.

    Raises:
        GcposeError: see `open_folder`; or there is too little GPU memory.
    """

    name = "tensorrt"

    def __init__(self, folder: Path, device: int = 0) -> None:
        self._opened: Opened = open_folder(folder, device)
        self._device, record = self._opened.device, self._opened.record
        self.info = record.model_info(str(folder))
        self.batch_limit: int | None = record.batch
        self.precision, self.device_name = record.precision, f"cuda:{device}"
        self._lock = threading.Lock()  # around whatever enqueues: contexts and streams serve one thread at a time
        self._free = threading.Condition()
        self._bucket = 0
        self._most_slots = MOST_SLOTS
        try:
            graphs = Graphs(os.environ.get(NO_GRAPHS, "") in ("", "0"))
            with self._device.current():
                self._network = Network(self._device, self._opened.detector, self._opened.pose, record.buckets, graphs)
                self._copy_stream = self._device.stream()
                self._uploader = Uploader(self._opened.library, self._copy_stream)
                self._slots = [self._slot() for _ in range(SLOTS)]
                self._idle = deque(self._slots)
        except BaseException:
            self._device.close()
            raise
        self._bucket = record.buckets[0]

    def _slot(self) -> Slot:
        opened = self._opened
        with self._lock, self._device.current():
            return Slot(self._device, opened.detector, opened.pose, opened.record.max_people, self._copy_stream)

    # ------------------------------------------------------------------------------------------- both halves at once

    def estimate(
        self, frames: Iterable[Any], rule: SizeRule, min_score: float, max_people: int
    ) -> Generator[tuple[list[PoseFrame], Timing], None, None]:
        """See `FusedBackend.estimate`; the next batch is on its way when the poses of one are given."""
        limit = self.batch_limit or 1
        source = iter(frames)
        waiting: deque[Ticket] = deque()
        last = 0.0
        try:
            while batch := list(itertools.islice(source, limit)):
                # Waiting for a slot while holding one could wait for a thread that does the same.
                slot = self._take(wait=not waiting)
                while slot is None:
                    yield self._collect(waiting.popleft(), min_score, max_people, last)
                    last = time.perf_counter()
                    slot = self._take(wait=not waiting)
                waiting.append(self._submit(slot, batch, rule))
            while waiting:
                yield self._collect(waiting.popleft(), min_score, max_people, last)
                last = time.perf_counter()
        finally:
            for ticket in waiting:  # the caller stopped early, or something failed
                self._abandon(ticket)

    def _take(self, wait: bool) -> Slot | None:
        """Return a slot that nobody uses; without `wait`, None if there is none."""
        with self._free:
            if wait and not self._idle and len(self._slots) < self._most_slots:
                # Others may be held by iterations that pause, so waiting for one could take forever.
                try:
                    self._slots.append(slot := self._slot())
                    return slot
                except CudaError:  # there is no room: share those that there are
                    self._most_slots = len(self._slots)
            if wait:
                self._free.wait_for(lambda: bool(self._idle))
            return self._idle.popleft() if self._idle else None

    def _give(self, slot: Slot) -> None:
        with self._free:
            self._idle.append(slot)
            self._free.notify()

    def _abandon(self, ticket: Ticket) -> None:
        try:
            with self._device.current():
                ticket.slot.done.synchronize()
        finally:
            self._give(ticket.slot)

    def _submit(self, slot: Slot, batch: list[Any], rule: SizeRule) -> Ticket:
        """Enqueue a batch; the slot is given back if that fails."""
        start = time.perf_counter()
        try:
            frames = [prepare(frame) for frame in batch]
            boxes = [fit(height_width(frame), rule) for frame in frames]
            with self._lock, self._device.current():
                # With several frames the host must gather the people first.
                bucket = self._bucket if self.batch_limit == 1 else 0
                self._uploader.upload(slot, frames, boxes)
                self._enqueue(slot, bucket)
            return Ticket(slot, frames, boxes, bucket, start)
        except BaseException:
            # Whatever was enqueued before it failed must end before the slot's memory serves again.
            try:
                self._device.synchronize()
            finally:
                self._give(slot)
            raise

    def _enqueue(self, slot: Slot, bucket: int) -> None:
        network = self._network
        detect, pose = network.detect_stream, network.pose_stream
        detect.wait(slot.uploaded)
        detect.record(slot.started)
        network.detect(slot)
        detect.record(slot.detected)
        if bucket:
            pose.wait(slot.detected)
            pose.record(slot.posed)
            network.pose_first(slot, bucket)
            pose.record(slot.done)
        else:
            slot.results.to_host(detect, 0)
            detect.record(slot.posed)
            detect.record(slot.done)

    def _collect(
        self, ticket: Ticket, min_score: float, max_people: int, last: float
    ) -> tuple[list[PoseFrame], Timing]:
        """Wait for a batch and return its poses; the slot is given back."""
        slot = ticket.slot
        try:
            with self._device.current():
                slot.done.synchronize()
                upload = slot.uploaded.since(slot.began)
                detector = slot.detected.since(slot.started)
                pose = slot.done.since(slot.posed)
                ready = time.perf_counter()
                people = self._people(ticket, min_score, max_people)
                keypoints, more = self._keypoints(ticket, people)
            arrived = time.perf_counter() if more else ready
            poses = _to_frames(ticket.boxes, people, keypoints)
            end = time.perf_counter()
        finally:
            self._give(slot)
        post = 1e3 * (end - arrived)
        wall = 1e3 * (end - max(ticket.start, last))
        pose += more
        return poses, Timing(max(0.0, wall - upload - detector - pose - post), detector, pose, post, upload)

    def _people(self, ticket: Ticket, min_score: float, max_people: int) -> list[tuple[NDArray[Any], NDArray[Any]]]:
        """Return boxes (n, 4) and scores (n,) of the people to go on with, of each frame, copied from the slot."""
        slot = ticket.slot
        counts, scores, boxes = slot.results.host["count"], slot.results.host["scores"], slot.boxes()
        people = []
        for row in range(len(ticket.boxes)):
            count = min(max(int(counts[row]), 0), scores.shape[1])
            # Scores fall, so these are the first rows, which is what the pose half was launched for.
            kept = min(int(np.count_nonzero(scores[row, :count] >= min_score)), max_people)
            people.append((boxes[row, :kept].copy(), scores[row, :kept].copy()))
        self._bucket = self._network.bucket(len(people[0][0]))
        return people

    def _keypoints(self, ticket: Ticket, people: list[tuple[NDArray[Any], Any]]) -> tuple[NDArray[np.float32], float]:
        """Return joints (n, 17, 3) of everybody in turn, and the GPU's milliseconds for those not computed before."""
        boxes = np.concatenate([rows for rows, _ in people])
        index = np.repeat(np.arange(len(people)), [len(rows) for rows, _ in people])
        keypoints = np.zeros((len(boxes), KEYPOINTS, 3), np.float32)
        known = min(ticket.bucket, len(boxes))
        keypoints[:known] = ticket.slot.results.host["keypoints"][:known]
        took = 0.0
        for start in range(known, len(boxes), self._network.buckets[-1]):
            rows = slice(start, start + self._network.buckets[-1])
            found, milliseconds = self._pose_rows(ticket.slot, boxes[rows], index[rows])
            keypoints[rows] = found
            took += milliseconds
        return keypoints, took

    def _pose_rows(
        self, slot: Slot, boxes: NDArray[np.float32], index: NDArray[Any]
    ) -> tuple[NDArray[np.float32], float]:
        """Run the second half on boxes that the host chose; at most as many as the largest bucket."""
        network, picked, people = self._network, slot.picked.host, len(boxes)
        bucket = network.bucket(people)
        picked["boxes"][:people], picked["batch_index"][:people] = boxes, index
        picked["boxes"][people:], picked["batch_index"][people:] = 0, 0
        with self._lock:
            network.pose_stream.wait(slot.detected)
            network.pose_stream.record(slot.posed)
            network.pose_picked(slot, bucket)
            network.pose_stream.record(slot.done)
        slot.done.synchronize()
        return slot.results.host["keypoints"][:people].copy(), slot.done.since(slot.posed)

    # ------------------------------------------------------------------------------ one half at a time, as `Backend`

    def detect(self, image: NDArray[np.uint8], image_size: NDArray[np.int64]) -> Detections:
        """See `Backend.detect`; the features come to the host, so this is for comparing, not for speed."""
        slot = self._take(wait=True)
        assert slot is not None
        try:
            with self._device.current():
                with self._lock:
                    self._copy_in(slot, image, image_size)
                    self._enqueue(slot, 0)
                slot.done.synchronize()
                p2 = self._features(slot)
                host = slot.results.host
                return Detections(p2, slot.boxes().copy(), host["scores"].copy(), host["count"].astype(np.int64))
        finally:
            self._give(slot)

    def pose(self, p2: Any, boxes: NDArray[np.float32], batch_index: NDArray[np.int64]) -> NDArray[np.float32]:
        """See `Backend.pose`."""
        slot = self._take(wait=True)
        assert slot is not None
        most = self._network.buckets[-1]
        try:
            with self._device.current():
                with self._lock:
                    pinned, _ = slot.staging(p2.nbytes)
                    pinned[:] = np.ascontiguousarray(p2).reshape(-1).view(np.uint8)
                    self._copy_stream.to_device(slot.p2.address, pinned)
                    self._copy_stream.synchronize()
                parts = [
                    self._pose_rows(slot, boxes[start : start + most], batch_index[start : start + most])[0]
                    for start in range(0, len(boxes), most)
                ]
            return np.concatenate(parts)
        finally:
            self._give(slot)

    def _copy_in(self, slot: Slot, image: NDArray[np.uint8], image_size: NDArray[np.int64]) -> None:
        expected = self._opened.detector.tensors["image"].shape
        if image.shape != expected:
            raise GcposeError(f"the engine takes images of shape {expected}, not {image.shape}; build another engine")
        pinned, _ = slot.staging(image.nbytes)
        pinned[:] = np.ascontiguousarray(image).reshape(-1)
        slot.sizes.host["image_size"][:] = image_size
        slot.sizes.to_device(self._copy_stream)
        self._copy_stream.to_device(slot.image.address, pinned)
        self._copy_stream.record(slot.uploaded)

    def _features(self, slot: Slot) -> NDArray[Any]:
        detector = self._opened.detector
        pinned, _ = slot.staging(slot.p2.size)
        self._copy_stream.wait(slot.detected)
        self._copy_stream.to_host(pinned, slot.p2.address)
        self._copy_stream.synchronize()
        return pinned.view(detector.dtype("p2")).reshape(detector.tensors["p2"].shape).copy()

    def warmup(self) -> None:
        """Run every bucket twice in each slot, so that contexts, memory and graphs are there before the first frame."""
        buckets = (*self._network.buckets, 0) if self.batch_limit == 1 else (0,)
        for _ in range(SLOTS):  # the one given back last is taken last
            slot = self._take(wait=True)
            assert slot is not None
            try:
                with self._device.current():
                    for bucket in (*buckets, *buckets):
                        with self._lock:
                            slot.sizes.host["image_size"][:] = 1
                            slot.sizes.to_device(self._copy_stream)
                            self._copy_stream.fill(slot.image, 127)
                            self._copy_stream.record(slot.uploaded)
                            self._enqueue(slot, bucket)
                        slot.done.synchronize()
                    for bucket in (*self._network.buckets, *self._network.buckets):
                        self._pose_rows(slot, np.zeros((bucket, 4), np.float32), np.zeros(bucket, np.int64))
            finally:
                self._give(slot)

    def close(self) -> None:
        """Free everything on the GPU. TensorRT's objects go first, because they free memory in the same context."""
        with self._device.current():
            self._device.synchronize()
            self._network.close()
            self._opened.detector.close()
            self._opened.pose.close()
        self._device.close()


def _to_frames(
    boxes: list[Letterbox], people: list[tuple[NDArray[Any], NDArray[Any]]], keypoints: NDArray[np.float32]
) -> list[PoseFrame]:
    """Map what was found to the pixels of each frame."""
    ends = np.cumsum([len(rows) for rows, _ in people])
    return [
        PoseFrame(
            boxes=box.boxes_to_frame(rows),
            scores=scores,
            keypoints=box.keypoints_to_frame(keypoints[end - len(rows) : end]),
        )
        for box, (rows, scores), end in zip(boxes, people, ends, strict=True)
    ]
