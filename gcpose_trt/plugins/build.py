"""Building the plugin library: nvcc called directly, one object a source, with a progress bar.

CMake is not needed; `plugins/CMakeLists.txt` builds the same library for those who prefer it.
"""

from __future__ import annotations

import concurrent.futures
import contextlib
import datetime
import json
import os
import re
import shlex
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gcpose_trt
from gcpose_trt.errors import GcposeError
from gcpose_trt.files import atomic_write, check_writable
from gcpose_trt.plugins import library, sources, toolchain

_HOST_FLAGS = "-fPIC,-fvisibility=hidden,-fvisibility-inlines-hidden,-Wall,-Wextra"
_EXPORTS = "tensorrt/exports.map"


@dataclass(frozen=True)
class Plan:
    """How a library will be built.

    Attributes:
        nvcc: the compiler.
        headers: TensorRT's.
        interface: "v3" or "v2".
        architectures: such as ("87",).
    """

    nvcc: toolchain.Nvcc
    headers: toolchain.Headers
    interface: str
    architectures: tuple[str, ...]

    @property
    def code_flags(self) -> list[str]:
        """Machine code of every architecture, and PTX of the highest, which later GPUs translate."""
        flags = [f"-gencode=arch=compute_{one},code=sm_{one}" for one in self.architectures]
        highest = self.architectures[-1]
        return [*flags, f"-gencode=arch=compute_{highest},code=compute_{highest}"]

    def compile_command(self, source: str, target: Path) -> list[str]:
        """Return the command that compiles one source."""
        folder = sources.source_folder()
        names = " ".join(self.architectures)
        return [
            str(self.nvcc.path),
            "-c",
            "-std=c++17",
            "-O3",
            f"-Xcompiler={_HOST_FLAGS}",
            *(self.code_flags if source.endswith(".cu") else []),
            f"-I{folder}",
            "-isystem",
            str(self.headers.folder),
            f"-DGCPOSE_PLUGIN_INTERFACE={self.interface[1:]}",
            f'-DGCPOSE_VERSION="{gcpose_trt.__version__}"',
            f'-DGCPOSE_ARCHITECTURES="{names}"',
            f'-DGCPOSE_TENSORRT="{self.headers.text}"',
            str(folder / source),
            "-o",
            str(target),
        ]

    def link_command(self, objects: Sequence[Path], target: Path) -> list[str]:
        """Return the command that links the library: CUDA inside, TensorRT left to the program that loads it."""
        exports = sources.source_folder() / _EXPORTS
        return [
            str(self.nvcc.path),
            "-shared",
            "-cudart=static",
            *self.code_flags,
            # -z defs: a symbol of libnvinfer that slipped in must fail here, not at load.
            f"-Xlinker=--version-script={exports},--gc-sections,-z,defs",
            *map(str, objects),
            "-ldl",  # a library of its own before glibc 2.34, as on JetPack 5
            "-o",
            str(target),
        ]


def make_plan(
    *,
    architectures: str = "native",
    interface: str = "auto",
    nvcc: str | os.PathLike[str] | None = None,
    tensorrt_include: str | os.PathLike[str] | None = None,
) -> Plan:
    """Look for everything that the build needs.

    Args:
        architectures: see `toolchain.choose_architectures`.
        interface: "auto" takes "v3" from TensorRT 10 on.
        nvcc: the compiler, if not the one that is found.
        tensorrt_include: the folder of TensorRT's headers, if not the one that is found.

    Raises:
        GcposeError: something is missing or does not fit; says what to install or change.
    """
    compiler = toolchain.find_nvcc(nvcc)
    toolchain.check_host_compiler()
    headers = toolchain.find_headers(tensorrt_include)
    newest = "v3" if headers.version[0] >= 10 else "v2"
    if interface == "v3" and newest == "v2":
        raise GcposeError(f"--interface v3 needs TensorRT 10 or later, and {headers.folder} is {headers.text}; use v2")
    chosen = toolchain.choose_architectures(architectures, compiler)
    return Plan(compiler, headers, newest if interface == "auto" else interface, tuple(chosen))


