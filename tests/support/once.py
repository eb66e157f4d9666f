"""What takes long to make, made once for all the processes that test side by side."""

from __future__ import annotations

import fcntl
import os
import pickle
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest


def made_once(factory: pytest.TempPathFactory, name: str, make: Callable[[Path], object]) -> Path:
    """Return a file or folder of this test run, made by the process that asks first while the others wait.

    Args:
        factory: the fixture `tmp_path_factory`.
        name: of the file or folder; the same in all processes.
        make: writes it to the path that it is given. What it raises, or skips for, leaves nothing behind.
    """
    base = factory.getbasetemp()
    # Workers of pytest-xdist have a folder each, in one folder of the run.
    path = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / name
    with path.with_name(f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not path.exists():
            partial = path.with_name(f"{name}.partial")
            shutil.rmtree(partial, ignore_errors=True)
            make(partial)
            partial.rename(path)
    return path


def computed_once(factory: pytest.TempPathFactory, name: str, compute: Callable[[], Any]) -> Any:
    """Return an object of this test run, computed by the process that asks first; each process has a copy of its own.

    Args:
        factory: the fixture `tmp_path_factory`.
        name: of the file that it is kept in; the same in all processes.
        compute: returns the object, which must be picklable.
    """

    def make(path: Path) -> None:
        with path.open("wb") as file:
            pickle.dump(compute(), file, pickle.HIGHEST_PROTOCOL)

    with made_once(factory, name, make).open("rb") as file:
        return pickle.load(file)
