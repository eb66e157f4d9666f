"""What all requests share: sources, settings, clients, and the threads that work for them."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, TypeVar

from aiohttp import web

from gcpose_trt.pose.skeleton import Skeleton
from gcpose_trt.video.live_types import Controls, Snapshot
from gcpose_trt.web.auth import Auth
from gcpose_trt.web.channel import Channel, Outbox
from gcpose_trt.web.limits import Journal, Limits, one_line
from gcpose_trt.web.messages import settings_message, to_json

Value = TypeVar("Value")


@dataclass
class Counts:
    """Clients since the start that were refused for lack of room, and dropped because they did not keep up."""

    refused: int = 0
    dropped: int = 0


class Hub:
    """Shared by all requests; lives in the server's thread.

    Args:
        controls: the settings.
        snapshot: how the pipeline does; called from other threads.
        sources: names of the sources.
        channels: their frames.
        auth: who may use the page.
        limits: how much.
        journal: takes lines about what went wrong.
        threshold: joints below this confidence are not drawn.
        skeleton: the joints' meaning.
        cookie: name of the one that holds a session.
    """

    def __init__(
        self,
        controls: Controls,
        snapshot: Callable[[], Snapshot],
        sources: Sequence[str],
        channels: Sequence[Channel],
        auth: Auth,
        limits: Limits,
        journal: Journal,
        threshold: float,
        skeleton: Skeleton,
        cookie: str,
    ) -> None:
        self.controls, self.snapshot = controls, snapshot
        self.sources, self.channels = list(sources), channels
        self.auth, self.limits, self.journal = auth, limits, journal
        self.threshold, self.skeleton, self.cookie = threshold, skeleton, cookie
        self.streams: set[Outbox] = set()
        self.sockets: set[Outbox] = set()
        self.counts = Counts()
        self._told = controls.settings
        self._stopping = False
        # Two: a slow snapshot does not keep the statistics waiting.
        self._workers = ThreadPoolExecutor(2, thread_name_prefix="page-work")

    def session(self, request: web.Request) -> str:
        """Return the session that a request names, known or not; empty: none."""
        return request.cookies.get(self.cookie, "")

    async def work(self, function: Callable[..., Value], *arguments: Any) -> Value:
        """Run a function that takes milliseconds beside the server's thread."""
        return await asyncio.get_running_loop().run_in_executor(self._workers, function, *arguments)

    def source_index(self, text: str | int) -> int:
        """Return a source's number as a client gave it.

        Raises:
            web.HTTPNotFound: there is no such source.
        """
        number = text if isinstance(text, int) and not isinstance(text, bool) else -1
        if isinstance(text, str) and text.isascii() and text.isdecimal() and len(text) < 6:
            number = int(text)
        if not 0 <= number < len(self.sources):
            raise web.HTTPNotFound(text=f"there is no such source; choose from 0 to {len(self.sources) - 1}")
        return number

    @contextlib.contextmanager
    def client(self, request: web.Request, crowd: set[Outbox], most: int) -> Iterator[Outbox]:
        """Give a client a place among at most `most` while the block runs.

        Raises:
            web.HTTPServiceUnavailable: all places are taken, or the server stops.
        """
        if self._stopping or len(crowd) >= most:
            self.counts.refused += 1
            raise web.HTTPServiceUnavailable(text=f"{most} clients watch already; try again when one has left")
        session = self.session(request)
        outbox = Outbox(session if self.auth.knows(session) else "")
        crowd.add(outbox)
        try:
            yield outbox
        finally:
            crowd.discard(outbox)
            for channel in self.channels:
                channel.viewers.discard(outbox)
                channel.listeners.discard(outbox)

    @contextlib.asynccontextmanager
    async def in_time(self, request: web.Request) -> AsyncIterator[None]:
        """Cut the client off if it does not take what the block sends in time."""

        def cut() -> None:
            transport = request.transport
            if transport is not None:
                self.counts.dropped += 1
                self.journal(f"{request.remote} was too slow for {request.path} and was dropped")
                reset(transport)

        alarm = asyncio.get_running_loop().call_later(self.limits.drain_s, cut)
        try:
            yield
        finally:
            alarm.cancel()

    async def statistics(self) -> str:
        """Return the statistics as the WebSocket sends them."""
        snapshot = await self.work(self.snapshot)
        return to_json({"type": "statistics", **snapshot.to_dict()})

    async def tell_settings(self) -> None:
        """Tell all clients if settings were changed, by whomever."""
        now = self.controls.settings
        if now == self._told:
            return
        before, self._told = self._told, now
        self.tell("settings", settings_message(now))
        if before.blur_heads != now.blur_heads:
            for channel in self.channels:
                if channel.viewers:
                    await self.work(channel.publish_again)

    def tell(self, kind: str, text: str) -> None:
        """Send a message to every WebSocket."""
        for outbox in self.sockets:
            outbox.put(kind, text)

    async def tell_statistics(self) -> None:
        """Tell the statistics and changed settings again and again; never ends."""
        while True:
            try:
                self._renew_sessions()
                await self.tell_settings()
                if self.sockets:
                    self.tell("statistics", await self.statistics())
            except Exception as error:
                # The page shows old numbers; the pipeline and the video go on.
                self.journal(f"no statistics ({one_line(error)})")
            await asyncio.sleep(self.limits.statistics_s)

    def _renew_sessions(self) -> None:
        for outbox in (*self.streams, *self.sockets):
            # Who watches is not idle.
            if outbox.session and not self.auth.knows(outbox.session):
                outbox.end()

    def end_clients(self, session: str | None = None) -> None:
        """Have all clients leave, or those of one session."""
        for outbox in (*self.streams, *self.sockets):
            if session is None or outbox.session == session:
                outbox.end()

    async def stop(self) -> None:
        """Take no more clients and have all leave; wait a moment for them."""
        self._stopping = True
        self.end_clients()
        for _ in range(100):
            if not self.streams and not self.sockets:
                break
            await asyncio.sleep(0.01)

    def close(self) -> None:
        """End the threads."""
        self._workers.shutdown(wait=True, cancel_futures=True)


def reset(transport: asyncio.BaseTransport) -> None:
    """Cut a connection, and have the system forget what the client has not taken."""
    if isinstance(transport, asyncio.WriteTransport):
        connection = transport.get_extra_info("socket")
        with contextlib.suppress(OSError):
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        # Not close(): that would wait until the client takes what is left.
        transport.abort()


HUB = web.AppKey("hub", Hub)
