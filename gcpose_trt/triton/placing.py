"""Putting finished model folders into a repository, all of them or none."""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from gcpose_trt.errors import GcposeError
from gcpose_trt.files import cannot_write_folder, open_up
from gcpose_trt.triton.configs import MARK

CONFIG = "config.pbtxt"
README = "README.md"


@contextlib.contextmanager
def staging(output: Path, models: Sequence[str], force: bool) -> Iterator[Path]:
    """Make a folder to write into, and move what is in it to `output` when the block ends without an exception.

    Args:
        output: the repository. A new or empty folder, unless `force`.
        models: names of the folders that will be written.
        force: `output` may hold other things; of these, only folders of `models` that an earlier export wrote are
            replaced.

    Yields:
        An empty folder on the same file system; whatever happens, it is gone afterwards.

    Raises:
        GcposeError: `output` cannot be written, or holds what must not be replaced.
    """
    target = output.resolve()
    _check(output, target, models, force)
    work = _make(output, target)
    try:
        new, old = work / "new", work / "old"
        new.mkdir()
        old.mkdir()
        yield new
        try:
            if not target.exists():
                open_up(new)
                new.rename(target)
            else:
                _move(new, old, target)
        except OSError as error:
            raise cannot_write_folder(output, error) from error
    except OSError as error:
        raise cannot_write_folder(output, error) from error
    finally:
        shutil.rmtree(work, ignore_errors=True)


def _check(output: Path, target: Path, models: Sequence[str], force: bool) -> None:
    try:
        if target.exists() and not target.is_dir():
            raise GcposeError(f"{output} is a file; give the path of a folder")
        target.parent.mkdir(parents=True, exist_ok=True)
        found = sorted(path.name for path in target.iterdir()) if target.exists() else []
        if found and not force:
            raise GcposeError(
                f"{output} is not empty ({', '.join(found[:3])}); give a new folder, or --force to replace the models "
                f"{', '.join(models)} in it"
            )
        for name in models:
            if (target / name).exists() and not _is_ours(target / name):
                raise GcposeError(
                    f"{target / name} was not made by gcpose-trt export-triton; choose another --name, or move it away"
                )
    except OSError as error:
        raise cannot_write_folder(output, error) from error


def _is_ours(folder: Path) -> bool:
    try:
        return MARK in (folder / CONFIG).read_text(encoding="utf-8", errors="replace").split("\n", 1)[0]
    except (FileNotFoundError, NotADirectoryError):
        return False


def _make(output: Path, target: Path) -> Path:
    # Beside the repository, so that a server that watches it sees nothing half done; a mount point, or a folder in one
    # that may not be written, has nothing beside it on the same file system. Triton leaves hidden folders alone.
    beside = not os.path.ismount(target) and os.access(target.parent, os.W_OK)
    try:
        return Path(tempfile.mkdtemp(dir=target.parent if beside else target, prefix=f".{target.name}-exporting-"))
    except OSError as error:
        raise cannot_write_folder(output, error) from error


def _move(new: Path, old: Path, target: Path) -> None:
    """Move every entry of `new` into `target`, those in its place to `old`; or leave all as it was."""
    done: list[Path] = []
    try:
        for entry in sorted(new.iterdir()):
            place = target / entry.name
            done.append(place)
            if place.exists():
                place.rename(old / place.name)
            entry.rename(place)
    except OSError:
        for place in done:
            with contextlib.suppress(OSError):
                place.rename(new / place.name)
            with contextlib.suppress(OSError):
                (old / place.name).rename(place)
        raise
