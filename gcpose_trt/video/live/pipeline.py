"""Sources -> network -> ids -> pictures -> sinks, side by side and for days."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any

from gcpose_trt.errors import GcposeError
from gcpose_trt.video.live.capture_stage import Arrival, CaptureStage
from gcpose_trt.video.live.draw_stage import Distribution, DrawStage, Painter
from gcpose_trt.video.live.faults import Log, Quiet
from gcpose_trt.video.live.follow_stage import FollowStage
from gcpose_trt.video.live.inference import Estimator, Inference
from gcpose_trt.video.live.interruptions import interruptions
from gcpose_trt.video.live.outputs import Output, SinkWorker
from gcpose_trt.video.live.queues import Lanes
from gcpose_trt.video.live.statistics import Meters, hud_lines
from gcpose_trt.video.live.summary import Summary, summarise
from gcpose_trt.video.live.track_stage import Following, Smoothing, TrackStage, default_smoother, default_tracker
from gcpose_trt.video.live_types import Capture, Controls, Snapshot

POLICIES = ("latest", "all")
_READ_AHEAD = 3  # frames of a source that wait where all are wanted


class LivePipeline:
    """Finds people in the frames of several sources at once and hands the results to any number of sinks.

    Sources, tracking, drawing and sinks have a thread each, joined by short queues; the network runs in the thread that
    calls `run`. It takes a frame of each source that has one and waits for none of the others.

    Args:
        captures: the sources; closed at the end.
        estimator: finds the people.
        outputs: the sinks; entered and left here.
        controls: settings that may change meanwhile.
        policy: "latest": of each source only the newest frame waits, older ones are dropped. "all": every frame is
            taken; sources and lossless sinks hold up the rest.
        tracking: people get ids.
        painter_factory: makes what draws a source's frames, given the source's number. Whether it blurs heads, the
            settings say.
        max_frames: end after so many frames of all sources together.
        progress: called with the number of people after each frame, in another thread than `run`.
        log: gets a line about whatever goes wrong without ending the run.
        tracker_factory, smoother_factory: make what follows people and smooths them.

    Raises:
        GcposeError: no such policy, no source, or two outputs of one name.

    Example:
        >>> pipeline = LivePipeline(
        ...     [capture],
        ...     estimator,
        ...     [Output("poses", JsonLinesSink(path), None, lossless=True)],
        ...     controls=Controls(Settings()),
        ...     policy="latest",
        ...     tracking=True,
        ...     painter_factory=lambda stream: Painter(options),
        ...     log=print,
        ... )  # doctest: +SKIP
        >>> print("\\n".join(pipeline.run().lines()))  # doctest: +SKIP
    """

    def __init__(
        self,
        captures: Sequence[Capture],
        estimator: Estimator,
        outputs: Sequence[Output],
        *,
        controls: Controls,
        policy: str,
        tracking: bool,
        painter_factory: Callable[[int], Painter],
        log: Log,
        max_frames: int | None = None,
        progress: Callable[[int], object] | None = None,
        tracker_factory: Callable[[], Following] = default_tracker,
        smoother_factory: Callable[[float], Smoothing] = default_smoother,
    ) -> None:
        _check(captures, outputs, policy)
        self.controls = controls
        self._estimator = estimator
        self._failure: GcposeError | None = None
        self._log = log
        self._meters = meters = Meters(captures)
        latest, quiet = policy == "latest", Quiet(log)
        self._lanes: Lanes[Arrival] = Lanes(len(captures), 1 if latest else _READ_AHEAD)
        self._captures = [
            CaptureStage(
                capture,
                stream,
                self._lanes,
                latest=latest,
                controls=controls,
                meters=meters,
                log=log,
                alone=len(captures) == 1,
            )
            for stream, capture in enumerate(captures)
        ]
        self._workers = [
            SinkWorker(output, patient=output.lossless and not latest, failed=self._sink_failed) for output in outputs
        ]
        stages = [
            DrawStage(stream, painter_factory, self._hud, controls, meters, quiet) for stream in range(len(captures))
        ]
        self._distribution = Distribution(self._workers, stages)
        tracks = [
            TrackStage(
                capture.name,
                live=capture.live,
                tracking=tracking,
                tracker_factory=tracker_factory,
                smoother_factory=smoother_factory,
                log=log,
                quiet=quiet,
            )
            for capture in captures
        ]
        self._follow = FollowStage(
            tracks, controls=controls, deliver=self._distribution, meters=meters, progress=progress
        )
        # A live source's last frame would wait in the estimator for the next one.
        one_file = len(captures) == 1 and not latest and not captures[0].live
        self._inference = Inference(
            self._lanes,
            [capture.live for capture in captures],
            estimator,
            controls=controls,
            deliver=self._follow.put,
            meters=meters,
            quiet=quiet,
            overlap=one_file and getattr(estimator, "backend", "") == "tensorrt",
            max_frames=max_frames,
        )

    def run(self) -> Summary:
        """Work until the sources end, `max_frames` are done, `stop` is called, or Ctrl-C or SIGTERM comes.

        Whatever ends it, what was estimated is written and the sinks complete their files. Only if nothing live was
        recorded, an error leaves the sinks by itself, and they remove what they began.

        Raises:
            GcposeError: a sink cannot be opened, all sinks or all sources failed, or the network did ten times in a
                row or every time.
        """
        self._meters.start = time.perf_counter()
        with interruptions(self._end_soon, self.stop) as interruption:
            error = self._work()
            if error is not None:
                raise error
        seconds = time.perf_counter() - self._meters.start
        return summarise(self._meters, seconds, interruption.seen, self._failures())

    def stop(self) -> None:
        """End the run after the batch at hand; from any thread, any number of times."""
        self._end_soon()
        self._lanes.stop()

    def _end_soon(self) -> None:
        self._inference.stopping = True

    def snapshot(self) -> Snapshot:
        """Return how everything does now; from any thread."""
        settings = self.controls.settings
        stages, sources = self._meters.latest(settings.paused)
        return Snapshot(
            uptime_s=time.perf_counter() - self._meters.start,
            model=_described(getattr(self._estimator, "info", None), "model"),
            backend=_described(self._estimator, "backend"),
            precision=_described(self._estimator, "precision"),
            device=_described(self._estimator, "device"),
            settings=settings,
            failures=self._meters.failures,
            stages_ms=stages,
            sources=sources,
            sinks=tuple(worker.statistics() for worker in self._workers),
        )

    def _work(self) -> GcposeError | None:
        error: BaseException | None = None
        try:
            for worker in self._workers:
                worker.open()
            self._follow.start()
            for stage in self._captures:
                stage.start()
            self._inference.run()
        except BaseException as caught:
            error = caught
        self.stop()
        for stage in self._captures:
            stage.close()
        error = self._follow.finish() or error
        self._distribution.finish()
        error = error or self._verdict()
        keep = error is None or isinstance(error, KeyboardInterrupt) or self._recorded_live()
        leave_by = (
            None if keep else error if isinstance(error, GcposeError) else GcposeError("the run failed; see above")
        )
        for worker in self._workers:
            worker.finish(leave_by)
        for worker in self._workers:
            worker.join()
        if error is not None and not isinstance(error, GcposeError):
            raise error
        return error or self._failure

    def _verdict(self) -> GcposeError | None:
        """Return the error that a run which came to its end has nevertheless ended with."""
        if self._failure is not None:
            return self._failure
        errors = [stage.error for stage in self._captures if stage.error is not None]
        if len(errors) == len(self._captures):
            return errors[-1]
        estimated = sum(meter.estimated for meter in self._meters.sources)
        return self._inference.last_error if not estimated else None

    def _recorded_live(self) -> bool:
        return any(meter.capture.live and meter.estimated for meter in self._meters.sources)

    def _sink_failed(self, worker: SinkWorker) -> None:
        if any(other.error is None for other in self._workers):
            self._log(str(worker.error))
            return
        self._failure = worker.error  # not logged: the run ends with it
        self.stop()

    def _failures(self) -> list[str]:
        errors = [worker.error for worker in self._workers] + [stage.error for stage in self._captures]
        return [str(error) for error in errors if error is not None]

    def _hud(self, stream: int) -> list[str]:
        return hud_lines(self.snapshot(), stream)


def _check(captures: Sequence[Capture], outputs: Sequence[Output], policy: str) -> None:
    if policy not in POLICIES:
        raise GcposeError(f"no policy is called {policy!r}; choose one of {', '.join(POLICIES)}")
    if not captures:
        raise GcposeError("there is no source; give at least one")
    names = [output.name for output in outputs]
    if len(set(names)) < len(names):
        raise GcposeError(f"two outputs have the same name among {', '.join(names)}; give each its own")


def _described(thing: Any, what: str) -> str:
    value = getattr(thing, what, None)
    return "" if value is None else str(value)
