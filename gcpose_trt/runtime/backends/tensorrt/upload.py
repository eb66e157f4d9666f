"""Letterboxing frames into the detector's input: by our kernel on the GPU, or by OpenCV where that is missing."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from gcpose_trt.errors import GcposeError
from gcpose_trt.runtime.backends.tensorrt.frames import DeviceFrame, stage
from gcpose_trt.runtime.backends.tensorrt.slot import Slot, aligned
from gcpose_trt.runtime.cuda import Stream
from gcpose_trt.runtime.preprocess import Image, Letterbox, place

Frames = Sequence[Image | DeviceFrame]


class Uploader:
    """Brings frames into a slot's image.

    Args:
        library: our plugin library, whose letterbox kernel reads frames as they are; None resizes on the host.
        stream: where copies and kernels go.
    """

    def __init__(self, library: Path | None, stream: Stream) -> None:
        self._stream = stream
        self._kernels = None
        if library is not None:
            from gcpose_trt.plugins.kernels import Kernels

            self._kernels = Kernels(library)

    def upload(self, slot: Slot, frames: Frames, boxes: Sequence[Letterbox]) -> None:
        """Enqueue everything that fills the slot's image and image sizes, between `slot.began` and `slot.uploaded`.

        Args:
            slot: nothing that was enqueued for it is still to come.
            frames: at most as many as the detector takes; rows without a frame keep what they had.
            boxes: where each goes.

        Raises:
            GcposeError: out of memory, or a frame on the GPU without our kernel.
        """
        sizes = slot.sizes.host["image_size"]
        sizes[:] = 1  # of rows without a frame: the network needs at least a pixel
        sizes[: len(boxes)] = [box.content for box in boxes]
        self._stream.record(slot.began)
        slot.sizes.to_device(self._stream)
        if self._kernels is None:
            self._on_host(slot, frames, boxes)
        else:
            self._on_device(slot, frames, boxes)
        self._stream.record(slot.uploaded)

    def _on_device(self, slot: Slot, frames: Frames, boxes: Sequence[Letterbox]) -> None:
        lengths = [0 if isinstance(frame, DeviceFrame) else aligned(frame.nbytes) for frame in frames]
        ends = np.cumsum(lengths)
        pinned, address = slot.staging(int(ends[-1])) if ends[-1] else (None, 0)
        canvas = slot.image.address
        for frame, box, length, end in zip(frames, boxes, lengths, ends.tolist(), strict=True):
            if isinstance(frame, DeviceFrame):
                source, pitch = frame.address, frame.pitch
                if frame.stream is not None:
                    self._stream.wait_foreign(frame.stream)
            else:
                assert pinned is not None
                source, pitch = address + end - length, frame.shape[1] * 3
                part = pinned[end - length : end - length + frame.nbytes]
                stage(frame, part)
                self._stream.to_device(source, part)
            self._letterbox(source, pitch, box, canvas)
            canvas += box.canvas[0] * box.canvas[1] * 3

    def _letterbox(self, source: int, pitch: int, box: Letterbox, canvas: int) -> None:
        assert self._kernels is not None
        self._kernels.letterbox(
            frame=source,
            frame_pitch=pitch,
            frame_size=box.frame,
            canvas=canvas,
            canvas_size=box.canvas,
            content_size=box.content,
            stream=self._stream.address,
        )

    def _on_host(self, slot: Slot, frames: Frames, boxes: Sequence[Letterbox]) -> None:
        height, width = boxes[0].canvas
        size = height * width * 3
        pinned, _ = slot.staging(size * len(frames))
        canvases = pinned.reshape(len(frames), height, width, 3)
        for frame, box, canvas in zip(frames, boxes, canvases, strict=True):
            if isinstance(frame, DeviceFrame):
                raise GcposeError(
                    "a frame on the GPU needs our letterbox kernel; build it with: gcpose-trt plugins build"
                )
            canvas[:] = 0
            place(frame, box, canvas)
        self._stream.to_device(slot.image.address, pinned)
