"""Fixtures of the plugins' tests."""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
import time
from pathlib import Path

import pytest

from gcpose_trt.plugins import cpu_build
from gcpose_trt.plugins.kernels import Kernels


@pytest.fixture(scope="session")
def cpu_library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The kernels built for the CPU: once for all workers of a run, and again only when the sources change."""
    if shutil.which("g++") is None:
        pytest.skip("g++ is not installed")
    folder = Path(tempfile.gettempdir()) / f"gcpose-cpu-kernels-{os.getuid()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    if folder.is_symlink() or folder.stat().st_uid != os.getuid():
        folder = tmp_path_factory.mktemp("cpu-kernels")  # someone else's: not to be trusted
    library = folder / f"libgcpose_kernels_cpu-{cpu_build.cpu_sources_sha256()[:16]}.so"
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not library.is_file():
            for old in folder.glob("*.so"):
                if time.time() - old.stat().st_mtime > 86400:  # a run beside this one may be about to open it
                    old.unlink()
            cpu_build.build_cpu_library(library)
    return library


@pytest.fixture(scope="session")
def cpu_kernels(cpu_library: Path) -> Kernels:
    """The kernels, on the CPU."""
    return Kernels(cpu_library)
