"""Work that is the same every time: enqueued piece by piece at first, then as one CUDA graph."""

from __future__ import annotations

import logging
from collections.abc import Callable

from gcpose_trt.errors import GcposeError
from gcpose_trt.runtime.cuda import Device, Graph, Stream

LOG = logging.getLogger("gcpose_trt.runtime")


class Graphs:
    """Whether work is captured; one refusal turns it off for all, because the reason will be the same.

    Args:
        enabled: False never captures.
    """

    def __init__(self, enabled: bool = True) -> None:
        self.enabled = enabled

    def refuse(self, reason: GcposeError) -> None:
        """Go on without graphs, and say so once (logger gcpose_trt.runtime, level INFO)."""
        if self.enabled:
            self.enabled = False
            LOG.info("CUDA graphs are not used, kernels are launched one by one: %s", reason)


class Stage:
    """Something to enqueue on one stream, always on the same addresses.

    Args:
        device: the GPU.
        stream: where it goes.
        enqueue: puts it there.
        graphs: whether it may become a graph.
    """

    def __init__(self, device: Device, stream: Stream, enqueue: Callable[[], None], graphs: Graphs) -> None:
        self._device, self._stream, self._enqueue, self._graphs = device, stream, enqueue, graphs
        self._graph: Graph | None = None
        self._tried = False

    def run(self) -> None:
        """Enqueue it.

        Raises:
            GcposeError: what enqueues it fails.
        """
        if self._graph is None and self._tried and self._graphs.enabled:
            self._capture()
        if self._graph is not None:
            self._stream.launch(self._graph)
            return
        # Once without capture: TensorRT finishes what a new context or address left to do, which cannot be captured.
        self._enqueue()
        self._tried = True

    def _capture(self) -> None:
        try:
            self._graph = self._device.capture(self._stream, self._enqueue)
        except GcposeError as error:
            self._graphs.refuse(error)
