"""A thread a source that draws its people, for the sinks that want pictures, and only while one does."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Protocol

from gcpose_trt.pose.drawing import PaintOptions
from gcpose_trt.pose.types import PoseFrame
from gcpose_trt.video.frames import Image, Result
from gcpose_trt.video.live.faults import Quiet, as_gcpose_error
from gcpose_trt.video.live.outputs import SinkWorker
from gcpose_trt.video.live.queues import Lanes
from gcpose_trt.video.live.statistics import Meters
from gcpose_trt.video.live_types import Controls

_DEPTH = 2
_HUD_S = 0.5  # figures that change faster cannot be read


class Painter(Protocol):
    """Draws the frames of one source, in order: it may remember where people were."""

    options: PaintOptions

    def paint(self, image: Image, poses: PoseFrame, hud_lines: Sequence[str]) -> Image: ...


Order = tuple[Result, list[SinkWorker]]


class DrawStage:
    """Draws the frames of one source.

    Args:
        stream: the source's number.
        painter_factory: makes a painter of a source.
        hud: gives what the pictures say of the system.
        controls: say whether heads are blurred.
        meters: where the time is noted.
        quiet: gets a line if drawing fails.
    """

    def __init__(
        self,
        stream: int,
        painter_factory: Callable[[int], Painter],
        hud: Callable[[int], list[str]],
        controls: Controls,
        meters: Meters,
        quiet: Quiet,
    ) -> None:
        self._stream, self._factory, self._hud = stream, painter_factory, hud
        self._controls, self._meters, self._quiet = controls, meters, quiet
        self._queue: Lanes[Order] = Lanes(1, _DEPTH)
        self._painter: Painter | None = None
        self._lines: list[str] = []
        self._lines_due = -1.0
        self._thread: threading.Thread | None = None

    def put(self, result: Result, workers: list[SinkWorker]) -> None:
        """Queue a frame to be drawn for some sinks; waits only if one of them is patient."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name=f"gcpose-draw-{self._stream}", daemon=True)
            self._thread.start()
        for worker in workers:
            worker.drawing(self._stream, +1)
        dropped = self._queue.put((result, workers), overwrite=not any(worker.patient for worker in workers))
        if dropped is not None:
            for worker in dropped[1]:
                worker.drop()
                worker.drawing(self._stream, -1)

    def finish(self) -> None:
        """Draw what waits and end."""
        self._queue.close()
        if self._thread is not None:
            self._thread.join()

    def _run(self) -> None:
        while orders := self._queue.take():
            result, workers = orders[0]
            try:
                if any(worker.alive and worker.needs_picture for worker in workers):
                    result = self._drawn(result)
            except Exception as error:
                # An undrawn picture would be no way out: the painter is also who blurs heads.
                self._painter = None
                line = str(as_gcpose_error(error, "a frame cannot be drawn", "report it"))
                self._quiet(("draw", self._stream), line)
                for worker in workers:
                    worker.drop()
            else:
                for worker in workers:
                    worker.put(result)
            for worker in workers:
                worker.drawing(self._stream, -1)
            del orders, result, workers  # a frame must not outlive its turn while the next is waited for

    def _drawn(self, result: Result) -> Result:
        start = time.perf_counter()
        if self._painter is None:
            self._painter = self._factory(self._stream)
        blur_heads = self._controls.settings.blur_heads
        if self._painter.options.blur_heads != blur_heads:
            self._painter.options = replace(self._painter.options, blur_heads=blur_heads)
        if start >= self._lines_due:
            self._lines, self._lines_due = self._hud(self._stream), start + _HUD_S
        picture = self._painter.paint(result.frame.image, result.poses, self._lines)
        self._meters.drawn(1e3 * (time.perf_counter() - start))
        return replace(result, picture=picture)


class Distribution:
    """Hands results to sinks, drawn where one wants that.

    Args:
        workers: the sinks.
        stages: how each source is drawn.
    """

    def __init__(self, workers: Sequence[SinkWorker], stages: Sequence[DrawStage]) -> None:
        self._workers, self._stages = workers, stages

    def __call__(self, result: Result) -> None:
        """Hand over one result, from the one thread that has them in order."""
        stream = result.frame.stream
        drawn = []
        for worker in self._workers:
            if not worker.alive or not worker.takes(stream):
                continue
            # While earlier frames are still being drawn for it, a sink that wants no more pictures waits behind them.
            if worker.needs_picture or worker.drawing(stream):
                drawn.append(worker)
            else:
                worker.put(result)
        if drawn:
            self._stages[stream].put(result, drawn)

    def finish(self) -> None:
        """Draw what waits."""
        for stage in self._stages:
            stage.finish()
