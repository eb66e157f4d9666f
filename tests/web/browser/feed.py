"""What a live system would hand to the page: moving pictures with people whose places are known."""

from __future__ import annotations

import threading
import time
from dataclasses import replace
from types import TracebackType

import numpy as np

from gcpose_trt.pose.types import PoseFrame
from gcpose_trt.video.frames import Frame, Image, Result
from gcpose_trt.video.live_types import Controls, Settings, SinkStatistics, Snapshot, SourceStatistics
from gcpose_trt.web.server import WebServer
from gcpose_trt.web.sink import WebSink

WIDTH, HEIGHT = 640, 360
SOURCES = ("front", "rear")
BAR = 100  # pixels from the bar in the picture to the middle of the first person
STEP = 8  # pixels that both move by from frame to frame: no other frame's skeleton fits
SCORES = (0.9, 0.5)
GROUND = {0: (40, 40, 40), 1: (120, 40, 40)}  # BGR, by source
BAR_COLOUR = (0, 255, 0)

# A person of height 1 that stands at the origin and faces us, in COCO's order: left is on the picture's right.
_BODY = np.array(
    [
        *[(0, -0.94), (0.02, -0.96), (-0.02, -0.96), (0.05, -0.94), (-0.05, -0.94)],
        *[(0.12, -0.8), (-0.12, -0.8), (0.17, -0.62), (-0.17, -0.62), (0.2, -0.45), (-0.2, -0.45)],
        *[(0.08, -0.48), (-0.08, -0.48), (0.09, -0.25), (-0.09, -0.25), (0.1, -0.02), (-0.1, -0.02)],
    ]
)


def middle(index: int) -> int:
    """Return where the first person stands in a frame, in pixels."""
    return 180 + STEP * (index % 30)


def people(index: int, min_score: float = 0.0) -> PoseFrame:
    """Return the people of a frame: the first moves, the second stands at the right."""
    keypoints = np.ones((2, 17, 3), np.float32)
    for row, (x, tall) in enumerate(((middle(index), 280), (560, 200))):
        keypoints[row, :, :2] = _BODY * tall + (x, 340)
    low, high = keypoints[:, :, :2].min(1) - 12, keypoints[:, :, :2].max(1) + 12
    keep = np.array(SCORES) >= min_score
    boxes = np.concatenate([low, high], axis=1)
    return PoseFrame(boxes[keep], np.array(SCORES)[keep], keypoints[keep], np.array([7, 8])[keep])


def picture(index: int, stream: int) -> Image:
    """Return a plain picture with a green bar that moves with the first person."""
    image = np.full((HEIGHT, WIDTH, 3), GROUND[stream], np.uint8)
    left = middle(index) - BAR - 10
    image[:, left : left + 20] = BAR_COLOUR
    return image


class Feed:
    """A thread that shows frames of two sources on a page, as the settings say, until it is left.

    Attributes:
        controls: the settings.
        sinks, states, messages: what the statistics say; may be changed.
        log: lines of the server.
        period_s: seconds from frame to frame.
        server: the page's server.
    """

    def __init__(self, *, port: int = 0, token: str | None = None, settings: Settings | None = None) -> None:
        self.controls = Controls(settings or Settings(min_score=0.3))
        self.states, self.messages = ["running", "running"], ["", ""]
        self.sinks = (SinkStatistics("page", None, "running", "", 0, 0),)
        self.log: list[str] = []
        self.period_s = 0.05
        self._count, self._started, self._ended = 0, time.monotonic(), threading.Event()
        self.server = WebServer(
            "127.0.0.1",
            port,
            controls=self.controls,
            snapshot=self.snapshot,
            streams=SOURCES,
            token=token,
            log=self.log.append,
        )
        self._thread = threading.Thread(target=self._run, daemon=True)

    def snapshot(self) -> Snapshot:
        """Return how it does."""
        seen = len(people(0, self.controls.settings.min_score))
        paused = self.controls.settings.paused
        sources = tuple(
            SourceStatistics(
                name=name,
                uri=f"pattern://{name}",
                live=True,
                state="paused" if paused and self.states[row] == "running" else self.states[row],
                message=self.messages[row],
                width=WIDTH,
                height=HEIGHT,
                captured=self._count,
                estimated=self._count,
                dropped=0,
                reconnects=0,
                source_fps=30.0,
                inference_fps=0.0 if paused else 20.0 + 2 * np.sin(self._count / 40),
                latency_p50_ms=41.0 + 4 * np.sin(self._count / 25),
                latency_p99_ms=58.0 + 9 * np.sin(self._count / 17),
                people=seen,
            )
            for row, name in enumerate(SOURCES)
        )
        stages = {"wait": 0.4, "preprocess": 1.9, "detector": 24.1, "pose": 11.6, "postprocess": 0.6, "track": 0.2}
        return Snapshot(
            uptime_s=time.monotonic() - self._started,
            model="mobile",
            backend="onnxruntime",
            precision="fp32",
            device="cpu",
            settings=self.controls.settings,
            failures=0,
            stages_ms=stages,
            sources=sources,
            sinks=tuple(replace(sink, written=self._count) for sink in self.sinks),
        )

    def result(self, index: int, stream: int) -> Result:
        """Return a frame with its people."""
        frame = Frame(index, index / 20, self.picture(index, stream), f"pattern://{SOURCES[stream]}", stream)
        return Result(frame, self.people(index), latency_ms=41.0, unix_time=time.time())

    def picture(self, index: int, stream: int) -> Image:
        """Return a frame's picture."""
        return picture(index, stream)

    def people(self, index: int) -> PoseFrame:
        """Return a frame's people, as the settings want them."""
        return people(index, self.controls.settings.min_score)

    def _run(self) -> None:
        sink = WebSink(self.server, max_fps=1000)
        while not self._ended.wait(self.period_s):
            if self.controls.settings.paused:
                continue
            for stream in range(len(SOURCES)):
                sink.write(self.result(self._count, stream))
            self._count += 1

    def __enter__(self) -> Feed:
        self.server.start()
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ended.set()
        self._thread.join(10)
        self.server.stop()
