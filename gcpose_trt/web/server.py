"""The server of the page, in a thread of its own."""

from __future__ import annotations

import asyncio
import contextlib
import sys
import threading
from collections.abc import Callable, Coroutine, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

from gcpose_trt.errors import GcposeError, MissingDependencyError
from gcpose_trt.pose.skeleton import COCO17, Skeleton
from gcpose_trt.video.frames import Result
from gcpose_trt.video.live_types import Controls, Snapshot
from gcpose_trt.web.address import is_loopback, listen, resolve
from gcpose_trt.web.auth import Auth, check_token
from gcpose_trt.web.channel import Channel
from gcpose_trt.web.limits import Journal, Limits, one_line

_START_S = 30.0
_STOP_S = 5.0


def _to_stderr(line: str) -> None:
    print(f"gcpose-trt: {line}", file=sys.stderr)


class WebServer:
    """Serves the page with the frames that `WebSink` hands to it.

    Args:
        host: name or address to listen on.
        port: 0 takes any free one.
        controls: settings that the page shows and changes.
        snapshot: how the pipeline does; called from threads of the server.
        streams: names of the sources, in the order of `Frame.stream`.
        keypoint_threshold: joints below this confidence are not drawn.
        token: what clients must know; None lets in whoever reaches the address, which is then this machine only.
        skeleton: the joints' meaning.
        limits: what clients get at most.
        log: takes lines about what went wrong; may be called from the server's thread.
        page: folder of the page's files; None takes the shipped ones.

    Raises:
        GcposeError: the address is not of this machine only and there is no token, or the token is too weak.
        MissingDependencyError: aiohttp or prometheus-client is not installed.
    """

    def __init__(
        self,
        host: str,
        port: int,
        *,
        controls: Controls,
        snapshot: Callable[[], Snapshot],
        streams: Sequence[str],
        keypoint_threshold: float = 0.05,
        token: str | None = None,
        skeleton: Skeleton = COCO17,
        limits: Limits | None = None,
        log: Callable[[str], None] = _to_stderr,
        page: Path | None = None,
    ) -> None:
        check_packages()
        self._host, self._port = host, port
        self._local = check_access(host, port, token)
        self._token, self._limits, self._page = token, limits or Limits(), page
        self._controls, self._snapshot = controls, snapshot
        self._sources, self._threshold, self._skeleton = list(streams), keypoint_threshold, skeleton
        self.journal = Journal(log)
        self.channels = [Channel(controls, keypoint_threshold, self._post) for _ in self._sources]
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._stop: asyncio.Event | None = None
        self._address: tuple[str, int] | None = None

    @property
    def address(self) -> tuple[str, int]:
        """Host and port, the real one.

        Raises:
            GcposeError: the server was not started.
        """
        if self._address is None:
            raise GcposeError("the server does not listen yet; start it")
        return self._address

    @property
    def url(self) -> str:
        """What to type into a browser on this machine."""
        host, port = self.address
        name = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)
        return f"http://[{name}]:{port}/" if ":" in name else f"http://{name}:{port}/"

    def start(self) -> None:
        """Listen.

        Raises:
            GcposeError: the address cannot be listened on.
        """
        if self._thread is not None:
            raise GcposeError("the server was started already; make another")
        listener = listen(self._host, self._port)
        self._address = (self._host, int(listener.getsockname()[1]))
        started = threading.Event()
        failures: list[BaseException] = []

        def serve() -> None:
            try:
                with listener:
                    _run(self._serve(listener, started))
            except BaseException as error:
                failures.append(error)
                self.journal(f"the server ended ({one_line(error)})")
            finally:
                self._loop = None
                started.set()

        self._thread = threading.Thread(target=serve, name="page", daemon=True)
        self._thread.start()
        if not started.wait(_START_S) or failures:
            reason = one_line(failures[0]) if failures else "it does not answer"
            raise GcposeError(f"the page could not be started ({reason}); try again, or do without --web")

    async def _serve(self, listener: Any, started: threading.Event) -> None:
        from gcpose_trt.web.app import House, build
        from gcpose_trt.web.files import PAGE, read_files
        from gcpose_trt.web.hub import Hub

        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda _, context: self.journal(_described(context)))
        hub = Hub(
            self._controls,
            self._snapshot,
            self._sources,
            self.channels,
            Auth(self._token, self._limits),
            self._limits,
            self.journal,
            self._threshold,
            self._skeleton,
            # The port in its name, for a browser keeps the cookies of all ports of a host together.
            f"gcpose_session_{self.address[1]}",
        )
        house = House(hub, build(hub, read_files(self._page or PAGE), self._local))
        teller = asyncio.ensure_future(hub.tell_statistics())
        try:
            await house.open(listener)
            self._stop, self._loop = asyncio.Event(), loop
            started.set()
            await self._stop.wait()
        finally:
            self._loop = None
            teller.cancel()
            await house.close()
            hub.close()

    def publish(self, result: Result, quality: int) -> None:
        """Hand a frame to those who watch its source. From any thread; nothing happens while the server is not up.

        Raises:
            GcposeError: the frame is of no source of the server.
        """
        if not 0 <= result.frame.stream < len(self.channels):
            raise GcposeError(f"the page knows no source {result.frame.stream}; name all sources when it starts")
        self.channels[result.frame.stream].publish(result, quality)

    def _post(self, call: Callable[[], None]) -> bool:
        loop = self._loop
        if loop is None:
            return False
        try:
            loop.call_soon_threadsafe(call)
        except RuntimeError:  # closed by now
            return False
        return True

    def stop(self) -> None:
        """End all connections and the thread. From any thread but the server's own, any number of times."""
        thread, stop = self._thread, self._stop
        if thread is None:
            return
        if stop is not None:
            self._post(stop.set)
        thread.join(_STOP_S)
        if thread.is_alive():
            self.journal("the server does not end; it is left behind")

    def __enter__(self) -> WebServer:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


def _run(main: Coroutine[Any, Any, None]) -> None:
    loop = asyncio.new_event_loop()
    try:
        loop.run_until_complete(main)
    finally:
        with contextlib.suppress(Exception):
            left = asyncio.all_tasks(loop)
            for task in left:
                task.cancel()
            loop.run_until_complete(asyncio.gather(*left, return_exceptions=True))
            loop.run_until_complete(loop.shutdown_asyncgens())
        loop.close()


def _described(context: dict[str, Any]) -> str:
    error = context.get("exception")
    message = one_line(context.get("message", "something went wrong"))
    return f"{message} ({one_line(error) or type(error).__name__})" if error is not None else message


def check_packages() -> None:
    """Raise a MissingDependencyError unless what the page needs is installed."""
    try:
        import aiohttp  # noqa: F401
    except ImportError as error:
        raise MissingDependencyError("aiohttp", "web", "the page") from error
    try:
        import prometheus_client  # noqa: F401
    except ImportError as error:
        raise MissingDependencyError("prometheus-client", "web", "the page") from error


def check_access(host: str, port: int, token: str | None) -> bool:
    """Say whether only this machine reaches an address.

    Raises:
        GcposeError: it is not of this machine only and there is no token, or the token is too weak.
    """
    local = is_loopback(resolve(host, port)[1])
    if token is not None:
        check_token(token)
    elif not local:
        raise GcposeError(
            f"whoever reaches {host} could watch: give --token, or listen on this machine only (127.0.0.1)"
        )
    return local
