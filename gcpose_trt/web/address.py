"""Where the page listens: HOST:PORT, as people write it, and the socket that comes of it."""

from __future__ import annotations

import errno
import ipaddress
import os
import socket

from gcpose_trt.errors import GcposeError

DEFAULT_HOST = "127.0.0.1"
DEFAULT_PORT = 8080
# Small, so that a slow client sees pictures of now, not those that queue in the kernel.
_SEND_BUFFER = 128 * 1024
_BACKLOG = 64


def parse_address(text: str | None) -> tuple[str, int]:
    """Return host and port of "HOST:PORT", "HOST", "PORT", ":PORT", "[::1]:PORT", "::1" or nothing.

    What is left out is 127.0.0.1 and 8080. Port 0 is any free one.

    Raises:
        GcposeError: not an address.
    """
    text = (text or "").strip()
    host, port = text, ""
    if text.startswith("["):
        host, bracket, rest = text[1:].partition("]")
        if not bracket or (rest and not rest.startswith(":")):
            raise _unreadable(text)
        port = rest[1:]
        if rest == ":" or not _is_ipv6(host):
            raise _unreadable(text)
    elif text.count(":") == 1:
        host, _, port = text.partition(":")
        if not port:
            raise _unreadable(text)
    elif text.count(":") > 1:
        if not _is_ipv6(text):
            raise _unreadable(text)
    elif text.isdecimal():
        host, port = "", text
    if any(letter.isspace() or letter in "/@[]" for letter in host):
        raise _unreadable(text)
    return host or DEFAULT_HOST, _port(port, text) if port else DEFAULT_PORT


def _port(port: str, text: str) -> int:
    if not (port.isascii() and port.isdecimal() and len(port) <= 5 and int(port) <= 65535):
        raise GcposeError(f"{text!r} has no port from 0 to 65535; write HOST:PORT, such as 127.0.0.1:8080")
    return int(port)


def _is_ipv6(host: str) -> bool:
    try:
        ipaddress.IPv6Address(host)
    except ValueError:
        return False
    return True


def _unreadable(text: str) -> GcposeError:
    return GcposeError(f"{text!r} is not an address; write HOST:PORT, such as 127.0.0.1:8080 or [::1]:8080")


def resolve(host: str, port: int) -> tuple[socket.AddressFamily, tuple[str | int, ...]]:
    """Return the family and socket address of a host, IPv4 before IPv6.

    Raises:
        GcposeError: nobody knows the host.
    """
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except (OSError, UnicodeError) as error:
        raise GcposeError(
            f"no address is known for {host!r}; listen on 127.0.0.1, or on 0.0.0.0 for every network"
        ) from error
    family, _, _, _, address = min(found, key=lambda entry: entry[0] != socket.AF_INET)
    return family, (str(address[0]), *(int(number) for number in address[1:]))


def is_loopback(address: tuple[str | int, ...]) -> bool:
    """Say whether only programs of this machine reach a socket address."""
    return ipaddress.ip_address(str(address[0]).partition("%")[0]).is_loopback


def listen(host: str, port: int) -> socket.socket:
    """Return a socket that listens there.

    Raises:
        GcposeError: the port is taken, needs other rights, or the address is not one of this machine.
    """
    family, address = resolve(host, port)
    place = f"[{host}]:{port}" if family == socket.AF_INET6 else f"{host}:{port}"
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        # Else a restart would have to wait for the last run's connections to be forgotten.
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _SEND_BUFFER)
        if family == socket.AF_INET6:
            # "::" means every network, those of IPv4 too, wherever the machine was set up otherwise.
            listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0 if host == "::" else 1)
        listener.bind(address)
        listener.listen(_BACKLOG)
        listener.setblocking(False)
    except OSError as error:
        listener.close()
        raise GcposeError(_refused(error, host, port, place)) from error
    return listener


def _refused(error: OSError, host: str, port: int, place: str) -> str:
    if error.errno == errno.EADDRINUSE:
        return f"port {port} is taken by another program; choose another, such as --web {host}:{port + 1}"
    if error.errno in (errno.EACCES, errno.EPERM):
        return f"the system does not allow to listen on {place}; choose a port from 1024 on"
    if error.errno == errno.EADDRNOTAVAIL:
        return f"{host} is not an address of this machine; listen on 127.0.0.1, or on 0.0.0.0 for every network"
    return f"cannot listen on {place} ({os.strerror(error.errno or 0)}); choose another address"
