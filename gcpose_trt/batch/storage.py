"""Files of this machine and of object stores behind one small interface; fsspec knows the stores."""

from __future__ import annotations

import io
import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from gcpose_trt.errors import GcposeError, MissingDependencyError

_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.\-]*(::[A-Za-z][A-Za-z0-9+.\-]*)*://")
_BLOCK = 1 << 20  # bytes of one request; an index at the end of a file and the key frames sought cost one each
_BLOCKS = 16  # kept of a file
# What a store says of a file's content, the best first.
_MARKS = ("etag", "md5hash", "content-md5", "digest", "crc32c", "last-modified", "lastmodified", "last_modified")
_TIMES = ("updated", "mtime", "created")


@dataclass(frozen=True)
class FileInfo:
    """What is known of a file without reading it.

    Attributes:
        size: bytes; None where the store does not say.
        mark: changes when the content does: time of modification, ETag or checksum.
    """

    size: int | None
    mark: str


class RemoteError(OSError):
    """Reading from a store failed; the text is one line."""


def is_remote(uri: str) -> bool:
    """Say whether this is an address and not a path of this machine."""
    return _SCHEME.match(uri) is not None


def has_magic(uri: str) -> bool:
    """Say whether a name may be a pattern; the question mark of a web address is none."""
    return any(sign in uri for sign in ("*[" if uri.startswith(("http://", "https://")) else "*?["))


def absolute(name: str, base: str = "") -> str:
    """Return a name as an absolute path or an address.

    Args:
        name: a path, or an address; file:// is a path of this machine.
        base: folder or address that a relative path starts from; the working directory if empty.

    Raises:
        GcposeError: an empty name.
    """
    if not name:
        raise GcposeError("an input is an empty name; give a video, a picture, a folder, a pattern or a manifest")
    if name.startswith("file://"):
        name = name[len("file://") :]
    if is_remote(name):
        return name
    if is_remote(base):
        if name.startswith("/"):
            return os.path.normpath(name)
        return f"{base.rstrip('/')}/{name}"
    return os.path.abspath(Path(base, name))  # noqa: PTH100  # links keep the name that the user gave them


def parent(uri: str) -> str:
    """Return the folder that a file is in."""
    return uri.rsplit("/", 1)[0] if is_remote(uri) else str(Path(uri).parent)


def check_address(uri: str) -> None:
    """Refuse an address that has a password in it: it would be in messages, records and results.

    Raises:
        GcposeError: it has one. The message does not.
    """
    if re.search(r"://[^/@]*:[^/@]*@", uri):
        raise GcposeError(
            f"{without_password(uri)} was given with a password; put that into ~/.netrc or fsspec's configuration "
            "and leave it out of the address"
        )


def without_password(uri: str) -> str:
    """Return an address without user and password."""
    return re.sub(r"://[^/@]*@", "://", uri)


def filesystem(uri: str) -> tuple[Any, str]:
    """Return fsspec's file system for an address, and the path in it.

    Raises:
        GcposeError: unknown scheme, a package for it is missing, or it cannot be set up.
    """
    check_address(uri)
    try:
        import fsspec
    except ImportError:
        raise MissingDependencyError("fsspec", "batch", f"reading {uri}") from None
    # Proxies and ~/.netrc, as other programs have them.
    options: dict[str, Any] = {"client_kwargs": {"trust_env": True}} if uri.startswith(("http://", "https://")) else {}
    try:
        fs, path = fsspec.core.url_to_fs(uri, **options)
    except ImportError as error:
        raise GcposeError(f"cannot read {uri}: {_one_line(error)}; {_install(uri)}") from None
    except MemoryError:
        raise
    except Exception as error:
        raise GcposeError(f"cannot read {uri} ({_one_line(error)}); check the address") from error
    return fs, path


def open_binary(uri: str) -> BinaryIO:
    """Open a file for reading, so that it can seek; of a remote one only the blocks asked for are fetched.

    Errors while reading it are `OSError`.

    Raises:
        GcposeError: not found, denied, or the store cannot be reached.
    """
    try:
        if not is_remote(uri):
            return Path(uri).open("rb")  # the caller's to close
        fs, path = filesystem(uri)
        stream = fs.open(path, "rb", block_size=_BLOCK, cache_type="blockcache", cache_options={"maxblocks": _BLOCKS})
        return _Guarded(stream)  # type: ignore[return-value]
    except (GcposeError, MemoryError):
        raise
    except Exception as error:
        raise describe(error, uri) from error


