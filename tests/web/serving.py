"""A server with something to show, for tests."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import threading
import time
from collections.abc import Callable, Coroutine, Iterator
from pathlib import Path
from typing import Any

import aiohttp
import numpy as np

from gcpose_trt.pose.types import PoseFrame
from gcpose_trt.video.frames import Frame, Image, Result
from gcpose_trt.video.live_types import Controls, Settings, SinkStatistics, Snapshot, SourceStatistics
from gcpose_trt.web.limits import Limits
from gcpose_trt.web.server import WebServer
from gcpose_trt.web.sink import WebSink

PATIENCE_S = 30.0
TOKEN = "correct-horse-battery"
PAGE = {
    "index.html": "<!doctype html><title>live</title>",
    "login.html": '<!doctype html><title>login</title><!--message--><form method="post"></form>',
    "style.css": "body { margin: 0 }",
    "app/main.js": "export const one = 1;",
    "notes.secret": "not a file of the page",
}


def someone(x: float = 60.0, score: float = 0.9) -> PoseFrame:
    """Return one person around `x`."""
    joints = np.stack([np.linspace(x - 8, x + 8, 17), np.linspace(20, 80, 17), np.full(17, 0.8)], axis=1)
    return PoseFrame(np.array([[x - 12, 10, x + 12, 90]]), np.array([score]), joints[None])  # type: ignore[arg-type]


def picture(index: int, size: tuple[int, int] = (96, 128)) -> Image:
    """Return a picture whose grey says its index."""
    return np.full((*size, 3), (index * 16) % 240, np.uint8)


def result(index: int, stream: int = 0, image: Image | None = None, poses: PoseFrame | None = None) -> Result:
    """Return a frame with a person."""
    frame = Frame(index, index / 30, picture(index) if image is None else image, "clip.mp4", stream)
    return Result(frame, someone() if poses is None else poses, latency_ms=12.5, unix_time=1.7e9 + index)


class Serving:
    """A running server, its sink, and what it logged."""

    def __init__(self, folder: Path, **options: Any) -> None:
        for name, text in PAGE.items():
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        self.controls = Controls(Settings())
        self.lines: list[str] = []
        self.states = ["running", "running"]
        self.broken = False
        options = {"host": "127.0.0.1", "port": 0, "limits": Limits(login_delay_s=0.0), "page": folder, **options}
        self.server = WebServer(
            options.pop("host"),
            options.pop("port"),
            controls=self.controls,
            snapshot=self.snapshot,
            streams=["video0", "the yard"],
            log=self.lines.append,
            **options,
        )
        # On a clock of its own, so that no frame is left out.
        self.sink = WebSink(self.server, max_fps=1, clock=itertools.count().__next__)
        self.index = 0

    def snapshot(self) -> Snapshot:
        """Return statistics."""
        if self.broken:
            raise RuntimeError("no numbers\ntoday")
        sources = tuple(
            SourceStatistics(
                *(f"video{index}", f"v4l2:///dev/video{index}", True, state, "", 128, 96, 100, 90, 10, 2),
                *(30.0, 27.0, 12.5, None if index else float("nan"), 1),
            )
            for index, state in enumerate(self.states)
        )
        sinks = (SinkStatistics("out.mp4", 0, "running", "", 90, 1),)
        settings = self.controls.settings
        stages = {"pose": 7.5, "track": 0.25}
        return Snapshot(9.5, "mobile", "onnxruntime", "fp32", "cpu", settings, 3, stages, sources, sinks)

    def write(self, stream: int = 0, **options: Any) -> Result:
        """Hand the next frame to the page."""
        self.index += 1
        made = result(self.index, stream, **options)
        self.sink.write(made)
        return made

    @contextlib.contextmanager
    def feeding(self, pause: float = 0.01, **options: Any) -> Iterator[None]:
        """Hand frames to the page while the block runs."""
        done = threading.Event()

        def feed() -> None:
            while not done.wait(pause):
                self.write(**options)

        thread = threading.Thread(target=feed, name="feeding")
        thread.start()
        try:
            yield
        finally:
            done.set()
            thread.join()

    def run(self, main: Callable[[aiohttp.ClientSession], Coroutine[Any, Any, Any]], **options: Any) -> Any:
        """Run a client."""

        async def within() -> Any:
            jar = aiohttp.CookieJar(unsafe=True)  # cookies of addresses, not of names
            async with aiohttp.ClientSession(self.server.url, cookie_jar=jar, **options) as session:
                return await asyncio.wait_for(main(session), PATIENCE_S)

        return asyncio.run(within())

    def get(self, path: str, method: str = "GET", **options: Any) -> tuple[int, str, Any]:
        """Return status, text and headers of one answer."""

        async def main(session: aiohttp.ClientSession) -> tuple[int, str, Any]:
            async with session.request(method, path, allow_redirects=False, **options) as answer:
                return answer.status, await answer.text("latin-1"), answer.headers

        return self.run(main)  # type: ignore[no-any-return]


def wait_until(condition: Callable[[], bool]) -> None:
    """Wait for a condition that must come true."""
    end = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.005)


async def until(condition: Callable[[], bool]) -> None:
    """As `wait_until`, in an event loop."""
    while not condition():
        await asyncio.sleep(0.005)


async def next_message(socket: aiohttp.ClientWebSocketResponse, kind: str) -> dict[str, Any]:
    """Return the next message of a kind."""
    while True:
        message = await socket.receive_json()
        if message["type"] == kind:
            return message  # type: ignore[no-any-return]


async def next_part(stream: aiohttp.StreamReader) -> tuple[dict[str, str], bytes]:
    """Return headers and picture of the next part of a video stream, after its boundary."""
    head = (await stream.readuntil(b"\r\n\r\n")).decode().strip()
    headers = dict(line.split(": ", 1) for line in head.split("\r\n"))
    content = await stream.readexactly(int(headers["Content-Length"]))
    assert await stream.readexactly(18) == b"\r\n--gcpose-frame\r\n"
    return headers, content
