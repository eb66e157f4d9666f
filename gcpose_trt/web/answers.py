"""Requests with one answer: snapshot, statistics, settings, health, metrics."""

from __future__ import annotations

import asyncio
import re
import time
from dataclasses import asdict

from aiohttp import web

from gcpose_trt.errors import GcposeError
from gcpose_trt.web.channel import Published
from gcpose_trt.web.hub import HUB, Hub
from gcpose_trt.web.limits import one_line
from gcpose_trt.web.messages import change, from_json, to_json
from gcpose_trt.web.metrics import CONTENT_TYPE, metrics
from gcpose_trt.web.pictures import snapshot as snapshot_jpeg

_WELL = ("running", "paused", "ended")


async def body(request: web.Request) -> bytes:
    """Return the body of a request.

    Raises:
        web.HTTPRequestTimeout: it did not come in time.
    """
    try:
        return await asyncio.wait_for(request.read(), request.app[HUB].limits.idle_s)
    except asyncio.TimeoutError as error:
        raise web.HTTPRequestTimeout(text="the request did not arrive in time; try again") from error


async def snapshot(request: web.Request) -> web.Response:
    """GET /snapshot.jpg?source=I[&plain=1]."""
    hub = request.app[HUB]
    index = hub.source_index(request.query.get("source", "0"))
    published = hub.channels[index].latest
    if published is None:
        raise web.HTTPNotFound(text="there is no picture yet; try again soon")
    plain = request.query.get("plain", "0") not in ("", "0")
    picture = await hub.work(_picture, hub, published, plain)
    name = re.sub(r"[^A-Za-z0-9_-]+", "_", hub.sources[index])[:40] or "source"
    when = time.strftime("%Y%m%d-%H%M%S", time.localtime(published.result.unix_time))
    headers = {"Content-Disposition": f'attachment; filename="gcpose-{name}-{when}.jpg"'}
    return web.Response(body=picture, content_type="image/jpeg", headers=headers)


def _picture(hub: Hub, published: Published, plain: bool) -> bytes:
    image = published.image(hub.controls.settings.blur_heads)
    return snapshot_jpeg(image, published.result.poses, plain, hub.threshold, hub.skeleton)


async def statistics(request: web.Request) -> web.Response:
    """GET /api/statistics."""
    hub = request.app[HUB]
    now = await hub.work(hub.snapshot)
    return web.Response(text=to_json(now.to_dict()), content_type="application/json")


async def settings(request: web.Request) -> web.Response:
    """GET /api/settings, and POST, which changes them."""
    hub = request.app[HUB]
    if request.method == "POST":
        if request.content_type != "application/json":
            raise web.HTTPUnsupportedMediaType(text="the body is not application/json; set Content-Type to that")
        try:
            change(hub.controls, from_json(await body(request)))
        except GcposeError as error:
            raise web.HTTPBadRequest(text=one_line(error)) from error
        await hub.tell_settings()
    return web.Response(text=to_json(asdict(hub.controls.settings)), content_type="application/json")


async def health(request: web.Request) -> web.Response:
    """GET /healthz: 200 while every source runs or came to its proper end. Says no names, for it asks for no token."""
    hub = request.app[HUB]
    try:
        states = [source.state for source in (await hub.work(hub.snapshot)).sources]
    except Exception as error:
        hub.journal(f"no statistics ({one_line(error)})")
        return web.json_response({"status": "unknown", "sources": []}, status=503)
    ill = [{"source": index, "state": state} for index, state in enumerate(states) if state not in _WELL]
    if not ill:
        return web.json_response({"status": "ok"})
    starting = all(source["state"] == "starting" for source in ill)
    return web.json_response({"status": "starting" if starting else "degraded", "sources": ill}, status=503)


async def prometheus(request: web.Request) -> web.Response:
    """GET /metrics."""
    hub = request.app[HUB]
    published = {f"{index}": channel.published for index, channel in enumerate(hub.channels)}
    now = await hub.work(hub.snapshot)
    counts = hub.counts
    text = metrics(now, len(hub.streams), len(hub.sockets), counts.refused, counts.dropped, published)
    return web.Response(body=text, headers={"Content-Type": CONTENT_TYPE})
