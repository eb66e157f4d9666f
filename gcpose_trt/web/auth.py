"""Who may use the page: the token, sessions of those who gave it, and where a request comes from."""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
import secrets
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from urllib.parse import urlsplit

from gcpose_trt.errors import GcposeError
from gcpose_trt.web.limits import Bucket, Limits

_SHORTEST, _LONGEST = 8, 256
_ADDRESSES = 1024  # whose failures are remembered


def check_token(token: str) -> str:
    """Return the token.

    Raises:
        GcposeError: too short to withstand guessing, too long, or not sendable in a header.
    """
    if not _SHORTEST <= len(token) <= _LONGEST or not all("!" <= letter <= "~" for letter in token):
        raise GcposeError(
            f"the token must have {_SHORTEST} to {_LONGEST} letters, digits or signs, without spaces; make one with: "
            "python3 -c 'import secrets; print(secrets.token_urlsafe())'"
        )
    return token


class Auth:
    """Checks tokens and keeps sessions. Used from one thread.

    Args:
        token: None lets everybody in.
        limits: of sessions and of failures.
        clock: seconds, never running backwards.
    """

    def __init__(self, token: str | None, limits: Limits, clock: Callable[[], float] = time.monotonic) -> None:
        self._digest = None if token is None else _digest(check_token(token))
        self._limits, self._clock = limits, clock
        self._sessions: OrderedDict[str, float] = OrderedDict()
        self._failures: OrderedDict[str, Bucket] = OrderedDict()
        self._total = Bucket(limits.login_total / 60, limits.login_total, clock)

    @property
    def required(self) -> bool:
        """Whether there is a token at all."""
        return self._digest is not None

    def blocked(self, address: str | None) -> float:
        """Return for how many seconds no token from this address is looked at; 0: it is."""
        bucket = self._failures.get(_network(address))
        return max(self._total.wait, bucket.wait if bucket else 0.0)

    def check(self, token: str, address: str | None) -> bool:
        """Say whether the token is right; count it against the address where it is not."""
        # Digests are of one length, so that the comparison takes the same time for every guess.
        if self._digest is None or hmac.compare_digest(_digest(token), self._digest):
            return True
        self._total.take()
        key = _network(address)
        limits = self._limits
        bucket = self._failures.setdefault(key, Bucket(1 / limits.login_refill_s, limits.login_burst, self._clock))
        bucket.take()
        self._failures.move_to_end(key)
        while len(self._failures) > _ADDRESSES:
            self._failures.popitem(last=False)
        return False

    def open_session(self) -> str:
        """Return a new session's name, which says nothing about the token."""
        session = secrets.token_urlsafe(32)
        self._sessions[session] = self._clock()
        while len(self._sessions) > self._limits.sessions:
            self._sessions.popitem(last=False)
        return session

    def knows(self, session: str) -> bool:
        """Say whether the session is alive, and keep it so."""
        now = self._clock()
        while self._sessions and now - next(iter(self._sessions.values())) > self._limits.session_s:
            self._sessions.popitem(last=False)
        if session not in self._sessions:
            return False
        self._sessions[session] = now
        self._sessions.move_to_end(session)
        return True

    def close_session(self, session: str) -> None:
        """Forget a session."""
        self._sessions.pop(session, None)


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).digest()


def _network(address: str | None) -> str:
    """Return what counts as one address: an IPv6 user has a whole /64 of them."""
    try:
        parsed = ipaddress.ip_address((address or "").partition("%")[0])
    except ValueError:
        return "?"
    if isinstance(parsed, ipaddress.IPv6Address):
        if parsed.ipv4_mapped:
            return str(parsed.ipv4_mapped)
        return str(ipaddress.IPv6Network((parsed, 64), strict=False))
    return str(parsed)


def names_this_machine(host: str) -> bool:
    """Say whether a Host header names this machine, as a browser must that talks to a loopback address.

    Else a foreign page whose name was made to point to 127.0.0.1 (DNS rebinding) could read the video.
    """
    try:
        name = urlsplit(f"//{host}").hostname or ""
        return name == "localhost" or name.endswith(".localhost") or ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False


def comes_from_elsewhere(method: str, headers: Mapping[str, str], *, always: bool) -> bool:
    """Say whether a browser sent the request for another site's page.

    Args:
        method: of the request.
        headers: of the request.
        always: an Origin must be ours even for a GET, as for WebSockets, which browsers let everybody open.
    """
    site = headers.get("Sec-Fetch-Site", "none")
    navigation = method == "GET" and headers.get("Sec-Fetch-Mode") == "navigate"
    if site not in ("none", "same-origin") and not navigation:
        return True
    origin = headers.get("Origin")
    if origin is None or (method in ("GET", "HEAD") and not always):
        return False
    try:
        parts = urlsplit(origin)
        return parts.scheme not in ("http", "https") or parts.netloc.lower() != headers.get("Host", "").lower()
    except ValueError:
        return True
