"""A long run in short: nothing grows, and no frame overtakes another."""

from __future__ import annotations

import asyncio
import json
import os
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gcpose_trt.pose import PoseFrame
from gcpose_trt.pose.drawing import Painter, PaintOptions
from gcpose_trt.pose.smoothing import Smoother
from gcpose_trt.pose.tracking import Tracker
from gcpose_trt.runtime.timing import Timing
from gcpose_trt.video.clips import VideoSource
from gcpose_trt.video.frames import Frame, Image, Result
from gcpose_trt.video.live import Output
from gcpose_trt.video.live_types import Controls, Reading, Settings, Status
from gcpose_trt.video.sinks import CocoResultsSink, CsvSink, JsonLinesSink, Mp4Sink
from tests.video.live.fakes import WAIT, FakeCapture, FakeEstimator, lossless, make, open_descriptors, until

aiohttp = pytest.importorskip("aiohttp")
pytest.importorskip("prometheus_client")

FRAMES = 1500  # of each of two sources
WARM = 1200  # frames after which nothing may grow any more
SIZE = (48, 64)
_TORSO = np.random.default_rng(0).uniform((0, 0), (14, 40), (17, 2))


def walk(stream: int) -> Iterator[Reading]:
    """Frames whose pixel at the top left says which they are, modulo 256."""
    for index in range(FRAMES):
        image = np.full((*SIZE, 3), index % 256, np.uint8)
        yield Reading(Status.OK, Frame(index, index / 25, image, f"clip{stream}.mp4", stream))


class Crowd(FakeEstimator):
    """Finds two people who walk past each other, and now and then nobody."""

    def run_batch(self, frames: Sequence[Image]) -> tuple[list[PoseFrame], Timing]:
        return [self._poses(int(frame[0, 0, 0])) for frame in frames], Timing(1, 2, 3, 4)

    def _poses(self, step: int) -> PoseFrame:
        if step % 64 > 50:
            return PoseFrame.empty()
        lefts = np.array([step % 48, 48 - step % 48], np.float64)
        joints = _TORSO[None] + np.stack([lefts, np.full(2, 4.0)], axis=1)[:, None]
        keypoints = np.concatenate([joints, np.full((2, 17, 1), 0.9)], axis=2)
        boxes = np.stack([lefts, np.full(2, 4.0), lefts + 14, np.full(2, 44.0)], axis=1)
        return PoseFrame(boxes, np.array([0.9, 0.8]), keypoints)


class Watch:
    """Looks at the process every hundred frames, and at the order of the frames always."""

    needs_picture = False

    def __init__(self) -> None:
        self.seen: list[list[int]] = [[], []]
        self.sizes: list[tuple[int, int, int, int]] = []

    def write(self, result: Result) -> None:
        assert result.frame.image[0, 0, 0] == result.frame.index % 256
        self.seen[result.frame.stream].append(result.frame.index)
        done = sum(map(len, self.seen))
        if done % 100 == 0:
            self.sizes.append((done, memory(), len(list(Path("/proc/self/task").iterdir())), open_descriptors()))

    def __enter__(self) -> Watch:
        return self

    def __exit__(self, *reason: object) -> None:
        pass


def memory() -> int:
    """Return the bytes that the process has in memory."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


class Visitor:
    """A browser with the page open: takes the video of one source, and the messages of all."""

    def __init__(self, url: str) -> None:
        self.pictures = self.messages = 0
        self._url = url
        self.thread = threading.Thread(target=lambda: asyncio.run(self._visit()), name="visitor")
        self.thread.start()

    async def _visit(self) -> None:
        async with aiohttp.ClientSession(self._url) as session:
            await asyncio.wait_for(asyncio.gather(self._watch(session), self._listen(session)), 4 * WAIT)

    async def _watch(self, session: Any) -> None:
        async with session.get("/stream.mjpg") as answer:
            async for data in answer.content.iter_any():
                self.pictures += data.count(b"\xff\xd8\xff")

    async def _listen(self, session: Any) -> None:
        async with session.ws_connect("/ws") as socket:
            async for message in socket:
                self.messages += json.loads(message.data)["type"] == "frame"


@pytest.mark.slow
def test_a_long_run_in_short(tmp_path: Path) -> None:
    from gcpose_trt.web.server import WebServer
    from gcpose_trt.web.sink import WebSink

    watch, controls = Watch(), Controls(Settings(smooth=0.4))
    captures = [FakeCapture(walk(stream), name=f"clip{stream}") for stream in (0, 1)]
    server = WebServer(
        "127.0.0.1", 0, controls=controls, snapshot=lambda: pipeline.snapshot(), streams=["clip0", "clip1"]
    )
    pipeline, log = make(
        captures,
        Crowd(),
        lossless(watch, "watch"),
        lossless(JsonLinesSink(tmp_path / "a.jsonl", ["clip0", "clip1"]), "jsonl"),
        lossless(CsvSink(tmp_path / "a.csv"), "csv"),
        lossless(CocoResultsSink(tmp_path / "a.json"), "coco", stream=1),
        lossless(Mp4Sink(tmp_path / "a.mp4", 25.0), "mp4", stream=0),
        Output("page", WebSink(server, max_fps=1000)),
        controls=controls,
        tracking=True,
        painter_factory=lambda stream: Painter(PaintOptions(hud=True, trails=True)),
        tracker_factory=Tracker,
        smoother_factory=Smoother,
    )
    with server:
        visitor = Visitor(server.url)
        until(lambda: bool(server.channels[0].viewers) and bool(server.channels[0].listeners))
        summary = pipeline.run()
    visitor.thread.join(WAIT)
    assert log == summary.failures == []
    assert watch.seen == [list(range(FRAMES))] * 2
    assert visitor.pictures > 10 and visitor.messages > 10
    lines = [json.loads(line) for line in (tmp_path / "a.jsonl").read_text().splitlines()]
    for stream in ("clip0", "clip1"):
        assert [line["frame"] for line in lines if line["stream"] == stream] == list(range(FRAMES))
    with VideoSource(tmp_path / "a.mp4") as clip:
        assert sum(1 for _ in clip) == FRAMES
    warm = [sizes for sizes in watch.sizes if sizes[0] >= WARM]
    assert max(sizes[1] for sizes in warm) - warm[0][1] < 20e6, "memory"
    # One more: the page's second worker begins when both are needed for the first time.
    assert max(sizes[2] for sizes in warm) <= warm[0][2] + 1, "threads"
    assert max(sizes[3] for sizes in warm) <= warm[0][3], "descriptors"
