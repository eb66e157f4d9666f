"""The WebSocket: people, statistics and settings to the page, wishes from it."""

from __future__ import annotations

import asyncio
import contextlib

from aiohttp import WSCloseCode, WSMessage, WSMsgType, web

from gcpose_trt.errors import GcposeError
from gcpose_trt.web.channel import Outbox, Published
from gcpose_trt.web.hub import HUB, Hub
from gcpose_trt.web.limits import Bucket, one_line
from gcpose_trt.web.messages import change, error_message, from_json, hello_message, settings_message, to_json

_HEARTBEAT_S = 15.0
_ERRORS = 8  # that wait for one client


async def socket(request: web.Request) -> web.StreamResponse:
    """GET /ws?source=I."""
    hub = request.app[HUB]
    source = hub.source_index(request.query.get("source", "0"))
    if "Sec-WebSocket-Protocol" in request.headers:
        raise web.HTTPBadRequest(text="this socket speaks no sub-protocol; leave Sec-WebSocket-Protocol out")
    limits = hub.limits
    with hub.client(request, hub.sockets, limits.sockets) as outbox:
        connection = web.WebSocketResponse(
            timeout=1.0, heartbeat=_HEARTBEAT_S, autoping=False, compress=False, max_msg_size=limits.message_bytes
        )
        await connection.prepare(request)
        client = _Client(hub, request, connection, outbox)
        await client.run(source)
        return connection


class _Client:
    """One WebSocket."""

    def __init__(self, hub: Hub, request: web.Request, connection: web.WebSocketResponse, outbox: Outbox) -> None:
        self._hub, self._request, self._connection, self._outbox = hub, request, connection, outbox
        self._bucket = Bucket(hub.limits.messages_per_second, hub.limits.messages_burst)
        self._errors = 0

    async def run(self, source: int) -> None:
        """Talk until one side leaves."""
        hub, outbox = self._hub, self._outbox
        settings = hub.controls.settings
        outbox.put(
            "hello",
            hello_message(hub.skeleton, hub.threshold, hub.sources, source, settings, hub.auth.required),
        )
        self._watch(source)
        writer = asyncio.ensure_future(self._write())
        try:
            with contextlib.suppress(Exception):
                outbox.put("statistics", await hub.statistics())
            await self._read()
        except ConnectionError:
            pass  # the client went away
        finally:
            writer.cancel()

    def _watch(self, source: int) -> None:
        for channel in self._hub.channels:
            channel.listeners.discard(self._outbox)
        channel = self._hub.channels[source]
        channel.listeners.add(self._outbox)
        if channel.latest is not None:
            self._outbox.put("frame", channel.latest)

    async def _write(self) -> None:
        """Send what waits until the end."""
        hub, outbox = self._hub, self._outbox
        sent: Published | None = None
        try:
            while not outbox.ended:
                for item in await outbox.get(60.0):
                    if isinstance(item, Published):
                        if item is sent:
                            continue
                        sent = item
                    text = item.message() if isinstance(item, Published) else item
                    async with hub.in_time(self._request):
                        await self._connection.send_str(text)
            async with hub.in_time(self._request):
                await self._connection.close(code=WSCloseCode.GOING_AWAY, message=b"the server closes this connection")
        except ConnectionError:
            pass  # the client went away; the reader sees it too
        except Exception as error:
            hub.journal(f"a message could not be sent ({one_line(error)})")
            await self._connection.close(code=WSCloseCode.INTERNAL_ERROR)

    async def _read(self) -> None:
        while True:
            message = await self._connection.receive()
            if message.type in (WSMsgType.CLOSE, WSMsgType.CLOSING, WSMsgType.CLOSED, WSMsgType.ERROR):
                return
            if not self._bucket.take():
                self._hub.journal(f"{self._request.remote} sent too many messages and was dropped")
                self._hub.counts.dropped += 1
                async with self._hub.in_time(self._request):
                    await self._connection.close(code=WSCloseCode.POLICY_VIOLATION, message=b"too many messages")
                return
            if message.type is WSMsgType.PING:
                async with self._hub.in_time(self._request):
                    await self._connection.pong(message.data)
            elif message.type is not WSMsgType.PONG:
                await self._answer(message)

    async def _answer(self, message: WSMessage) -> None:
        try:
            if message.type is not WSMsgType.TEXT:
                raise GcposeError("the message is binary; send JSON as text")
            await self._obey(from_json(message.data))
        except GcposeError as error:
            # Each of a few, for a page may have sent several; more are not read anyhow.
            self._errors = (self._errors + 1) % _ERRORS
            self._outbox.put(("error", self._errors), error_message(error))

    async def _obey(self, wish: dict[str, object]) -> None:
        kind = wish.pop("type", None)
        if kind == "set":
            settings = change(self._hub.controls, wish)
            await self._hub.tell_settings()
            self._outbox.put("settings", settings_message(settings))
        elif kind == "source":
            try:
                source = self._hub.source_index(wish.get("source"))  # type: ignore[arg-type]  # refuses all but numbers
            except web.HTTPNotFound as error:
                raise GcposeError(error.text) from error
            self._outbox.put("source", to_json({"type": "source", "source": source}))
            self._watch(source)
        else:
            raise GcposeError(f"there is no message of type {one_line(repr(kind), 60)}; send set or source")
