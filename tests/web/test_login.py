"""A server that asks for a token."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

import aiohttp
import pytest

from gcpose_trt.errors import GcposeError
from gcpose_trt.web.limits import Limits
from tests.web.serving import TOKEN, Serving, next_message, wait_until

Serve = Callable[..., Serving]
BEARER = {"Authorization": f"Bearer {TOKEN}"}


def test_other_networks_need_a_token(tmp_path: Path) -> None:
    for host in ("0.0.0.0", "::", "192.0.2.7"):
        with pytest.raises(GcposeError, match="--token"):
            Serving(tmp_path, host=host)
    with pytest.raises(GcposeError, match="8 to 256"):
        Serving(tmp_path, host="0.0.0.0", token="short")


def test_nothing_without_the_token(serve: Serve) -> None:
    serving = serve(host="0.0.0.0", token=TOKEN)
    serving.write()
    paths = ("/stream.mjpg", "/ws", "/snapshot.jpg", "/metrics", "/api/statistics", "/api/settings", "/other")
    for path in paths:
        status, text, headers = serving.get(path)
        assert status == 401
        assert headers["WWW-Authenticate"].startswith("Bearer")
        assert "/login" in text
    assert serving.get("/api/settings", method="POST", json={"paused": True})[0] == 401
    assert serving.get("/logout", method="POST")[0] == 401
    assert serving.controls.settings.paused is False
    status, _, headers = serving.get("/")
    assert (status, headers["Location"]) == (303, "login")
    assert serving.get("/healthz")[0] == 200
    assert serving.get("/page/style.css")[0] == 200
    assert "<!--message-->" in serving.get("/login")[1]
    # Nor by the address, where it would stay in histories and logs.
    assert serving.get("/api/settings", params={"token": TOKEN})[0] == 401
    assert (
        serving.get("/api/settings", headers={"Cookie": f"gcpose_session_{serving.server.address[1]}={TOKEN}"})[0]
        == 401
    )


def test_the_header(serve: Serve) -> None:
    serving = serve(token=TOKEN)
    serving.write()
    assert serving.get("/api/settings", headers=BEARER)[0] == 200
    assert serving.get("/snapshot.jpg", headers=BEARER)[0] == 200
    assert serving.get("/metrics", headers={"Authorization": f"bearer {TOKEN}"})[0] == 200
    for wrong in (f"Bearer {TOKEN}x", "Bearer", f"Basic {TOKEN}", TOKEN):
        assert serving.get("/api/settings", headers={"Authorization": wrong})[0] == 401
    assert not any(TOKEN in line for line in serving.lines)


def test_the_login_page(serve: Serve) -> None:
    serving = serve(token=TOKEN)

    async def main(session: aiohttp.ClientSession) -> None:
        async with session.post("/login", data={"token": "wrong-token"}, allow_redirects=False) as answer:
            assert answer.status == 401
            assert '<p class="message" role="alert">The token is wrong.</p>' in await answer.text()
            assert "Set-Cookie" not in answer.headers
        async with session.post("/login", data={"token": TOKEN}, allow_redirects=False) as answer:
            assert (answer.status, answer.headers["Location"]) == (303, "./")
            cookie = answer.headers["Set-Cookie"]
            assert "HttpOnly" in cookie
            assert "SameSite=Strict" in cookie
            assert TOKEN not in cookie
        async with session.get("/") as answer:
            assert answer.status == 200
        async with session.ws_connect("/ws") as socket:
            assert (await next_message(socket, "hello"))["login"] is True
            async with session.post("/logout", allow_redirects=False) as answer:
                assert (answer.status, answer.headers["Location"]) == (303, "login")
            # The session's sockets end with it.
            while (message := await socket.receive()).type is aiohttp.WSMsgType.TEXT:
                pass
            assert message.type is aiohttp.WSMsgType.CLOSE
            assert message.data == 1001
        async with session.get("/api/settings") as answer:
            assert answer.status == 401

    serving.run(main)
    assert not any(TOKEN in line or "wrong-token" in line for line in serving.lines)


def test_a_session_that_made_room_ends_what_it_watches(serve: Serve) -> None:
    serving = serve(token=TOKEN, limits=Limits(sessions=1, statistics_s=0.02))

    async def main(session: aiohttp.ClientSession) -> None:
        await session.post("/login", data={"token": TOKEN}, allow_redirects=False)
        async with session.ws_connect("/ws") as socket:
            for _ in range(3):
                await next_message(socket, "statistics")
            await session.post("/login", data={"token": TOKEN}, allow_redirects=False)
            while (message := await socket.receive()).type is aiohttp.WSMsgType.TEXT:
                pass
            assert message.data == 1001
        # Who gives the token with each request has no session to lose.
        async with session.ws_connect("/ws", headers=BEARER) as socket:
            for _ in range(3):
                await next_message(socket, "statistics")

    serving.run(main)


def test_a_session_is_not_for_all_to_name(serve: Serve) -> None:
    serving = serve(token=TOKEN)
    name = f"gcpose_session_{serving.server.address[1]}"
    for session in ("", "x", "x" * 5000, "../..", "%00"):
        assert serving.get("/api/settings", headers={"Cookie": f"{name}={session}"})[0] == 401


def test_guessing_is_slowed_down(serve: Serve) -> None:
    serving = serve(token=TOKEN, limits=Limits(login_burst=3, login_refill_s=1000, login_delay_s=0.0))
    for _ in range(2):
        assert serving.get("/login", method="POST", data={"token": "wrong-guess"})[0] == 401
    assert serving.get("/api/settings", headers={"Authorization": "Bearer wrong-guess"})[0] == 401
    # Not even the right one is looked at now.
    status, text, headers = serving.get("/login", method="POST", data={"token": TOKEN})
    assert status == 429
    assert int(headers["Retry-After"]) > 900
    assert "Too many wrong tokens" in text
    assert serving.get("/api/settings", headers=BEARER)[0] == 429
    assert serving.get("/healthz")[0] == 200
    wait_until(lambda: sum("gave a wrong token" in line for line in serving.lines) == 3)


@pytest.mark.parametrize(
    ("content", "kind", "status"),
    [
        (b"token=%ff%fe", "application/x-www-form-urlencoded", 401),
        (b"\xff\x00", "application/x-www-form-urlencoded", 401),
        (b"&".join(b"token=x" for _ in range(50)), "application/x-www-form-urlencoded", 400),
        (b"token=" + b"x" * 5000, "application/x-www-form-urlencoded", 413),
        (b"{}", "application/json", 415),
        (b"--x\r\n\r\n--x--", "multipart/form-data; boundary=x", 415),
    ],
)
def test_bad_forms(serve: Serve, content: bytes, kind: str, status: int) -> None:
    serving = serve(token=TOKEN)
    assert serving.get("/login", method="POST", data=content, headers={"Content-Type": kind})[0] == status


def test_without_a_token_there_is_no_login(serve: Serve) -> None:
    serving = serve()
    status, _, headers = serving.get("/login")
    assert (status, headers["Location"]) == (303, "./")
    assert serving.get("/login", method="POST", data={"token": "x"})[0] == 303


def test_names_that_were_made_to_point_here(serve: Serve) -> None:
    serving = serve()
    for host in ("evil.example", f"evil.example:{serving.server.address[1]}", "10.0.0.1"):
        assert serving.get("/api/settings", headers={"Host": host})[0] == 403
    assert serving.get("/api/settings", headers={"Host": "localhost:9999"})[0] == 200
    assert serving.get("/healthz", headers={"Host": "evil.example"})[0] == 200
    behind_a_proxy = serve(token=TOKEN)
    assert behind_a_proxy.get("/api/settings", headers={"Host": "robot.example", **BEARER})[0] == 200


def test_pages_of_other_sites(serve: Serve) -> None:
    serving = serve()
    evil = {"Origin": "http://evil.example"}
    assert serving.get("/api/settings", method="POST", json={"paused": True}, headers=evil)[0] == 403
    assert serving.get("/stream.mjpg", headers={"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "no-cors"})[0] == 403
    assert serving.controls.settings.paused is False

    async def main(session: aiohttp.ClientSession) -> None:
        with pytest.raises(aiohttp.WSServerHandshakeError) as caught:
            await session.ws_connect("/ws", headers=evil)
        assert caught.value.status == 403
        async with session.ws_connect("/ws", headers={"Origin": serving.server.url.rstrip("/")}) as socket:
            await asyncio.wait_for(next_message(socket, "hello"), 30)

    serving.run(main)
