"""The page's own files, read once: what was not there at the start cannot be asked for."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from aiohttp import web

PAGE = Path(__file__).parent / "page"
_TYPES = {
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".mjs": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".svg": "image/svg+xml",
    ".png": "image/png",
    ".ico": "image/x-icon",
    ".json": "application/json",
    ".webmanifest": "application/manifest+json",
    ".woff2": "font/woff2",
    ".txt": "text/plain; charset=utf-8",
}
MESSAGE = b"<!--message-->"  # where login.html says what was wrong


@dataclass(frozen=True)
class File:
    """A file of the page."""

    content: bytes
    kind: str
    tag: str


def read_files(folder: Path) -> Mapping[str, File]:
    """Return the files of a folder and those below, by their path in it."""
    files = {}
    for path in sorted(folder.rglob("*")):
        if path.is_file() and path.suffix in _TYPES:
            content = path.read_bytes()
            tag = f'"{hashlib.sha256(content).hexdigest()[:20]}"'
            files[path.relative_to(folder).as_posix()] = File(content, _TYPES[path.suffix], tag)
    return files


def respond(request: web.Request, file: File | None, *, cache: bool) -> web.Response:
    """Return a file, or that the client has it already.

    Raises:
        web.HTTPNotFound: there is no such file.
    """
    if file is None:
        raise web.HTTPNotFound()
    headers = {"Content-Type": file.kind}
    if cache:
        headers |= {"ETag": file.tag, "Cache-Control": "no-cache"}
        if file.tag in request.headers.get("If-None-Match", ""):
            del headers["Content-Type"]
            return web.Response(status=304, headers=headers)
    return web.Response(body=file.content, headers=headers)