def read_bytes(uri: str) -> bytes:
    """Return all of a file.

    Raises:
        GcposeError: as `open_binary`.
    """
    try:
        if not is_remote(uri):
            return Path(uri).read_bytes()
        fs, path = filesystem(uri)
        return bytes(fs.cat_file(path))
    except (GcposeError, MemoryError):
        raise
    except Exception as error:
        raise describe(error, uri) from error


def info(uri: str) -> FileInfo:
    """Return size and mark of a file.

    Raises:
        GcposeError: as `open_binary`.
    """
    try:
        if not is_remote(uri):
            stat = Path(uri).stat()
            return FileInfo(stat.st_size, str(stat.st_mtime_ns))
        fs, path = filesystem(uri)
        return info_of(fs.info(path))
    except (GcposeError, MemoryError):
        raise
    except Exception as error:
        raise describe(error, uri) from error


def info_of(details: dict[str, Any]) -> FileInfo:
    """Return what fsspec's details of a file say."""
    known = {key.lower(): value for key, value in details.items() if value is not None}
    mark = next((str(known[key]).strip('"') for key in (*_MARKS, *_TIMES) if key in known), "")
    return FileInfo(known.get("size"), mark)


def describe(error: Exception, uri: str) -> GcposeError:
    """Return the error for people that says why a file cannot be read."""
    cause = error.__cause__
    # What a web server answers, or that none does, is behind a FileNotFoundError whatever it is.
    if type(cause).__module__.startswith("aiohttp") and isinstance(cause, Exception):
        error = cause if getattr(cause, "status", None) != 404 else error
    if isinstance(error, FileNotFoundError):
        return GcposeError(f"no file {uri}; check the {'address' if is_remote(uri) else 'path'}")
    status = getattr(error, "status", None)  # aiohttp's
    if isinstance(error, PermissionError) or status in (401, 403) or "credential" in str(error).lower():
        remedy = f"give this machine credentials for {uri.split('://')[0]}" if is_remote(uri) else "check permissions"
        return GcposeError(f"access to {uri} is denied ({_one_line(error)}); {remedy}")
    return GcposeError(f"cannot read {uri} ({_one_line(error)}); check {'the connection' if is_remote(uri) else 'it'}")


def _one_line(error: Exception) -> str:
    text = (error.strerror if isinstance(error, OSError) else None) or str(error) or type(error).__name__
    return " ".join(without_password(text).split())


def _install(uri: str) -> str:
    scheme = uri.split("://")[0].split("::")[-1].lower()
    known = {"s3": "s3fs", "s3a": "s3fs", "gs": "gcsfs", "gcs": "gcsfs", "az": "adlfs", "abfs": "adlfs"}
    known |= {"abfss": "adlfs", "http": "aiohttp", "https": "aiohttp", "sftp": "paramiko", "ssh": "paramiko"}
    return f"pip install {known[scheme]}" if scheme in known else "install what it names"


class _Guarded(io.RawIOBase):
    """A file of fsspec's whose errors are all `RemoteError`: each store has its own kinds, FFmpeg's caller knows none.

    `error` keeps the first, because a demuxer may take it for the end of the file.
    """

    def __init__(self, stream: Any) -> None:
        self._stream = stream
        self.error: RemoteError | None = None

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return int(self._stream.tell())

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        try:
            return int(self._stream.seek(offset, whence))
        except ValueError as error:  # before the start, as a damaged file may have it
            raise OSError(str(error)) from error

    def read(self, size: int = -1) -> bytes:
        try:
            return bytes(self._stream.read(size))
        except MemoryError:
            raise
        except Exception as error:
            failure = RemoteError(_one_line(error))
            self.error = self.error or failure
            raise failure from error

    def close(self) -> None:
        if not self.closed:
            self._stream.close()
        super().close()
