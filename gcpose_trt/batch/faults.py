"""Why the bytes of a file cannot be had: for a fault of the file, or of the place that it lies in.

Damage shows itself in bytes. Whatever keeps a store from giving any is trouble of the place, and so are the errors of a
disk and of a network file system: a later run tries again what failed of it.
"""

from __future__ import annotations

import asyncio
import errno
import time
from collections.abc import Callable, Iterator
from typing import TypeVar

from gcpose_trt.batch.addresses import Address, is_remote, parent, redact
from gcpose_trt.errors import GcposeError

Beat = Callable[[], None]

PAUSES_S = (1.0, 3.0, 9.0)
_PATIENCE_S = 60.0  # that an attempt may begin after the first one: some stores' packages try for minutes themselves
_PASSING = frozenset(
    getattr(errno, name)
    for name in (
        *("EIO", "ESTALE", "EREMOTEIO", "ENOLINK", "EBUSY", "EAGAIN", "EINTR", "ETIMEDOUT", "EPIPE", "ENOTCONN"),
        *("ECONNRESET", "ECONNREFUSED", "ECONNABORTED", "ENETDOWN", "ENETUNREACH", "ENETRESET", "EHOSTDOWN"),
        *("EHOSTUNREACH", "ESHUTDOWN", "EMFILE", "ENFILE", "ENOMEM", "ENOBUFS", "EKEYEXPIRED"),
    )
    if hasattr(errno, name)
)
# Of these, what is no answer of the store is the way to it.
_NETWORK = ("aiohttp", "botocore", "aiobotocore", "azure", "google", "gcsfs", "urllib3", "requests", "paramiko")
_MISSING, _DENIED = (404, 410), (401, 403, 407)
_DENIALS = ("ExpiredToken", "TokenRefreshRequired", "InvalidToken")  # which S3 sends as "bad request"

_silent: set[str] = set()  # places that did not answer through all pauses, nor since

_Value = TypeVar("_Value")


class StorageError(GcposeError):
    """The place that a file lies in does not give it, for no fault of the file's.

    Args:
        message: one line.
        passing: it may be over in seconds.
    """

    def __init__(self, message: str, passing: bool = False) -> None:
        super().__init__(message)
        self.passing = passing


def nothing() -> None:
    """Tell nobody; see `patiently`."""


def patiently(action: Callable[[], _Value], uri: str, beat: Beat = nothing) -> _Value:
    """Do something that reads a file; what may pass is tried again, four times in all, with growing pauses.

    A place that did not answer through all of them gets no more pauses until it has `answered`: each of a thousand
    sources of a store that is down would take its time otherwise.

    Args:
        action: what to do; `GcposeError` and `MemoryError` are not for trying again.
        uri: of the file.
        beat: told of each attempt that ended.

    Raises:
        StorageError: the place does not give the file.
        GcposeError: it is not there, or may not be read.
    """
    place = _place(uri)
    start = time.monotonic()
    for pause in (*PAUSES_S, None):
        try:
            return action()
        except (GcposeError, MemoryError):
            raise
        except Exception as error:
            beat()
            failure = describe(error, uri)
            if not (isinstance(failure, StorageError) and failure.passing):
                raise failure from error
            if pause is None or place in _silent or time.monotonic() - start > _PATIENCE_S:
                _silent.add(place)
                raise failure from error
            time.sleep(pause)
    raise AssertionError  # the last pause is None


def answered(uri: str) -> None:
    """Note that bytes of a file came: its place is worth waiting for again."""
    _silent.discard(_place(uri))


def _place(uri: str) -> str:
    return "/".join(uri.split("/")[:3]) if is_remote(uri) else parent(uri)


def describe(error: Exception, uri: str) -> GcposeError:
    """Return the error for people that says why a file cannot be read; a `StorageError` where it is not the file's."""
    status = _status(error)
    cause = error.__cause__
    # What a web server answers, or that none does, is behind a FileNotFoundError whatever it is.
    if isinstance(error, FileNotFoundError) and isinstance(cause, Exception) and status not in _MISSING:
        error = cause if type(cause).__module__.startswith("aiohttp") else error
    remote = is_remote(uri)
    if status in _MISSING or isinstance(error, FileNotFoundError):
        return GcposeError(f"no file {uri}; check the {'address' if remote else 'path'}")
    denied = isinstance(error, PermissionError) or status in _DENIED or _code(error) in _DENIALS
    if denied or "credential" in str(error).lower():
        why = f"access to {uri} is denied ({one_line(error)})"
        if not remote:
            return GcposeError(f"{why}; check permissions")
        scheme = uri.split("://")[0]
        remedy = "sign it anew" if isinstance(uri, Address) else f"give this machine credentials for {scheme}"
        return StorageError(f"{why}; {remedy}")
    why = f"cannot read {uri} ({one_line(error)})"
    if remote:
        return StorageError(f"{why}; check the connection", passes(error))
    if passes(error):
        return StorageError(f"{why}; check the disk or the network it is on, and run the same command again", True)
    return GcposeError(f"{why}; check it")


def passes(error: BaseException) -> bool:
    """Say whether an error may be over in seconds: time-outs, lost connections, a server with troubles of its own."""
    if isinstance(error, TimeoutError | asyncio.TimeoutError | ConnectionError):
        return True
    status = _status(error)
    if status is not None:
        return status in (408, 409, 425, 429) or (status >= 500 and status not in (501, 505))
    for one in _chain(error):
        if isinstance(one, TimeoutError | asyncio.TimeoutError | ConnectionError | EOFError):
            return True
        if isinstance(one, OSError) and one.errno in _PASSING:
            return True
        if type(one).__module__.split(".")[0] in _NETWORK:
            return True
    return False


def one_line(error: BaseException) -> str:
    """Return what an error says, on one line and without secrets."""
    text = (error.strerror if isinstance(error, OSError) else None) or str(error) or type(error).__name__
    return " ".join(redact(text).split())


def _chain(error: BaseException) -> Iterator[BaseException]:
    """Yield an error and what it was made of."""
    one: BaseException | None = error
    seen: list[BaseException] = []
    while one is not None and one not in seen:
        seen.append(one)
        yield one
        one = one.__cause__


def _status(error: BaseException) -> int | None:
    """Return the HTTP status that a store answered with, as the packages of the stores have it."""
    for one in _chain(error):
        response = getattr(one, "response", None)
        if isinstance(response, dict):  # botocore
            found = response.get("ResponseMetadata", {}).get("HTTPStatusCode")
        else:  # aiohttp; azure; requests; gcsfs (aiohttp has a "code", too, for answers that it cannot read)
            names = ("status", "status_code") if type(one).__module__.startswith("aiohttp") else ("status_code", "code")
            values = [*(getattr(one, name, None) for name in names), getattr(response, "status_code", None)]
            found = next((value for value in values if isinstance(value, int)), None)
        if isinstance(found, int) and 100 <= found < 600:
            return found
    return None


def _code(error: BaseException) -> str | None:
    """Return the code of an answer of S3."""
    for one in _chain(error):
        response = getattr(one, "response", None)
        if isinstance(response, dict):
            return str(response.get("Error", {}).get("Code"))
    return None
