"""Writing files so that a reader never sees half of one."""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

from gcpose_trt.errors import GcposeError


def check_writable(path: str | os.PathLike[str]) -> Path:
    """Fail early, before long work, if a file at `path` could not be written.

    Missing parent folders are made.

    Raises:
        GcposeError: `path` is a folder, or its parent cannot be made or written to.
    """
    target = Path(path)
    if target.is_dir():
        raise GcposeError(f"{target} is a folder; give the path of a file to write")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        # os.access lies for root and on network mounts; making a file is the only honest check.
        with tempfile.NamedTemporaryFile(dir=target.parent, prefix=".gcpose-"):
            pass
    except OSError as error:
        raise GcposeError(f"cannot write {target} ({error.strerror}); choose another folder") from error
    return target


@contextlib.contextmanager
def atomic_write(path: str | os.PathLike[str], mode: str = "wb") -> Iterator[IO[Any]]:
    """Open a temporary file beside `path` that takes its place when the block ends without an exception.

    Args:
        path: the file to write.
        mode: "wb" or "w" (UTF-8).

    Raises:
        GcposeError: the folder cannot be written to, or the disk is full.
    """
    target = check_writable(path)
    encoding = None if "b" in mode else "utf-8"
    handle, name = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.")
    try:
        with os.fdopen(handle, mode, encoding=encoding) as stream:
            yield stream
        # mkstemp makes files private to the user; give the mode a plain open() would have given.
        umask = os.umask(0)
        os.umask(umask)
        os.chmod(name, 0o666 & ~umask)
        os.replace(name, target)
    except OSError as error:
        raise GcposeError(f"cannot write {target} ({error.strerror}); free some space or choose another folder") from error
    finally:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(name)
