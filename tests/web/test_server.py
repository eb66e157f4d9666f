"""Starting, stopping, and the sink."""

from __future__ import annotations

import asyncio
import builtins
import logging
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import aiohttp
import numpy as np
import pytest

from gcpose_trt.errors import GcposeError, MissingDependencyError
from gcpose_trt.web.channel import Outbox
from gcpose_trt.web.limits import Limits
from gcpose_trt.web.server import WebServer
from gcpose_trt.web.sink import WebSink
from tests.web.serving import TOKEN, Serving, next_message, next_part, result, someone
from tests.web.test_limits import Clock

Serve = Callable[..., Serving]


def descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def test_stopping_ends_all_clients_and_leaves_nothing(tmp_path: Path) -> None:
    async def main(session: aiohttp.ClientSession) -> None:
        answer = await session.get("/stream.mjpg")
        await answer.content.readexactly(16)
        await next_part(answer.content)
        async with session.ws_connect("/ws") as socket:
            await next_message(socket, "frame")
            loop = asyncio.get_running_loop()
            stopping = loop.run_in_executor(None, serving.server.stop)
            while (message := await socket.receive()).type is aiohttp.WSMsgType.TEXT:
                pass
            assert message.type is aiohttp.WSMsgType.CLOSE
            assert message.data == 1001
            await answer.content.read()  # to its end
            assert answer.content.at_eof()
            await stopping

    for attempt in range(4):
        serving = Serving(tmp_path / str(attempt))
        serving.server.start()
        with serving.feeding():
            serving.run(main)
        serving.write()  # to nobody
        serving.server.stop()
        assert not serving.lines
        if attempt == 0:
            before = descriptors(), threading.active_count()
    assert (descriptors(), threading.active_count()) == before


