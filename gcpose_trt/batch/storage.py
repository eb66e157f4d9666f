"""Files of this machine and of object stores behind one small interface; fsspec knows the stores."""

from __future__ import annotations

import contextlib
import io
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gcpose_trt.batch.addresses import check_address, is_remote, is_web, link_of
from gcpose_trt.batch.faults import Beat, StorageError, answered, nothing, one_line, patiently
from gcpose_trt.errors import GcposeError, MissingDependencyError

__all__ = ["FileInfo", "OpenFile", "filesystem", "info", "info_of", "is_remote", "open_binary", "read_bytes"]

_BLOCK = 1 << 20  # bytes of one request; an index at the end of a file and the key frames sought cost one each
_BLOCKS = 16  # kept of a file
_CONNECT_S, _READ_S = 30.0, 60.0  # that a web server may be silent
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


def filesystem(uri: str) -> tuple[Any, str]:
    """Return fsspec's file system for an address, and the path in it, which has its secret.

    Raises:
        GcposeError: unknown scheme, a package for it is missing, or it cannot be set up.
    """
    check_address(uri)
    try:
        import fsspec
    except ImportError:
        raise MissingDependencyError("fsspec", "batch", f"reading {uri}") from None
    try:
        fs, path = fsspec.core.url_to_fs(link_of(uri), **_options(uri))
    except ImportError as error:
        raise GcposeError(f"cannot read {uri}: {one_line(error)}; {_install(uri)}") from None
    except MemoryError:
        raise
    except Exception as error:
        raise GcposeError(f"cannot read {uri} ({one_line(error)}); check the address") from error
    return fs, path


def _options(uri: str) -> dict[str, Any]:
    if not is_web(uri):
        return {}
    import aiohttp

    # A large block on a slow line may take long, silence may not. Proxies and ~/.netrc, as other programs have them.
    limits = aiohttp.ClientTimeout(total=None, sock_connect=_CONNECT_S, sock_read=_READ_S)
    return {"client_kwargs": {"trust_env": True, "timeout": limits}}


def open_binary(uri: str, beat: Beat = nothing) -> OpenFile:
    """Open a file for reading, so that it can seek; of a remote one only the blocks asked for are fetched.

    Args:
        uri: path or address.
        beat: told of each answer of the disk or the store.

    Raises:
        StorageError: the store does not answer or does not let us, or the disk fails.
        GcposeError: not found, or a local file that may not be read.
    """
    return OpenFile(uri, beat)


def read_bytes(uri: str, beat: Beat = nothing) -> bytes:
    """Return all of a file.

    Raises:
        GcposeError: as `open_binary`.
    """

    def read() -> bytes:
        if not is_remote(uri):
            return Path(uri).read_bytes()
        fs, path = filesystem(uri)
        return bytes(fs.cat_file(path))

    data = patiently(read, uri, beat)
    answered(uri)
    beat()
    return data


def info(uri: str) -> FileInfo:
    """Return size and mark of a file.

    Raises:
        GcposeError: as `open_binary`.
    """

    def ask() -> FileInfo:
        if not is_remote(uri):
            return _of_stat(Path(uri).stat())
        fs, path = filesystem(uri)
        return info_of(fs.info(path))

    return patiently(ask, uri)


def info_of(details: dict[str, Any]) -> FileInfo:
    """Return what fsspec's details of a file say."""
    known = {key.lower(): value for key, value in details.items() if value is not None}
    mark = next((str(known[key]).strip('"') for key in (*_MARKS, *_TIMES) if key in known), "")
    return FileInfo(known.get("size"), mark)


def _of_stat(stat: os.stat_result) -> FileInfo:
    return FileInfo(stat.st_size, str(stat.st_mtime_ns))


def _install(uri: str) -> str:
    scheme = uri.split("://")[0].split("::")[-1].lower()
    known = {"s3": "s3fs", "s3a": "s3fs", "gs": "gcsfs", "gcs": "gcsfs", "az": "adlfs", "abfs": "adlfs"}
    known |= {"abfss": "adlfs", "http": "aiohttp", "https": "aiohttp", "sftp": "paramiko", "ssh": "paramiko"}
    return f"pip install {known[scheme]}" if scheme in known else "install what it names"


class OpenFile(io.RawIOBase):
    """A file that is read, see `open_binary`. Errors of reading are `OSError`, whatever kinds a store has.

    What may pass is tried again, with the file opened anew. What does not is kept, because a demuxer may take it for
    the end of the file, or for damage: `check` tells. Local files go through it, too, since FFmpeg has one number for
    a disk's errors and for data that end too early.

    Attributes:
        name: path or address; FFmpeg knows some formats by its ending.
    """

    def __init__(self, uri: str, beat: Beat = nothing) -> None:
        self.name = str(uri)
        self._uri, self._beat = uri, beat
        self._error: StorageError | None = None
        self._stream, self._info = patiently(self._opened, uri, beat)
        self._broken = False  # it has to be opened anew before it is read

    def check(self) -> None:
        """Raise what reading ran into.

        Raises:
            StorageError: reading failed on the way.
        """
        if self._error is not None:
            raise self._error

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
        if self._error is not None:  # it was patient once
            raise OSError(str(self._error))
        try:
            data = patiently(lambda: self._attempt(size), self._uri, self._beat)
        except GcposeError as error:
            self._error = StorageError(str(error))  # also where it is gone now: it was there
            raise OSError(str(error)) from error
        answered(self._uri)
        self._beat()
        return data

    def close(self) -> None:
        if not self.closed:
            with contextlib.suppress(Exception):
                self._stream.close()
        super().close()

    def _opened(self) -> tuple[Any, FileInfo]:
        if not is_remote(self._uri):
            stream: Any = Path(self._uri).open("rb", buffering=0)  # noqa: SIM115  # closed by `close`
            return stream, _of_stat(os.fstat(stream.fileno()))
        fs, path = filesystem(self._uri)
        options = {"maxblocks": _BLOCKS}
        stream = fs.open(path, "rb", block_size=_BLOCK, cache_type="blockcache", cache_options=options)
        return stream, info_of(getattr(stream, "details", None) or {})

    def _attempt(self, size: int) -> bytes:
        if self._broken:
            self._open_again()
        self._broken = True
        position = self._stream.tell()
        data = bytes(self._stream.read(size))
        self._check_length(position, size, len(data))
        self._broken = False
        return data

    def _open_again(self) -> None:
        position = self._stream.tell()
        stream, now = self._opened()
        if now != self._info:
            stream.close()
            raise StorageError(f"{self._uri} was changed while it was read; run the same command again")
        stream.seek(position)
        with contextlib.suppress(Exception):
            self._stream.close()
        self._stream = stream

    def _check_length(self, position: int, asked: int, got: int) -> None:
        """See that a store sent all it was asked for: what is missing would look like damage."""
        size = self._info.size
        if size is None or not is_remote(self._uri):
            return
        left = max(0, size - position)
        expected = left if asked < 0 else min(asked, left)
        if got < expected:
            self._stream.seek(position)
            raise ConnectionError(f"{got} of {expected} bytes came")
