"""The video: JPEG after JPEG in one endless answer (multipart/x-mixed-replace)."""

from __future__ import annotations

from aiohttp import web

from gcpose_trt.web.channel import Channel, Outbox, Published
from gcpose_trt.web.hub import HUB, Hub
from gcpose_trt.web.limits import one_line
from gcpose_trt.web.pictures import BOUNDARY


async def stream(request: web.Request) -> web.StreamResponse:
    """GET /stream.mjpg?source=I."""
    hub = request.app[HUB]
    channel = hub.channels[hub.source_index(request.query.get("source", "0"))]
    with hub.client(request, hub.streams, hub.limits.streams) as outbox:
        response = web.StreamResponse(headers={"Content-Type": f"multipart/x-mixed-replace; boundary={BOUNDARY}"})
        response.force_close()
        channel.viewers.add(outbox)
        if channel.latest is not None:
            outbox.put("frame", channel.latest)
        try:
            async with hub.in_time(request):
                await response.prepare(request)
                await response.write(f"--{BOUNDARY}\r\n".encode())
            await _send(hub, request, response, channel, outbox)
            async with hub.in_time(request):
                await response.write_eof()
        except ConnectionError:
            pass  # the client went away
        return response


async def _send(hub: Hub, request: web.Request, response: web.StreamResponse, channel: Channel, outbox: Outbox) -> None:
    sent: Published | None = None
    while not outbox.ended:
        items = await outbox.get(hub.limits.repeat_s)
        if outbox.ended:
            return
        published: Published | None = items[-1] if items else channel.latest
        # The same again is for silence only.
        if published is None or (items and published is sent):
            continue
        sent = published
        blur = hub.controls.settings.blur_heads
        try:
            part = published.ready(blur)
            if part is None:
                part = await hub.work(published.part, blur)
        except Exception as error:
            hub.journal(f"a frame could not be sent ({one_line(error)})")
            continue
        async with hub.in_time(request):
            await response.write(part)
