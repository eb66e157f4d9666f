"""The WebSocket."""

from __future__ import annotations

import json
from collections.abc import Callable

import aiohttp
import numpy as np
import pytest

import gcpose_trt
from gcpose_trt.pose.skeleton import COCO17
from gcpose_trt.pose.types import PoseFrame
from gcpose_trt.web.limits import Limits
from tests.web.serving import Serving, next_message, next_part, someone, until

Serve = Callable[..., Serving]


def test_what_a_page_needs_comes_first(serve: Serve) -> None:
    serving = serve()
    serving.write()

    async def main(session: aiohttp.ClientSession) -> None:
        async with session.ws_connect("/ws") as socket:
            hello = await socket.receive_json()
            assert hello["type"] == "hello"
            assert hello["version"] == gcpose_trt.__version__
            assert hello["sources"] == ["video0", "the yard"]
            assert hello["settings"] == {"min_score": 0.3, "smooth": 0.0, "paused": False, "blur_heads": False}
            assert hello["keypoint_threshold"] == 0.05
            assert hello["certain"] == pytest.approx(0.3)
            skeleton = hello["skeleton"]
            assert skeleton["names"] == list(COCO17.names)
            assert [tuple(edge) for edge in skeleton["edges"]] == list(COCO17.limbs)
            assert skeleton["sides"][:3] == ["centre", "left", "right"]
            assert skeleton["edge_sides"][:3] == ["centre", "centre", "left"]
            assert skeleton["colours"]["left"] == "#24b0ff"
            frame = await next_message(socket, "frame")
            assert (frame["source"], frame["sequence"], frame["frame"]) == (0, 1, 1)
            assert (frame["width"], frame["height"], frame["latency_ms"]) == (128, 96, 12.5)
            assert PoseFrame.from_dict(frame) == someone()
            statistics = await next_message(socket, "statistics")
            assert statistics["device"] == "cpu"
            assert len(statistics["sources"]) == 2

    serving.run(main)


def test_statistics_come_again_and_again(serve: Serve) -> None:
    serving = serve(limits=Limits(statistics_s=0.02))

    async def main(session: aiohttp.ClientSession) -> None:
        async with session.ws_connect("/ws") as socket:
            for _ in range(3):
                await next_message(socket, "statistics")
            serving.broken = True
            await until(lambda: len(serving.lines) > 2)
            serving.broken = False
            for _ in range(30):
                await next_message(socket, "statistics")

    serving.run(main)


def test_numbers_that_json_does_not_have(serve: Serve) -> None:
    serving = serve()
    person = someone()
    person.keypoints[0, 0, 0] = np.inf
    serving.write(poses=person)

    async def main(session: aiohttp.ClientSession) -> None:
        async with session.ws_connect("/ws") as socket:
            while True:
                message = json.loads(await socket.receive_str(), parse_constant=pytest.fail)
                if message["type"] == "frame":
                    assert message["people"][0]["keypoints"][0][0] is None
                    return

    serving.run(main)


def test_settings_are_changed_for_all(serve: Serve) -> None:
    serving = serve(limits=Limits(statistics_s=0.02))

    async def main(session: aiohttp.ClientSession) -> None:
        async with session.ws_connect("/ws") as one, session.ws_connect("/ws") as other:
            await one.send_json({"type": "set", "min_score": 0.55, "smooth": 1})
            for socket in (one, other):
                settings = (await next_message(socket, "settings"))["settings"]
                assert (settings["min_score"], settings["smooth"]) == (0.55, 1)
            assert serving.controls.settings.min_score == 0.55
            # Nothing changes: the answer comes all the same.
            await other.send_json({"type": "set"})
            await next_message(other, "settings")
            # By the program, not by a page.
            serving.controls.update(paused=True)
            for socket in (one, other):
                assert (await next_message(socket, "settings"))["settings"]["paused"] is True

    serving.run(main)


def test_the_source_is_chosen_among_those_of_the_run(serve: Serve) -> None:
    serving = serve()
    serving.write(stream=0)
    serving.write(stream=1)

    async def main(session: aiohttp.ClientSession) -> None:
        async with session.ws_connect("/ws", params={"source": "1"}) as socket:
            assert (await next_message(socket, "hello"))["source"] == 1
            assert (await next_message(socket, "frame"))["source"] == 1
            await socket.send_json({"type": "source", "source": 0})
            assert (await next_message(socket, "source"))["source"] == 0
            assert (await next_message(socket, "frame"))["source"] == 0
            for wish in (2, -1, 1.0, True, None, "rtsp://10.0.0.1/", [0], 10**30):
                await socket.send_json({"type": "source", "source": wish})
                error = await next_message(socket, "error")
                assert error["message"] == "there is no such source; choose from 0 to 1"
            serving.write(stream=1)
            serving.write(stream=0)
            assert (await next_message(socket, "frame"))["frame"] == 4

    serving.run(main)


