"""Addresses to listen on."""

from __future__ import annotations

import socket

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gcpose_trt.errors import GcposeError
from gcpose_trt.web.address import is_loopback, listen, parse_address, resolve


@pytest.mark.parametrize(
    ("text", "address"),
    [
        *((None, ("127.0.0.1", 8080)), ("", ("127.0.0.1", 8080)), ("9000", ("127.0.0.1", 9000))),
        *((":9000", ("127.0.0.1", 9000)), ("0.0.0.0", ("0.0.0.0", 8080)), ("0.0.0.0:0", ("0.0.0.0", 0))),
        *(("[::1]:81", ("::1", 81)), ("[::]", ("::", 8080)), ("::1", ("::1", 8080)), ("fe80::1", ("fe80::1", 8080))),
        *(("robot.local:80", ("robot.local", 80)), (" localhost ", ("localhost", 8080))),
    ],
)
def test_addresses(text: str | None, address: tuple[str, int]) -> None:
    assert parse_address(text) == address


@pytest.mark.parametrize(
    "text",
    [
        *("host:", "host:x", "host:70000", ":-1", "1:2:3", "[::1", "[::1]8080", "[::1]:", "[host]:80", "70000"),
        *("http://host:80", "a b:80", "user@host:80", "host/path", ":٣"),
    ],
)
def test_what_is_no_address(text: str) -> None:
    with pytest.raises(GcposeError, match=r"127\.0\.0\.1:8080"):
        parse_address(text)


@settings(deadline=None, derandomize=True, max_examples=200)
@given(st.text(max_size=20))
def test_any_text_is_an_address_or_an_error(text: str) -> None:
    try:
        host, port = parse_address(text)
    except GcposeError as error:
        assert "\n" not in str(error)
    else:
        assert host
        assert 0 <= port <= 65535


def test_loopback() -> None:
    assert is_loopback(("127.3.2.1", 80))
    assert is_loopback(("::1", 80, 0, 0))
    for host in ("0.0.0.0", "192.168.1.5", "::", "fe80::1%eth0"):
        assert not is_loopback((host, 80))
    assert is_loopback(resolve("localhost", 80)[1])


def test_nobody_knows_the_host() -> None:
    for host in ("no-such-host.invalid", "x" * 300, "a..b"):
        with pytest.raises(GcposeError, match="no address is known"):
            resolve(host, 80)


def test_a_taken_port() -> None:
    with listen("127.0.0.1", 0) as first:
        port = first.getsockname()[1]
        with pytest.raises(GcposeError, match=f"port {port} is taken.*--web 127.0.0.1:{port + 1}"):
            listen("127.0.0.1", port)
    listen("127.0.0.1", port).close()


def test_an_address_of_another_machine() -> None:
    with pytest.raises(GcposeError, match="not an address of this machine"):
        listen("192.0.2.1", 0)  # kept for documentation: nobody has it


def test_every_network_takes_ipv4_too() -> None:
    try:
        listener = listen("::", 0)
    except GcposeError as error:
        pytest.skip(f"no IPv6 here: {error}")
    with listener, socket.create_connection(("127.0.0.1", listener.getsockname()[1]), timeout=30):
        pass
