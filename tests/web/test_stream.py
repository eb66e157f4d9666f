"""The video stream."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Callable

import aiohttp
import cv2
import numpy as np
import pytest

from gcpose_trt.web.limits import Limits
from tests.web.serving import PATIENCE_S, Serving, next_message, next_part, picture, until, wait_until

Serve = Callable[..., Serving]


def decoded(content: bytes) -> np.ndarray:
    return cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_COLOR).astype(int)


async def opened(session: aiohttp.ClientSession, source: int = 0) -> aiohttp.StreamReader:
    answer = await session.get("/stream.mjpg", params={"source": str(source)})
    assert answer.status == 200
    assert answer.headers["Content-Type"] == "multipart/x-mixed-replace; boundary=gcpose-frame"
    assert answer.headers["Cache-Control"] == "no-store"
    assert await answer.content.readexactly(16) == b"--gcpose-frame\r\n"
    return answer.content


def test_pictures_follow_each_other(serve: Serve) -> None:
    serving = serve()

    async def main(session: aiohttp.ClientSession) -> None:
        serving.write()
        stream = await opened(session)
        for number in range(1, 6):
            # The first lay ready; each other is written when the one before it was seen.
            headers, content = await next_part(stream)
            assert headers["Content-Type"] == "image/jpeg"
            assert (headers["X-Frame"], headers["X-Sequence"]) == (str(number), str(number))
            assert np.abs(decoded(content) - picture(number)).max() <= 2
            serving.write()

    serving.run(main)
    assert not serving.lines


def test_each_source_has_its_stream(serve: Serve) -> None:
    serving = serve()

    async def main(session: aiohttp.ClientSession) -> None:
        stream = await opened(session, 1)
        serving.write(stream=0)
        serving.write(stream=1)
        headers, _ = await next_part(stream)
        assert (headers["X-Frame"], headers["X-Sequence"]) == ("2", "1")

    serving.run(main)


def test_pictures_and_people_bear_one_number(serve: Serve) -> None:
    serving = serve()

    async def main(session: aiohttp.ClientSession) -> None:
        stream = await opened(session)
        async with session.ws_connect("/ws") as messages:
            await next_message(messages, "hello")
            for _ in range(3):
                written = serving.write()
                headers, _ = await next_part(stream)
                frame = await next_message(messages, "frame")
                assert frame["sequence"] == int(headers["X-Sequence"])
                assert frame["frame"] == int(headers["X-Frame"]) == written.frame.index

    serving.run(main)


def test_a_still_video_is_repeated(serve: Serve) -> None:
    serving = serve(limits=Limits(repeat_s=0.05))

    async def main(session: aiohttp.ClientSession) -> None:
        serving.write()
        stream = await opened(session)
        parts = [await next_part(stream) for _ in range(3)]
        assert parts[0] == parts[1] == parts[2]

    serving.run(main)


def test_heads_are_hidden_at_once(serve: Serve) -> None:
    serving = serve()
    stripes = cv2.cvtColor(np.tile(np.array([40] * 8 + [200] * 8, np.uint8), (96, 8)), cv2.COLOR_GRAY2BGR)

    async def main(session: aiohttp.ClientSession) -> None:
        serving.write(image=stripes)
        stream = await opened(session)
        plain = decoded((await next_part(stream))[1])
        # No new frame comes, as while the pipeline is paused.
        async with session.post("/api/settings", json={"blur_heads": True}) as answer:
            assert answer.status == 200
        headers, content = await next_part(stream)
        assert headers["X-Sequence"] == "2"
        assert np.abs(decoded(content) - plain).max() > 60
        serving.controls.update(blur_heads=False)  # by the program, not by the page
        headers, content = await next_part(stream)
        assert np.array_equal(decoded(content), plain)

    serving.run(main)


def test_a_head_that_is_lost_for_a_moment_stays_hidden(serve: Serve) -> None:
    from gcpose_trt.pose.types import PoseFrame

    serving = serve()
    serving.controls.update(blur_heads=True)
    stripes = cv2.cvtColor(np.tile(np.array([40] * 8 + [200] * 8, np.uint8), (96, 8)), cv2.COLOR_GRAY2BGR)
    serving.write(image=stripes)  # nobody watches yet
    serving.write(image=stripes, poses=PoseFrame.empty())

    async def main(session: aiohttp.ClientSession) -> None:
        _, content = await next_part(await opened(session))
        assert np.abs(decoded(content) - stripes).max() > 60

    serving.run(main)


def test_opencv_reads_the_stream(serve: Serve) -> None:
    if "FFMPEG" not in {cv2.videoio_registry.getBackendName(b) for b in cv2.videoio_registry.getStreamBackends()}:
        pytest.skip("this OpenCV reads no streams: it was built without FFmpeg")
    serving = serve()
    with serving.feeding():
        capture = cv2.VideoCapture(serving.server.url + "stream.mjpg", cv2.CAP_FFMPEG)
        frames = [capture.read() for _ in range(3)]
        capture.release()
    assert all(fine and image.shape == (96, 128, 3) for fine, image in frames)


def test_a_client_that_leaves_frees_its_place(serve: Serve) -> None:
    serving = serve(limits=Limits(streams=1, sockets=1))

    async def main(session: aiohttp.ClientSession) -> None:
        for _ in range(3):
            answer = await session.get("/stream.mjpg")
            async with session.get("/stream.mjpg") as refused:
                assert refused.status == 503
                assert await refused.text() == "1 clients watch already; try again when one has left\n"
            # Nothing is sent meanwhile that would fail.
            answer.close()
            await until(lambda: not serving.server.channels[0].viewers)
        async with session.ws_connect("/ws"):
            with pytest.raises(aiohttp.WSServerHandshakeError) as caught:
                await session.ws_connect("/ws")
            assert caught.value.status == 503
        await until(lambda: not serving.server.channels[0].listeners)

    serving.run(main)
    assert "gcpose_page_clients_refused_total 4.0" in serving.get("/metrics")[1]


def stalled(serving: Serving, path: str, upgrade: str = "") -> socket.socket:
    """Return a client that asks and then never reads."""
    client = socket.socket()
    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
    client.settimeout(PATIENCE_S)
    client.connect(serving.server.address)
    client.sendall(f"GET {path} HTTP/1.1\r\nHost: localhost\r\n{upgrade}\r\n".encode())
    return client


def test_a_client_that_never_reads_is_dropped_and_others_are_not(serve: Serve) -> None:
    serving = serve(limits=Limits(drain_s=0.3))
    noise = np.random.default_rng(0).integers(0, 255, (480, 640, 3), dtype=np.uint8)
    with stalled(serving, "/stream.mjpg") as client, serving.feeding(image=noise):

        async def main(session: aiohttp.ClientSession) -> None:
            stream = await opened(session)
            last, after = 0, 0
            while after < 3:
                headers, _ = await next_part(stream)
                assert int(headers["X-Sequence"]) > last
                last = int(headers["X-Sequence"])
                after += any("was too slow for /stream.mjpg and was dropped" in line for line in serving.lines)

        serving.run(main)
        with pytest.raises(ConnectionResetError):
            while client.recv(1 << 16):
                pass
    assert len(serving.lines) == 1
    assert "gcpose_page_clients_dropped_total 1.0" in serving.get("/metrics")[1]


def test_a_socket_that_never_reads_is_dropped(serve: Serve) -> None:
    from gcpose_trt.pose.types import PoseFrame

    serving = serve(limits=Limits(drain_s=0.3))
    many = PoseFrame(np.tile([[0, 0, 50, 50]], (60, 1)), np.full(60, 0.9), np.random.default_rng(0).random((60, 17, 3)))  # type: ignore[arg-type]
    upgrade = (
        "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
        "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n"
    )
    with stalled(serving, "/ws", upgrade), serving.feeding(poses=many):
        wait_until(lambda: any("was too slow for /ws and was dropped" in line for line in serving.lines))
        wait_until(lambda: not serving.server.channels[0].listeners)
    assert serving.get("/healthz")[0] == 200


def test_too_many_connections_are_refused(serve: Serve) -> None:
    serving = serve(limits=Limits(connections=3, idle_s=PATIENCE_S))
    idle = [socket.create_connection(serving.server.address, timeout=PATIENCE_S) for _ in range(3)]
    with socket.create_connection(serving.server.address, timeout=PATIENCE_S) as client:
        answer = b"".join(iter(lambda: client.recv(4096), b""))
        head, _, text = answer.partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 503 ")
        assert f"Content-Length: {len(text)}".encode() in head
        assert text == b"too many connections; try again later\n"
    for client in idle:
        client.close()

    async def main(session: aiohttp.ClientSession) -> None:
        while True:
            async with session.get("/healthz") as answer:
                if answer.status == 200:
                    return

    serving.run(main)


@pytest.mark.parametrize("sent", [b"", b"GET / HT", b"GET / HTTP/1.1\r\nHost: localhost\r\nX-Slow: "])
def test_requests_that_never_arrive_are_cut_off(serve: Serve, sent: bytes) -> None:
    serving = serve(limits=Limits(idle_s=0.1))
    with socket.create_connection(serving.server.address, timeout=PATIENCE_S) as client:
        client.sendall(sent)
        with contextlib.suppress(ConnectionResetError):
            assert client.recv(4096) == b""


def test_a_body_that_never_arrives_is_cut_off(serve: Serve) -> None:
    serving = serve(limits=Limits(idle_s=0.1))
    with socket.create_connection(serving.server.address, timeout=PATIENCE_S) as client:
        client.sendall(
            b"POST /api/settings HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
            b"Content-Length: 100\r\n\r\n{"
        )
        answer = b"".join(iter(lambda: client.recv(4096), b""))
        assert answer.startswith(b"HTTP/1.1 408 ")


@pytest.mark.parametrize(
    "request_line",
    [
        b"GET / HTTP/1.1\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: localhost\r\nHost: evil.example\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
        b"GET " + b"/x" * 20000 + b" HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: localhost\r\nX: " + b"y" * 20000 + b"\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: localhost\r\n" + b"X: y\r\n" * 5000 + b"\r\n",
        b"POST /login HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"\r\n\r\n\r\nGET\r\n\r\n",
    ],
)
def test_what_is_no_proper_http_is_refused(serve: Serve, request_line: bytes) -> None:
    serving = serve(limits=Limits(idle_s=1.0))
    with socket.create_connection(serving.server.address, timeout=PATIENCE_S) as client:
        client.sendall(request_line)
        client.shutdown(socket.SHUT_WR)
        answer = b""
        try:
            while received := client.recv(4096):
                answer += received
        except ConnectionResetError:
            pass
    assert not answer or answer.startswith((b"HTTP/1.1 4", b"HTTP/1.0 4"))
    assert b"Traceback" not in answer
    assert all("\n" not in line for line in serving.lines)
    assert serving.get("/healthz")[0] == 200
