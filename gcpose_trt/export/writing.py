"""Writing both files of a model, or neither."""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from gcpose_trt.errors import GcposeError


def _missing_folders(folder: Path) -> list[Path]:
    """Return `folder` and those above it that do not exist, innermost first."""
    missing = []
    while not folder.exists():
        missing.append(folder)
        folder = folder.parent
    return missing


@contextlib.contextmanager
def staging_folder(output: Path) -> Iterator[Path]:
    """Give a hidden folder beside the final place of the files, made at once to show that the place can be written to.

    If the block ends well the files in it move to `output`, replacing those of the same name; if not, nothing is left.

    Raises:
        GcposeError: `output` is a file, or cannot be made or written to.
    """
    if output.exists() and not output.is_dir():
        raise GcposeError(f"{output} is a file; give a folder with --output")
    made = _missing_folders(output)
    try:
        output.mkdir(parents=True, exist_ok=True)
        staging = Path(tempfile.mkdtemp(dir=output, prefix=".gcpose-export-"))
    except OSError as error:
        _remove_empty(made)
        raise GcposeError(f"cannot write to {output} ({error.strerror}); choose another folder") from error
    done = False
    try:
        yield staging
        for path in sorted(staging.iterdir()):
            os.replace(path, output / path.name)
        done = True
    except OSError as error:
        raise GcposeError(
            f"cannot write to {output} ({error.strerror}); free some space or choose another folder"
        ) from error
    finally:
        shutil.rmtree(staging, ignore_errors=True)
        if not done:
            _remove_empty(made)


def _remove_empty(folders: list[Path]) -> None:
    for folder in folders:
        with contextlib.suppress(OSError):
            folder.rmdir()
