"""Tokens, sessions, and where requests come from."""

from __future__ import annotations

import pytest

from gcpose_trt.errors import GcposeError
from gcpose_trt.web.auth import Auth, check_token, comes_from_elsewhere, names_this_machine
from gcpose_trt.web.limits import Limits
from tests.web.serving import TOKEN
from tests.web.test_limits import Clock


@pytest.mark.parametrize("token", ["", "short", "with space", "x" * 257, "ümläut-token", "line\nbreak"])
def test_weak_tokens_are_refused_without_being_shown(token: str) -> None:
    with pytest.raises(GcposeError, match="the token must have 8 to 256") as caught:
        check_token(token)
    assert not token or token not in str(caught.value)


def test_tokens() -> None:
    auth = Auth(TOKEN, Limits())
    assert auth.required
    assert auth.check(TOKEN, "10.0.0.1")
    for wrong in ("", TOKEN[:-1], TOKEN + "x", TOKEN.upper(), "\ud800", "ü" * 300):
        assert not auth.check(wrong, "10.0.0.1")
    assert Auth(None, Limits()).check("anything", None)


def test_wrong_tokens_are_limited_for_each_address() -> None:
    clock = Clock()
    auth = Auth(TOKEN, Limits(login_burst=3, login_refill_s=10), clock)
    for _ in range(3):
        assert auth.blocked("10.0.0.1") == 0
        auth.check("wrong-wrong", "10.0.0.1")
    assert auth.blocked("10.0.0.1") == pytest.approx(10)
    assert auth.blocked("10.0.0.2") == 0
    clock.now += 10
    assert auth.blocked("10.0.0.1") == 0
    # An IPv6 user has many addresses, and IPv4 may be spelled as IPv6.
    for last in range(3):
        auth.check("wrong-wrong", f"2001:db8::{last}")
    assert auth.blocked("2001:db8::77") > 0
    assert auth.blocked("2001:db8:1::77") == 0
    for _ in range(3):
        auth.check("wrong-wrong", "::ffff:10.0.0.3")
    assert auth.blocked("10.0.0.3") > 0


def test_wrong_tokens_are_limited_for_all_addresses() -> None:
    clock = Clock()
    auth = Auth(TOKEN, Limits(login_total=20), clock)
    for number in range(20):
        assert auth.blocked(f"10.0.1.{number}") == 0
        auth.check("wrong-wrong", f"10.0.1.{number}")
    assert auth.blocked("10.0.2.1") > 0
    clock.now += 60
    assert auth.blocked("10.0.2.1") == 0


def test_a_right_token_costs_nothing() -> None:
    auth = Auth(TOKEN, Limits(login_burst=1, login_total=1))
    for _ in range(10):
        assert auth.check(TOKEN, "10.0.0.1")
    assert auth.blocked("10.0.0.1") == 0


def test_remembered_addresses_are_bounded() -> None:
    auth = Auth(TOKEN, Limits(login_total=100000))
    for number in range(3000):
        auth.check("wrong-wrong", f"10.1.{number // 250}.{number % 250}")
    assert len(auth._failures) == 1024


def test_sessions_end() -> None:
    clock = Clock()
    auth = Auth(TOKEN, Limits(sessions=3, session_s=100), clock)
    sessions = []
    for _ in range(4):
        clock.now += 1
        sessions.append(auth.open_session())
    assert len(set(sessions)) == 4
    assert all(TOKEN not in session for session in sessions)
    assert [auth.knows(session) for session in sessions] == [False, True, True, True]
    clock.now += 60
    assert auth.knows(sessions[1])
    clock.now += 60
    assert [auth.knows(session) for session in sessions] == [False, True, False, False]
    auth.close_session(sessions[1])
    assert not auth.knows(sessions[1])
    assert not auth.knows("")


def test_names_of_this_machine() -> None:
    for host in ("localhost", "localhost:8080", "LOCALHOST", "127.0.0.1:81", "127.9.9.9", "[::1]:8080", "a.localhost"):
        assert names_this_machine(host)
    for host in (
        "evil.example",
        "evil.example:8080",
        "127.0.0.1.evil.example",
        "10.0.0.1",
        "",
        "[::1",
        "localhost.evil",
    ):
        assert not names_this_machine(host)


def test_requests_from_elsewhere() -> None:
    def elsewhere(method: str, always: bool = False, **headers: str) -> bool:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return comes_from_elsewhere(method, {"Host": "robot:8080", **named}, always=always)

    assert not elsewhere("POST")  # no browser
    assert not elsewhere("POST", Origin="http://robot:8080")
    assert not elsewhere("POST", Origin="https://ROBOT:8080")
    for origin in ("http://evil.example", "http://robot:8081", "null", "", "http://[", "file://robot:8080"):
        assert elsewhere("POST", Origin=origin)
        assert elsewhere("GET", always=True, Origin=origin)
        assert not elsewhere("GET", Origin=origin)
    assert not elsewhere("GET", Sec_Fetch_Site="same-origin")
    assert not elsewhere("GET", Sec_Fetch_Site="cross-site", Sec_Fetch_Mode="navigate")
    assert elsewhere("GET", Sec_Fetch_Site="cross-site", Sec_Fetch_Mode="no-cors")
    assert elsewhere("POST", Sec_Fetch_Site="cross-site", Sec_Fetch_Mode="navigate")
