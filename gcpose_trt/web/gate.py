"""What every request passes: headers that protect the page, who asks and from where, errors on one line; the login."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from urllib.parse import parse_qs

from aiohttp import web

from gcpose_trt.web.answers import body
from gcpose_trt.web.auth import comes_from_elsewhere, names_this_machine
from gcpose_trt.web.files import MESSAGE, File, respond
from gcpose_trt.web.hub import HUB, Hub
from gcpose_trt.web.limits import one_line
from gcpose_trt.web.messages import to_json

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

_HEADERS = {
    "Server": "gcpose-trt",
    "Content-Security-Policy": (
        "default-src 'self'; img-src 'self' blob: data:; object-src 'none'; base-uri 'none'; form-action 'self'; "
        "frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    # Not no-referrer: browsers would then say "Origin: null" when the login form is sent.
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Permissions-Policy": "camera=(), microphone=(), geolocation=()",
}
_OPEN = ("/login", "/healthz")
_TEXTS = {404: "there is nothing here; the page is at /", 405: "this address does not take this method; see the README"}
FILES = web.AppKey("files", Mapping[str, File])
LOCAL = web.AppKey("local", bool)


async def add_headers(_: web.Request, response: web.StreamResponse) -> None:
    """Set the headers that every answer has."""
    response.headers.update(_HEADERS)
    response.headers.setdefault("Cache-Control", "no-store")


@web.middleware
async def one_line_errors(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Turn what goes wrong into one line for the client, and one for the log where it is the server's fault."""
    try:
        return await handler(request)
    except web.HTTPException as error:
        if error.status < 400:
            raise
        text = error.text if error.text and not error.text.startswith(f"{error.status}:") else ""
        if isinstance(error, web.HTTPRequestEntityTooLarge):
            text = f"the body is too large; send at most {request.app[HUB].limits.body_bytes} bytes"
        text = text or _TEXTS.get(error.status, error.reason.lower())
        kept = {
            name: error.headers[name] for name in ("Retry-After", "WWW-Authenticate", "Allow") if name in error.headers
        }
        return _refusal(request, error.status, text, kept)
    except ConnectionError:
        raise
    except Exception as error:
        request.app[HUB].journal(f"{request.method} {request.path} failed ({one_line(error)})")
        return _refusal(request, 500, "the server could not answer; see its log", {})


def _refusal(request: web.Request, status: int, text: str, headers: dict[str, str]) -> web.Response:
    line = one_line(text)
    if request.path.startswith("/api/"):
        return web.Response(
            status=status, text=to_json({"error": line}), content_type="application/json", headers=headers
        )
    return web.Response(status=status, text=f"{line}\n", headers=headers)


@web.middleware
async def let_in(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Refuse who comes from a foreign page, by a foreign name, or without the token."""
    hub = request.app[HUB]
    if request.path == "/healthz":
        return await handler(request)
    hosts = request.headers.getall("Host", [])
    # With a token, a foreign page has no session, whatever name it calls us by; a proxy may then use its own.
    if len(hosts) != 1 or (request.app[LOCAL] and not hub.auth.required and not names_this_machine(hosts[0])):
        raise web.HTTPForbidden(text="this page is for this machine only; open it as http://localhost, or set --token")
    if comes_from_elsewhere(request.method, request.headers, always=request.path == "/ws"):
        raise web.HTTPForbidden(text="the request comes from another site's page; open this server's own")
    if hub.auth.required and request.path not in _OPEN and not request.path.startswith("/page/"):
        await _authorize(request, hub)
    return await handler(request)


async def _authorize(request: web.Request, hub: Hub) -> None:
    """Return if the request brings a session or the token.

    Raises:
        web.HTTPException: it does not.
    """
    if hub.auth.knows(hub.session(request)):
        return
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() == "bearer":
        if await _right(request, hub, token.strip()):
            return
    elif request.path == "/" and request.method in ("GET", "HEAD"):
        raise web.HTTPSeeOther("login")
    raise web.HTTPUnauthorized(
        text="a token is needed; log in at /login, or send the header Authorization: Bearer TOKEN",
        headers={"WWW-Authenticate": 'Bearer realm="gcpose-trt"'},
    )


async def _right(request: web.Request, hub: Hub, token: str) -> bool:
    """Say whether a token is right, slowly where it is not.

    Raises:
        web.HTTPTooManyRequests: too many wrong ones came before it.
    """
    wait = hub.auth.blocked(request.remote)
    if wait > 0:
        raise web.HTTPTooManyRequests(
            text="too many wrong tokens; wait a minute and try again", headers={"Retry-After": str(int(wait) + 1)}
        )
    if hub.auth.check(token, request.remote):
        return True
    hub.journal(f"{request.remote} gave a wrong token")
    await asyncio.sleep(hub.limits.login_delay_s)
    return False


async def login_page(request: web.Request) -> web.Response:
    """GET /login."""
    if not request.app[HUB].auth.required:
        raise web.HTTPSeeOther("./")
    return respond(request, request.app[FILES].get("login.html"), cache=False)


async def login(request: web.Request) -> web.Response:
    """POST /login: the form's token for a session."""
    hub = request.app[HUB]
    if not hub.auth.required:
        raise web.HTTPSeeOther("./")
    if request.content_type != "application/x-www-form-urlencoded":
        raise web.HTTPUnsupportedMediaType(text="the body is not a form; send application/x-www-form-urlencoded")
    try:
        fields = parse_qs((await body(request)).decode("ascii", "replace"), max_num_fields=8, errors="replace")
    except ValueError as error:
        raise web.HTTPBadRequest(text="the form has too many fields; send token") from error
    try:
        if not await _right(request, hub, fields.get("token", [""])[0]):
            return _login_again(request, 401, "The token is wrong.", {})
    except web.HTTPTooManyRequests as error:
        headers = {"Retry-After": error.headers["Retry-After"]}
        return _login_again(request, 429, "Too many wrong tokens. Wait a minute, then try again.", headers)
    response = web.Response(status=303, headers={"Location": "./"})
    # Strict: no other site's link or form carries it. Not Secure: the page is served without TLS, by whom it may.
    response.set_cookie(hub.cookie, hub.auth.open_session(), httponly=True, samesite="Strict", path="/")
    return response


def _login_again(request: web.Request, status: int, text: str, headers: dict[str, str]) -> web.Response:
    file = request.app[FILES].get("login.html")
    if file is None:
        return web.Response(status=status, text=f"{text}\n", headers=headers)
    content = file.content.replace(MESSAGE, f'<p class="message" role="alert">{text}</p>'.encode())
    return web.Response(status=status, body=content, headers={"Content-Type": file.kind, **headers})


async def logout(request: web.Request) -> web.Response:
    """POST /logout: the session ends, with all that it watches."""
    hub = request.app[HUB]
    session = hub.session(request)
    if hub.auth.knows(session):
        hub.auth.close_session(session)
        hub.end_clients(session)
    response = web.Response(status=303, headers={"Location": "login" if hub.auth.required else "./"})
    response.del_cookie(hub.cookie, path="/")
    return response