def test_clients_that_do_not_listen_are_not_waited_for(tmp_path: Path) -> None:
    import socket

    serving = Serving(tmp_path)
    serving.server.start()
    noise = np.random.default_rng(0).integers(0, 255, (480, 640, 3), dtype=np.uint8)
    with socket.socket() as client, serving.feeding(image=noise):
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
        client.connect(serving.server.address)
        client.sendall(b"GET /stream.mjpg HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert client.recv(15) == b"HTTP/1.1 200 OK"
        serving.server.stop()
        assert not any(thread.name.startswith("page") for thread in threading.enumerate())


def test_the_address(serve: Serve, tmp_path: Path) -> None:
    serving = serve(host="localhost")
    host, port = serving.server.address
    assert host == "localhost"
    assert serving.server.url == f"http://localhost:{port}/"
    with pytest.raises(GcposeError, match=f"port {port} is taken"):
        Serving(tmp_path / "other", host="localhost", port=port).server.start()
    with pytest.raises(GcposeError, match="started already"):
        serving.server.start()
    with pytest.raises(GcposeError, match="does not listen yet"):
        _ = Serving(tmp_path / "third").server.address
    everywhere = serve(host="0.0.0.0", token=TOKEN)
    assert everywhere.server.url == f"http://127.0.0.1:{everywhere.server.address[1]}/"


def test_ipv6(serve: Serve) -> None:
    try:
        serving = serve(host="::1")
    except GcposeError as error:
        pytest.skip(f"no IPv6 here: {error}")
    assert serving.server.url == f"http://[::1]:{serving.server.address[1]}/"
    assert serving.get("/healthz")[0] == 200
    assert serving.get("/")[0] == 200


def test_a_server_without_its_page_says_so(serve: Serve, tmp_path: Path) -> None:
    serving = serve(page=tmp_path / "nowhere")
    assert serving.get("/")[0] == 404
    assert serving.get("/healthz")[0] == 200


@pytest.mark.parametrize("package", ["aiohttp", "prometheus_client"])
def test_a_missing_package(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, package: str) -> None:
    real = builtins.__import__

    def without(name: str, *arguments: Any, **options: Any) -> Any:
        if name.partition(".")[0] == package:
            raise ImportError(name)
        return real(name, *arguments, **options)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(MissingDependencyError, match=r"pip install 'gcpose-trt\[web\]'"):
        Serving(tmp_path)


def test_nothing_is_logged_beside_the_log(serve: Serve, caplog: pytest.LogCaptureFixture, capfd: Any) -> None:
    caplog.set_level(logging.DEBUG)
    serving = serve()
    serving.get("/")
    serving.broken = True
    serving.get("/api/statistics")
    assert len(serving.lines) == 1
    assert not [record for record in caplog.records if record.name.startswith("aiohttp")]
    assert capfd.readouterr().err == ""


class Collected:
    """Stands in for the server: keeps what the sink hands to it."""

    def __init__(self) -> None:
        self.results: list[tuple[int, int]] = []
        self.lines: list[str] = []
        self.journal = self.lines.append
        self.error: Exception | None = None

    def publish(self, given: Any, quality: int) -> None:
        """Keep a frame's stream and index."""
        if self.error:
            raise self.error
        self.results.append((given.frame.stream, given.frame.index))


def test_the_sink_thins_frames_out(tmp_path: Path) -> None:
    clock, server = Clock(), Collected()
    sink = WebSink(server, max_fps=20, clock=clock)  # type: ignore[arg-type]
    with sink:
        for index in range(300):  # ten seconds at 30 a second
            sink.write(result(index, 0))
            if index % 6 == 0:  # 5 a second, all of them shown
                sink.write(result(index, 1))
            clock.now += 1 / 30
    shown = [index for stream, index in server.results if stream == 0]
    assert 199 <= len(shown) <= 202
    assert max(np.diff(shown)) <= 2
    assert len(server.results) - len(shown) == 50
    # After a pause there is no burst.
    clock.now += 100
    server.results.clear()
    for index in range(3):
        sink.write(result(index, 0))
    assert server.results == [(0, 0)]


def test_the_sink_never_fails(tmp_path: Path) -> None:
    server = Collected()
    server.error = RuntimeError("no\nway")
    sink = WebSink(server)  # type: ignore[arg-type]
    sink.write(result(0))
    assert server.lines == ["a frame could not be shown (no way)"]
    assert sink.needs_picture is False


def test_frames_of_no_source_and_pictures_that_are_none(serve: Serve) -> None:
    serving = serve()
    serving.sink.write(result(0, stream=5))
    assert "the page knows no source 5" in serving.lines[0]

    async def main(session: aiohttp.ClientSession) -> None:
        answer = await session.get("/stream.mjpg")
        await answer.content.readexactly(16)
        serving.write(image=np.zeros((0, 0, 3), np.uint8))
        serving.write()
        assert (await next_part(answer.content))[0]["X-Frame"] == "2"

    serving.run(main)
    assert "does not become a JPEG" in serving.lines[1]


def test_bad_rates() -> None:
    for options in ({"max_fps": 0}, {"max_fps": float("nan")}, {"quality": 0}, {"quality": 101}):
        with pytest.raises(GcposeError, match="choose 1 to"):
            WebSink(Collected(), **options)  # type: ignore[arg-type]


def test_nothing_is_encoded_while_nobody_watches(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    from gcpose_trt.web import channel

    encoded: list[int] = []
    real = channel.part
    monkeypatch.setattr(channel, "part", lambda *arguments: encoded.append(1) or real(*arguments))
    serving = serve()
    for _ in range(5):
        serving.write()
    assert not encoded

    async def main(session: aiohttp.ClientSession) -> None:
        streams = []
        for _ in range(3):
            answer = await session.get("/stream.mjpg")
            await answer.content.readexactly(16)
            await next_part(answer.content)
            streams.append(answer.content)
        assert len(encoded) == 1
        serving.write()
        for stream in streams:
            await next_part(stream)
        assert len(encoded) == 2

    serving.run(main)


def test_a_slow_client_has_the_newest_frame_waiting() -> None:
    async def main() -> None:
        outbox = Outbox()
        for number in range(1000):
            outbox.put("frame", number)
        outbox.put("statistics", "s")
        assert len(outbox) == 2
        assert await outbox.get(30) == [999, "s"]
        assert await outbox.get(0.001) == []
        asyncio.get_running_loop().call_soon(outbox.end)
        assert await outbox.get(30) == []
        assert outbox.ended

    asyncio.run(main())


def test_frames_before_the_start_do_no_harm(tmp_path: Path) -> None:
    serving = Serving(tmp_path, limits=Limits())
    serving.write(poses=someone())
    with serving.server as server:
        assert isinstance(server, WebServer)
        serving.write()

        async def main(session: aiohttp.ClientSession) -> None:
            answer = await session.get("/stream.mjpg")
            await answer.content.readexactly(16)
            assert (await next_part(answer.content))[0]["X-Sequence"] == "2"
            serving.write()
            assert (await next_part(answer.content))[0]["X-Sequence"] == "3"

        serving.run(main)
