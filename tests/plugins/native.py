"""Compiling the plugins' C++ with g++ in tests: the harness, and a plugin library on the CPU shim."""

from __future__ import annotations

import concurrent.futures
import importlib.util
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest

from gcpose_trt.plugins import sources

# Unknown to g++: CUDA's `#pragma unroll`.
WARNINGS = ("-Wall", "-Wextra", "-Werror", "-Wno-unknown-pragmas")


def development_headers() -> Path:
    """The folder of the TensorRT headers that the development dependency kernel-lens carries; skips without them."""
    spec = importlib.util.find_spec("kernel_lens")
    locations = spec.submodule_search_locations if spec else None
    folder = Path(locations[0]) / "include" / "tensorrt" if locations else None
    if folder is None or not (folder / "NvInferRuntime.h").is_file():
        pytest.skip("TensorRT's headers are not installed: pip install kernel-lens==2.0.1")
    return folder


def require_gxx() -> str:
    """The path of g++; skips without it."""
    found = shutil.which("g++")
    if found is None:
        pytest.skip("g++ is not installed")
    return found


def cpu_command(source: str, target: Path, headers: Path, extra: Sequence[str]) -> list[str]:
    """The command that compiles a source of the plugins for the CPU shim."""
    folder = sources.source_folder()
    language = ["-x", "c++"] if source.endswith(".cu") else []
    return [
        require_gxx(),
        "-std=c++17",
        "-fPIC",
        "-fvisibility=hidden",
        *WARNINGS,
        "-DGCPOSE_CPU",
        f"-I{folder}",
        f"-I{folder / 'cpu_shim'}",
        "-isystem",
        str(headers),
        *extra,
        "-c",
        *language,
        str(folder / source),
        "-o",
        str(target),
    ]


def compile_all(names: Sequence[str], folder: Path, headers: Path, extra: Sequence[str]) -> list[Path]:
    """Compile sources, two at a time, and return the objects; a compiler's message is the failure's."""
    folder.mkdir(parents=True, exist_ok=True)
    objects = [folder / (name.replace("/", "_") + ".o") for name in names]
    commands = [cpu_command(name, place, headers, extra) for name, place in zip(names, objects, strict=True)]
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        for done in pool.map(lambda command: subprocess.run(command, capture_output=True, text=True), commands):
            assert done.returncode == 0, done.stderr[:4000]
    return objects
