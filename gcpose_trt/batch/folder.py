"""The output's folder as a whole: whose it is, who works in it, what killed processes left, and starting anew."""

from __future__ import annotations

import errno
import fcntl
import os
import shutil
import socket
from pathlib import Path
from typing import IO

from gcpose_trt.errors import GcposeError

STATE = ".batch"
RECORDS = ("plans", "segments", "sources", "failures")  # folders in it
RESULTS = ("poses", "annotated")
TABLE = "sources.parquet"


def check_foreign(folder: Path) -> None:
    """Refuse a folder that holds something else: what is there could be overwritten, or be taken for results.

    Raises:
        GcposeError: it does, or it is no folder.
    """
    if folder.exists() and not folder.is_dir():
        raise GcposeError(f"{folder} is no folder; choose another --output")
    if (folder / STATE).is_dir() or not folder.is_dir():
        return
    try:
        names = sorted(path.name for path in folder.iterdir())
    except OSError as error:
        raise GcposeError(f"cannot read {folder} ({error.strerror}); choose another --output") from error
    # An empty volume has the one, a desktop the others.
    others = [name for name in names if name != "lost+found" and not name.startswith(".")]
    if others:
        raise GcposeError(f"{folder} holds files that are not of a batch ({others[0]}); choose a new or empty --output")


def take_lock(folder: Path) -> IO[str]:
    """Keep other batches out of the folder until the file that is returned is closed, or the process ends.

    Raises:
        GcposeError: another batch is in it.
        OSError: the file cannot be written.
    """
    stream = (folder / STATE / "lock").open("a+", encoding="utf-8")
    try:
        fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        stream.truncate(0)
        stream.write(f"process {os.getpid()} on {socket.gethostname()}\n")
        stream.flush()
    except OSError as error:
        stream.seek(0)
        owner = " ".join(stream.read(200).split())
        stream.close()
        if error.errno not in (errno.EWOULDBLOCK, errno.EACCES):
            raise
        who = f" ({owner})" if owner else ""
        raise GcposeError(f"another batch runs in {folder}{who}; wait for its end or choose another --output") from None
    return stream


def remove_leftovers(folder: Path) -> None:
    """Remove what processes that were killed left half written.

    Raises:
        OSError: it cannot be removed.
    """
    for below in (*RESULTS, STATE):
        for pattern in (".gcpose-*", ".*.part"):
            for path in (folder / below).rglob(pattern):
                path.unlink(missing_ok=True)
    for path in folder.glob(".gcpose-*"):
        path.unlink(missing_ok=True)


def wipe(folder: Path) -> None:
    """Remove a batch with its results, and nothing else. Interrupted, it leaves a batch that can go on.

    Raises:
        OSError: something cannot be removed.
    """
    (folder / TABLE).unlink(missing_ok=True)
    for below in [*(folder / name for name in RESULTS), *(folder / STATE / name for name in RECORDS)]:
        if below.exists():
            shutil.rmtree(below)
    (folder / STATE / "run.json").unlink(missing_ok=True)
