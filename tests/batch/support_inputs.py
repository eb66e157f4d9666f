"""Recipes, sources and stores for the tests of what a batch reads."""

from __future__ import annotations

import base64
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from gcpose_trt.batch.inputs import expand
from gcpose_trt.batch.planning import plan_source
from gcpose_trt.batch.reading import read_segment
from gcpose_trt.batch.types import Chunk, Recipe, SourcePlan, SourceSpec

RECIPE = Recipe("", "", "onnxruntime", "fp32", None, 0.1, 10, 1, 4, 0.5, 3, True, False)


def source(name: str | Path) -> SourceSpec:
    """Return the one source that an input names."""
    found, failures = expand([str(name)])
    assert not failures
    (spec,) = found
    return spec


def plan(name: str | Path, recipe: Recipe = RECIPE) -> SourcePlan:
    """Return the plan of the one source that an input names."""
    planned = plan_source(source(name), recipe)
    assert isinstance(planned, SourcePlan), planned
    return planned


def blank(path: Path) -> None:
    """Overwrite all frames of an MP4 whose index comes first with zeros."""
    data = bytearray(path.read_bytes())
    start = data.index(b"mdat") + 4
    data[start:] = bytes(len(data) - start)
    path.write_bytes(data)


def chunks(planned: SourcePlan, recipe: Recipe = RECIPE) -> list[list[Chunk]]:
    """Return the chunks of each segment."""
    return [list(read_segment(planned, segment, recipe)) for segment in planned.segments]


Trouble = Callable[[str, str], str]  # of method and path, to what goes wrong: "503", "reset", "cut", "short", "" ...


class _Handler(SimpleHTTPRequestHandler):
    """Serves a folder with what `http.server` lacks: parts of files, and a login. Counts what it sends."""

    def __init__(self, *args: Any, sent: list[int], login: str, trouble: Trouble | None, **options: Any) -> None:
        self.sent = sent
        self.trouble = trouble
        self.login = f"Basic {base64.b64encode(login.encode()).decode()}" if login else None
        super().__init__(*args, **options)

    def do_HEAD(self) -> None:
        if self.may() and self.wrong() != "status":
            super().do_HEAD()

    def wrong(self) -> str:
        """Return what goes wrong with this request beyond its status, "status" if it was that."""
        kind = self.trouble(self.command, self.path) if self.trouble else ""
        if kind.isdecimal():
            self.send_error(int(kind))
            return "status"
        return kind

    def may(self) -> bool:
        allowed = self.login is None or self.headers.get("Authorization") == self.login
        if not allowed:
            self.send_error(401)
        return allowed

    def do_GET(self) -> None:
        if not self.may():
            return
        wrong = self.wrong()
        path = Path(self.translate_path(self.path))
        if wrong == "status":
            return
        if not path.is_file():
            super().do_GET()
            return
        data = path.read_bytes()
        first, last = 0, len(data) - 1
        wanted = self.headers.get("Range")
        if wanted:
            low, high = wanted.removeprefix("bytes=").split("-")
            first, last = int(low), min(last, int(high or last))
        part = data[first : last + 1]
        if wrong == "short":  # as a broken cache does: an answer that looks whole
            part = part[: len(part) // 2]
        self.send_response(206 if wanted else 200)
        if wanted:
            self.send_header("Content-Range", f"bytes {first}-{last}/{len(data)}")
        self.send_header("Accept-Ranges", "bytes")
        self.send_header("Content-Length", str(len(part)))
        self.send_header("ETag", f'"{len(data)}"')
        self.end_headers()
        if wrong in ("cut", "reset"):
            part = part[: len(part) // 2]
            if wrong == "reset":
                self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.close_connection = True
        self.wfile.write(part)
        self.sent.append(len(part))

    def end_headers(self) -> None:
        if self.command == "HEAD":
            self.send_header("Accept-Ranges", "bytes")
        super().end_headers()

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def web_server(folder: Path, login: str = "", trouble: Trouble | None = None) -> Iterator[tuple[str, list[int]]]:
    """Serve a folder; yield its address and the list that takes how many bytes each answer had.

    Args:
        folder: its files.
        login: "user:password" that is asked for; empty for none.
        trouble: says of each request what goes wrong with it.
    """
    sent: list[int] = []
    server = ThreadingHTTPServer(
        ("127.0.0.1", 0), partial(_Handler, directory=str(folder), sent=sent, login=login, trouble=trouble)
    )
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}", sent
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
