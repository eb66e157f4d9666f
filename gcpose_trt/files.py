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

    Returns:
        The path of the file, with symbolic links followed.

    Raises:
        GcposeError: `path` is a folder or a device, or its parent cannot be made or written to.
    """
    target = Path(path)
    try:
        # Replacing a link would leave the file behind it as it was.
        target = target.resolve()
        if target.is_dir():
            raise GcposeError(f"{path} is a folder; give the path of a file to write")
        # os.replace would put an ordinary file in the place of /dev/null.
        if target.exists() and not target.is_file():
            raise GcposeError(f"{path} is not an ordinary file; give the path of a file to write")
        target.parent.mkdir(parents=True, exist_ok=True)
        # os.access lies for root and on network mounts; making a file is the only honest check.
        with tempfile.NamedTemporaryFile(dir=target.parent, prefix=".gcpose-"):
            pass
    except (OSError, RuntimeError) as error:  # RuntimeError: a loop of links, before Python 3.13
        reason = getattr(error, "strerror", None) or error
        raise GcposeError(f"cannot write {path} ({reason}); choose another folder") from error
    return target


@contextlib.contextmanager
def atomic_write(path: str | os.PathLike[str], mode: str = "wb") -> Iterator[IO[Any]]:
    """Open a temporary file in the folder of `path` that takes its place when the block ends without an exception.

    Args:
        path: the file to write.
        mode: "wb" or "w" (UTF-8).

    Raises:
        GcposeError: the file cannot be written, see `check_writable`, or the disk is full.
    """
    target = check_writable(path)
    encoding = None if "b" in mode else "utf-8"
    handle, name = tempfile.mkstemp(dir=target.parent, prefix=".gcpose-")
    try:
        with os.fdopen(handle, mode, encoding=encoding) as stream:
            yield stream
        open_up(name, 0o666)
        os.replace(name, target)
    except OSError as error:
        if error.filename not in (None, name):  # something else that the block opened
            raise
        raise GcposeError(
            f"cannot write {path} ({error.strerror}); free some space or choose another folder"
        ) from error
    finally:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(name)


def open_up(path: str | os.PathLike[str], mode: int = 0o777) -> None:
    """Give what `tempfile` made private to the user the mode that mkdir, or open with 0o666, would have given."""
    umask = os.umask(0)
    os.umask(umask)
    os.chmod(path, mode & ~umask)


def cannot_write_folder(output: Path, error: OSError) -> GcposeError:
    """Return the line of advice for a folder of results that cannot be made."""
    return GcposeError(f"cannot write {output} ({error.strerror}); choose another folder, or free some space")