@pytest.mark.parametrize(
    ("sent", "said"),
    [
        ("", "not JSON"),
        ("[]", "not an object"),
        ("null", "not an object"),
        ("{", "not JSON"),
        ("[" * 4000, "not JSON"),
        ("{}", "no message of type None"),
        ('{"type": ["set"]}', "no message of type ['set']"),
        ('{"type": "%s"}' % ("x" * 3000), "no message of type 'xxx"),
        ('{"type": "set", "min_score": NaN}', "not JSON"),
        ('{"type": "set", "min_score": -Infinity}', "not JSON"),
        ('{"type": "set", "min_score": 1e999}', "choose a number from 0 to 1"),
        ('{"type": "set", "min_score": -1}', "choose a number from 0 to 1"),
        ('{"type": "set", "min_score": %s}' % ("9" * 4000), "min_score is 999"),
        ('{"type": "set", "min_score": null}', "choose a number from 0 to 1"),
        ('{"type": "set", "smooth": true}', "choose a number from 0 to 1"),
        ('{"type": "set", "paused": "yes"}', "choose true or false"),
        ('{"type": "set", "self": 1}', "no setting 'self'"),
        ('{"type": "set", "model": "x\\ny"}', "no setting 'model'"),
        ('{"type": "set", "\\n\\ud800": 1}', "no setting"),
        (b'{"type": "set", "paused": true}', "binary"),
    ],
)
def test_bad_messages_are_answered_in_one_line(serve: Serve, sent: str | bytes, said: str) -> None:
    serving = serve()

    async def main(session: aiohttp.ClientSession) -> None:
        async with session.ws_connect("/ws") as socket:
            await (socket.send_bytes(sent) if isinstance(sent, bytes) else socket.send_str(sent))
            message = (await next_message(socket, "error"))["message"]
            assert said in message
            assert "\n" not in message
            assert len(message) < 400
            await socket.send_json({"type": "set", "smooth": 0.5})
            assert (await next_message(socket, "settings"))["settings"]["smooth"] == 0.5

    serving.run(main)
    assert serving.controls.settings.paused is False
    assert not serving.lines


async def closed_with(socket: aiohttp.ClientWebSocketResponse) -> int:
    while (message := await socket.receive()).type is aiohttp.WSMsgType.TEXT:
        pass
    assert message.type in (aiohttp.WSMsgType.CLOSE, aiohttp.WSMsgType.CLOSED)
    return socket.close_code or 0


def test_large_messages_end_the_connection(serve: Serve) -> None:
    serving = serve()

    async def main(session: aiohttp.ClientSession) -> None:
        async with session.ws_connect("/ws") as socket:
            await socket.send_str('{"type": "set"%s}' % (" " * 5000))
            assert await closed_with(socket) == 1009

    serving.run(main)


@pytest.mark.parametrize("ping", [False, True])
def test_too_many_messages_end_the_connection(serve: Serve, ping: bool) -> None:
    serving = serve(limits=Limits(messages_burst=10, messages_per_second=0.01))

    async def main(session: aiohttp.ClientSession) -> None:
        async with session.ws_connect("/ws") as socket, session.ws_connect("/ws") as calm:
            for _ in range(11):
                await (socket.ping() if ping else socket.send_json({"type": "set"}))
            assert await closed_with(socket) == 1008
            await calm.send_json({"type": "set"})
            await next_message(calm, "settings")

    serving.run(main)
    assert len(serving.lines) == 1
    assert "too many messages" in serving.lines[0]


def test_a_client_that_goes_away_is_forgotten(serve: Serve) -> None:
    serving = serve()

    async def main(session: aiohttp.ClientSession) -> None:
        for close in (True, False):
            socket = await session.ws_connect("/ws")
            await next_message(socket, "hello")
            if close:
                await socket.close()
            else:
                response = socket._response
                assert response.connection is not None
                assert response.connection.transport is not None
                response.connection.transport.abort()  # no close frame
            await until(lambda: not serving.server.channels[0].listeners)

    serving.run(main)
    assert not serving.lines


def test_sub_protocols_are_refused(serve: Serve) -> None:
    serving = serve()

    async def main(session: aiohttp.ClientSession) -> None:
        with pytest.raises(aiohttp.WSServerHandshakeError) as caught:
            await session.ws_connect("/ws", protocols=["chat"])
        assert caught.value.status == 400

    serving.run(main)


def test_ten_clients_at_once(serve: Serve) -> None:
    import asyncio

    serving = serve()

    async def main(session: aiohttp.ClientSession) -> None:
        async def client() -> list[int]:
            answer = await session.get("/stream.mjpg")
            await answer.content.readexactly(16)
            async with session.ws_connect("/ws") as socket:
                seen = []
                for _ in range(10):
                    headers, _ = await next_part(answer.content)
                    seen.append(int(headers["X-Sequence"]))
                    frame = await next_message(socket, "frame")
                    seen.append(int(frame["sequence"]))
            answer.close()
            return seen

        for seen in await asyncio.gather(*(client() for _ in range(10))):
            assert seen[::2] == sorted(set(seen[::2]))
            assert seen[1::2] == sorted(set(seen[1::2]))

    with serving.feeding():
        serving.run(main)
    assert not serving.lines
