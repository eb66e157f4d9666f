"""The kernels built for the CPU: slow, for checking what they compute on machines without a GPU."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

import gcpose_trt
from gcpose_trt.errors import GcposeError
from gcpose_trt.files import check_writable
from gcpose_trt.plugins.sources import KERNELS, source_folder

_FLAGS = (
    "-std=c++17",
    "-O2",
    "-fPIC",
    "-fvisibility=hidden",
    "-fvisibility-inlines-hidden",
    "-Wall",
    "-Wextra",
    "-Wno-unknown-pragmas",  # `#pragma unroll` is nvcc's
    "-DGCPOSE_CPU",
)
_FOLDERS = ("common", "cpu_shim", "c_api", *KERNELS)


def compiler() -> str:
    """Return the path of g++.

    Raises:
        GcposeError: there is none.
    """
    found = shutil.which("g++")
    if found is None:
        raise GcposeError(
            "g++ is missing, which compiles the kernels for the CPU; install it with: sudo apt install g++"
        )
    return found


def cpu_sources_sha256() -> str:
    """Return one digest of all that the CPU library depends on: sources, names and flags."""
    folder = source_folder()
    digest = hashlib.sha256(" ".join((*_FLAGS, gcpose_trt.__version__)).encode())
    for name in _FOLDERS:
        for path in sorted((folder / name).glob("*")):
            if path.suffix in (".cu", ".cpp", ".h", ".map"):
                digest.update(f"{name}/{path.name}\0".encode())
                digest.update(path.read_bytes())
    return digest.hexdigest()


def build_cpu_library(output: str | os.PathLike[str]) -> Path:
    """Compile the kernels and their C interface for the CPU.

    Args:
        output: the library to write; it appears complete or not at all.

    Returns:
        `output`.

    Raises:
        GcposeError: g++ is missing or refuses, or `output` cannot be written.
    """
    target = check_writable(output)
    program, folder = compiler(), source_folder()
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=".gcpose-build-") as place:
        objects = []
        for source in (*(f"{name}/kernel.cu" for name in KERNELS), "c_api/gcpose_kernels.cpp"):
            objects.append(str(Path(place) / f"{source.replace('/', '_')}.o"))
            version = f'-DGCPOSE_VERSION="{gcpose_trt.__version__}"'
            language = ["-x", "c++"] if source.endswith(".cu") else []
            _run([program, *_FLAGS, version, f"-I{folder}", "-c", *language, str(folder / source), "-o", objects[-1]])
        library = Path(place) / target.name
        link = ["-Wl,-z,defs", f"-Wl,--version-script={folder / 'c_api' / 'exports.map'}"]
        _run([program, "-shared", *link, *objects, "-o", str(library)])
        library.replace(target)
    return target


def _run(command: list[str]) -> None:
    done = subprocess.run(command, capture_output=True, text=True, errors="replace")
    if done.returncode != 0:
        lines = done.stderr.strip().splitlines() or [f"exit code {done.returncode}"]
        first = next((line for line in lines if "error" in line), lines[0])
        raise GcposeError(f"g++ could not build the kernels for the CPU ({first.strip()}); update g++ to 9 or later")