def build_library(
    plan: Plan, output: str | os.PathLike[str], *, jobs: int | None = None, verbose: bool = False
) -> Path:
    """Compile, link and install the library and the JSON beside it; either is there whole or as it was.

    Args:
        plan: see `make_plan`.
        output: the folder, or the .so file itself.
        jobs: compilers at a time; by default one a core, for each takes about a gigabyte.
        verbose: print every command and everything the compilers say.

    Returns:
        The path of the library.

    Raises:
        GcposeError: a compiler fails, or the folder cannot be written.
    """
    target = Path(output)
    target = check_writable(target if target.suffix == ".so" else target / library.LIBRARY_NAME)
    digest = sources.sources_sha256()
    with tempfile.TemporaryDirectory(prefix="gcpose-plugins-", ignore_cleanup_errors=True) as scratch:
        linked = _compile(plan, Path(scratch), jobs or os.cpu_count() or 1, verbose)
        contents = linked.read_bytes()
    with atomic_write(target) as stream:
        stream.write(contents)
    target.chmod(0o755)
    with atomic_write(library.sidecar(target), "w") as stream:
        json.dump(_record(plan, target, digest), stream, indent=2)
        stream.write("\n")
    return target


def _compile(plan: Plan, scratch: Path, jobs: int, verbose: bool) -> Path:
    from tqdm import tqdm

    names = sources.library_sources(plan.interface)
    objects = [scratch / (name.replace("/", "_") + ".o") for name in names]
    compilers = _Compilers(scratch, verbose)
    linked = scratch / library.LIBRARY_NAME
    with concurrent.futures.ThreadPoolExecutor(jobs) as pool:
        # From the first compiler on: Ctrl-C may come while the others are still being handed in.
        try:
            tasks = [
                pool.submit(compilers.call, plan.compile_command(name, place))
                for name, place in zip(names, objects, strict=True)
            ]
            with tqdm(total=len(names) + 1, desc="plugins", unit="file", disable=verbose) as bar:
                for task in concurrent.futures.as_completed(tasks):
                    task.result()
                    bar.update()
                compilers.call(plan.link_command(objects, linked))
                bar.update()
        except BaseException:
            compilers.stop()
            pool.shutdown(cancel_futures=True)
            raise
    return linked


class _Compilers:
    """Compilers that run side by side and all end with the first that fails, or with Ctrl-C.

    Each has a process group of its own: nvcc is a driver whose children do the work, and at a terminal Ctrl-C would end
    some compilers before this process hears of it, whose threads would then start the next ones.
    """

    def __init__(self, scratch: Path, verbose: bool) -> None:
        self._environment = {**os.environ, "TMPDIR": str(scratch)}
        self._verbose = verbose
        self._lock = threading.Lock()
        self._running: set[subprocess.Popen[str]] = set()
        self._stopped = False

    def call(self, command: list[str]) -> None:
        """Runs one command to its end; a failure raises a GcposeError with the first error it printed."""
        with self._lock:
            if self._stopped:
                return
            process = subprocess.Popen(
                command,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                errors="replace",
                env=self._environment,
                start_new_session=True,
            )
            self._running.add(process)
        try:
            printed, _ = process.communicate()
        finally:
            with self._lock:
                if process.returncode is not None:
                    self._running.discard(process)
        if self._verbose:
            print(f"{shlex.join(command)}\n{printed}", file=sys.stderr, flush=True)
        if process.returncode:
            raise _failure(command, printed)

    def stop(self) -> None:
        """Ends what runs, and lets nothing further start."""
        with self._lock:
            self._stopped = True
            running = list(self._running)
            for process in running:
                # What they leave is in the scratch folder, which goes too.
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
        for process in running:
            process.wait()


def _failure(command: list[str], printed: str) -> GcposeError:
    lines = [line.strip() for line in printed.splitlines() if line.strip()]
    # The first error is the cause; nvcc ends with a summary that says less.
    cause = next((line for line in lines if re.search(r"\berror\b", line, re.IGNORECASE)), lines[-1] if lines else "")
    what = next((Path(word).name for word in command if word.endswith((".cu", ".cpp"))), "the library")
    return GcposeError(f"nvcc failed on {what}: {cause[:300]}; run again with --verbose to see all it said")


def _record(plan: Plan, target: Path, digest: str) -> dict[str, Any]:
    return {
        "format": 1,
        "kind": "gcpose-trt plugins",
        "library": target.name,
        "sha256": library.sha256(target),
        "bytes": target.stat().st_size,
        "sources_sha256": digest,
        "gcpose_trt": gcpose_trt.__version__,
        "interface": plan.interface,
        "architectures": list(plan.architectures),
        "tensorrt": plan.headers.text,
        "tensorrt_headers": str(plan.headers.folder),
        "nvcc": plan.nvcc.version,
        "created": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
    }
