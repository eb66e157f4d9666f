"""The addresses of the page, and the connections that reach them."""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Callable, Mapping
from typing import cast

from aiohttp import web

from gcpose_trt.web.answers import health, prometheus, settings, snapshot, statistics
from gcpose_trt.web.files import File, respond
from gcpose_trt.web.gate import FILES, LOCAL, add_headers, let_in, login, login_page, logout, one_line_errors
from gcpose_trt.web.hub import HUB, Hub, reset
from gcpose_trt.web.limits import one_line
from gcpose_trt.web.socket import socket as websocket
from gcpose_trt.web.stream import stream

_FULL = (
    b"HTTP/1.1 503 Service Unavailable\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: 38\r\n"
    b"Connection: close\r\n\r\ntoo many connections; try again later\n"
)


def build(hub: Hub, files: Mapping[str, File], local: bool) -> web.Application:
    """Return the application.

    Args:
        hub: what requests share.
        files: of the page.
        local: whether only this machine reaches it.
    """
    app = web.Application(middlewares=[one_line_errors, let_in], client_max_size=hub.limits.body_bytes)
    app[HUB], app[FILES], app[LOCAL] = hub, files, local
    app.on_response_prepare.append(add_headers)
    add = app.router
    add.add_get("/", _index)
    add.add_get("/page/{path:.+}", _file)
    add.add_get("/login", login_page)
    add.add_post("/login", login)
    add.add_post("/logout", logout)
    add.add_get("/stream.mjpg", stream, allow_head=False)
    add.add_get("/ws", websocket, allow_head=False)
    add.add_get("/snapshot.jpg", snapshot, allow_head=False)
    add.add_get("/api/statistics", statistics)
    add.add_get("/api/settings", settings)
    add.add_post("/api/settings", settings)
    add.add_get("/healthz", health)
    add.add_get("/metrics", prometheus)
    return app


async def _index(request: web.Request) -> web.Response:
    return respond(request, request.app[FILES].get("index.html"), cache=False)


async def _file(request: web.Request) -> web.Response:
    return respond(request, request.app[FILES].get(request.match_info["path"]), cache=True)


class Door(asyncio.Protocol):
    """One connection: counted, and closed where no request comes in time. All else is the HTTP protocol's.

    Args:
        house: all connections.
        inner: the HTTP protocol.
    """

    def __init__(self, house: House, inner: asyncio.Protocol) -> None:
        self._house, self._inner = house, inner
        self._alarm: asyncio.TimerHandle | None = None
        self._let_in = False
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take the connection, or refuse it where there are too many."""
        self._transport = cast(asyncio.Transport, transport)
        if len(self._house.doors) >= self._house.hub.limits.connections:
            self._transport.write(_FULL)
            self._transport.close()
            return
        self._let_in = True
        self._house.doors.add(self)
        loop = asyncio.get_running_loop()
        self._alarm = loop.call_later(self._house.hub.limits.idle_s, self.abort)
        self._inner.connection_made(transport)

    def served(self) -> None:
        """Note that a request arrived; from now on the HTTP protocol's own time-out rules."""
        if self._alarm is not None:
            self._alarm.cancel()

    def belongs_to(self, transport: asyncio.BaseTransport | None) -> bool:
        """Say whether this is the connection of a request."""
        return self._transport is transport

    def abort(self) -> None:
        """Cut the connection without waiting for the client."""
        if self._transport is not None:
            reset(self._transport)

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the connection."""
        self.served()
        self._house.doors.discard(self)
        if self._let_in:
            self._inner.connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Hand on what came."""
        if self._let_in:
            self._inner.data_received(data)

    def eof_received(self) -> bool | None:
        """Hand on that no more comes."""
        return self._inner.eof_received() if self._let_in else None

    def pause_writing(self) -> None:
        """Hand on that the client is behind."""
        self._inner.pause_writing()

    def resume_writing(self) -> None:
        """Hand on that the client caught up."""
        self._inner.resume_writing()


class House:
    """Serves the application on a socket.

    Args:
        hub: what requests share.
        app: the application.
    """

    def __init__(self, hub: Hub, app: web.Application) -> None:
        self.hub = hub
        self.doors: set[Door] = set()
        app.middlewares.insert(0, self._note)
        limits = hub.limits
        self._runner = web.AppRunner(
            app,
            access_log=None,
            handler_cancellation=True,
            shutdown_timeout=0.3,
            keepalive_timeout=limits.idle_s,
            lingering_time=1.0,
            max_line_size=limits.header_bytes,
            max_field_size=limits.header_bytes,
            auto_decompress=False,
            logger=_logger(hub.journal),
        )
        self._listener: asyncio.Server | None = None

    @web.middleware
    async def _note(self, request: web.Request, handler: Callable[[web.Request], object]) -> web.StreamResponse:
        for door in self.doors:
            if door.belongs_to(request.transport):
                door.served()
        return await handler(request)  # type: ignore[misc]

    async def open(self, listener: socket.socket) -> None:
        """Start to serve."""
        await self._runner.setup()
        serve = cast("Callable[[], asyncio.Protocol]", self._runner.server)
        loop = asyncio.get_running_loop()
        self._listener = await loop.create_server(lambda: Door(self, serve()), sock=listener)

    async def close(self) -> None:
        """Stop serving: clients are asked to leave, then cut off."""
        if self._listener is not None:
            self._listener.close()
        await self.hub.stop()
        await self._runner.cleanup()
        for door in list(self.doors):
            door.abort()
        while self.doors:  # a turn of the loop closes them
            await asyncio.sleep(0)


def _logger(journal: Callable[[str], None]) -> logging.Logger:
    """Return a logger of its own whose errors become lines of the journal; all else is dropped."""

    class _Lines(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            error = record.exc_info[1] if record.exc_info else None
            journal(f"{one_line(record.getMessage())}{f' ({one_line(error)})' if error else ''}")

    logger = logging.Logger("gcpose_trt.web", logging.ERROR)
    logger.addHandler(_Lines())
    return logger
