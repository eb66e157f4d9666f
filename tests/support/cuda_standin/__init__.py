"""A stand-in for the CUDA driver's library, made on the spot; see driver.cpp for what it is and is not.

Programs run on it in a process of their own, because a process loads libcuda.so.1 once.
"""

from __future__ import annotations

import ctypes
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path

SOURCE = Path(__file__).parent / "driver.cpp"
REPOSITORY = SOURCE.parents[3]


def build(folder: Path) -> Path:
    """Compile the library into `folder` and return it.

    Raises:
        subprocess.CalledProcessError: it does not compile.
    """
    library = folder / "libcuda.so.1"
    flags = ["-std=c++17", "-O0", "-fPIC", "-shared", "-pthread", "-fvisibility=hidden", "-Wall", "-Wextra"]
    subprocess.run(
        ["g++", *flags, str(SOURCE), "-o", str(library), "-Wl,-soname,libcuda.so.1", "-ldl"],
        check=True,
        capture_output=True,
        text=True,
    )
    return library


def missing() -> str | None:
    """Say why programs cannot run on the stand-in here, None if they can."""
    if shutil.which("g++") is None:
        return "no g++ to compile the stand-in driver with"
    if find_spec("cuda") is None or find_spec("cuda.bindings") is None:
        return "cuda-python (cuda-bindings) is not installed"
    return None


def run(
    library: Path, code: str, *, environment: Mapping[str, str] | None = None, timeout: float = 120
) -> subprocess.CompletedProcess[str]:
    """Run Python code on the stand-in, with the repository importable."""
    paths = os.pathsep.join([str(REPOSITORY), *filter(None, [os.environ.get("PYTHONPATH")])])
    return subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "LD_LIBRARY_PATH": str(library.parent), "PYTHONPATH": paths, **(environment or {})},
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        timeout=timeout,
    )


def count(what: str) -> int:
    """Return how many of something the stand-in of this process has, or how often a function of it was called."""
    function = ctypes.CDLL("libcuda.so.1").gcpose_standin_count
    function.restype = ctypes.c_longlong
    function.argtypes = [ctypes.c_char_p]
    return int(function(what.encode()))
