"""Putting a finished engine folder in its place, so that nobody ever finds half of one."""

from __future__ import annotations

import contextlib
import ctypes
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from gcpose_trt.engine import layers_file
from gcpose_trt.errors import GcposeError
from gcpose_trt.files import cannot_write_folder, open_up
from gcpose_trt.runtime.engine_record import FILE_NAME

_AT_FDCWD, _RENAME_EXCHANGE = -100, 2
TIMING_CACHE = "timing.cache"
_OURS = {FILE_NAME, layers_file.NAME, TIMING_CACHE}


@contextlib.contextmanager
def staging(output: Path) -> Iterator[Path]:
    """Make a folder to build into, and put it in the place of `output` when the block ends without an exception.

    Args:
        output: the engine folder; may exist if it holds nothing but an earlier engine.

    Yields:
        An empty folder on the same file system; whatever happens, it is gone afterwards.

    Raises:
        GcposeError: `output` cannot be written, or holds other files.
    """
    target = output.resolve()
    _check(output, target)
    # A mount point, or a folder in one that may not be written, cannot be swapped as a whole: work inside it.
    whole = not os.path.ismount(target) and os.access(target.parent, os.W_OK)
    try:
        if not whole:
            target.mkdir(exist_ok=True)
        work = Path(tempfile.mkdtemp(dir=target.parent if whole else target, prefix=f".{target.name}-building-"))
    except OSError as error:
        raise cannot_write_folder(output, error) from error
    try:
        yield work
        try:
            open_up(work)
            if not target.exists():
                work.rename(target)
            elif not whole or not _exchange(work, target):
                _move_files(work, target)
        except OSError as error:
            raise cannot_write_folder(output, error) from error
    finally:
        shutil.rmtree(work, ignore_errors=True)


def _check(output: Path, target: Path) -> None:
    try:
        if target.exists() and not target.is_dir():
            raise GcposeError(f"{output} is a file; give the path of a folder")
        target.parent.mkdir(parents=True, exist_ok=True)
        if not target.exists():
            with tempfile.NamedTemporaryFile(dir=target.parent, prefix=".gcpose-"):
                return
        with tempfile.NamedTemporaryFile(dir=target, prefix=".gcpose-"):
            pass
        foreign = sorted(path.name for path in target.iterdir() if not _is_ours(path))
    except OSError as error:
        raise cannot_write_folder(output, error) from error
    if foreign:
        raise GcposeError(
            f"{output} holds other files ({', '.join(foreign[:3])}); give a new folder, or that of an earlier engine"
        )


def _is_ours(path: Path) -> bool:
    return path.name in _OURS or path.suffix == ".engine" or "-building-" in path.name


def _exchange(work: Path, target: Path) -> bool:
    """Swap two folders in one step; False where the system cannot."""
    try:
        rename = ctypes.CDLL(None, use_errno=True).renameat2
    except AttributeError:
        return False
    return rename(_AT_FDCWD, os.fsencode(work), _AT_FDCWD, os.fsencode(target), _RENAME_EXCHANGE) == 0


def _move_files(work: Path, target: Path) -> None:
    """Replace file by file. Without its record, which goes first and comes last, the folder counts as no engine."""
    (target / FILE_NAME).unlink(missing_ok=True)
    for path in target.iterdir():
        if path != work and _is_ours(path) and path.is_file() and not (work / path.name).exists():
            path.unlink()
    for path in sorted(work.iterdir(), key=lambda item: item.name == FILE_NAME):
        os.replace(path, target / path.name)
