"""Triton's server as a process of this machine, from the environment that `make test` makes for it."""

from __future__ import annotations

import contextlib
import ctypes
import os
import shutil
import signal
import socket
import subprocess
import sys
import sysconfig
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from gcpose_trt.errors import GcposeError

HOST = "127.0.0.1"
READY_SECONDS = 300  # on a busy machine an interpreter that imports ONNX Runtime and OpenCV takes its time
STOP_SECONDS = 120
STARTS = 3
# Shared memory of each Python process. Features of 8 frames are 66 MB; a region that need not grow is one hazard less.
REGION_BYTES = 128 << 20
_SHARED_MEMORY = Path("/dev/shm")
_SHARED_MEMORY_BYTES = 2 << 30
_PR_SET_PDEATHSIG = 1
_LIBC = ctypes.CDLL(None)


def environment() -> Path:
    """Return the folder of the environment that has the server.

    Raises:
        GcposeError: there is none.
    """
    folder = Path(os.environ.get("GCPOSE_TRITON_ENV", Path(sys.prefix) / "triton"))
    if not (folder / "bin/python").exists() or not list(folder.glob("lib/python3.*/site-packages/pytriton")):
        raise GcposeError(
            f"no Triton server in {folder}; make test installs it there, on Linux x86_64 with Python 3.10 to 3.12"
        )
    name = f"libpython{next(folder.glob('lib/python3.*')).name.removeprefix('python')}.so.1.0"
    if not (_libpython_folder() / name).exists():
        try:
            ctypes.CDLL(name)  # a system's own Python has it in a folder of the loader's
        except OSError:
            raise GcposeError(f"the Triton server needs {name}; install the package that has it") from None
    if shutil.disk_usage(_SHARED_MEMORY).free < _SHARED_MEMORY_BYTES:
        raise GcposeError(f"the Triton server needs 2 GiB free in {_SHARED_MEMORY}; give docker run --shm-size=2g")
    return folder


class TritonServer:
    """A running server; `serving` starts and stops one.

    Attributes:
        process: the server.
        http: its address, "127.0.0.1:PORT".
        grpc: the same for gRPC.
        metrics: the same for Prometheus.
        backends: folder of its backends; the command lines of its Python processes begin with it.
        log: what it has printed, a file.
    """

    def __init__(self, process: subprocess.Popen[bytes], ports: Sequence[int], backends: Path, log: Path) -> None:
        self.process = process
        self.http, self.grpc, self.metrics = (f"{HOST}:{port}" for port in ports)
        self.backends = backends
        self.log = log

    def is_ready(self) -> bool:
        """Say whether all models are loaded and warm, and requests are taken."""
        with contextlib.suppress(OSError, urllib.error.URLError), self.get("/v2/health/ready") as answer:
            return bool(answer.status == 200)
        return False

    def get(self, path: str) -> Any:
        """Open an address below the server's HTTP port."""
        return urllib.request.urlopen(f"http://{self.http}{path}", timeout=60)

    def python_processes(self) -> list[int]:
        """Return the ids of the processes that run its Python models."""
        stub = str(self.backends / "python/triton_python_backend_stub").encode()
        found = []
        for folder in Path("/proc").iterdir():
            with contextlib.suppress(OSError):
                if folder.name.isdecimal() and (folder / "cmdline").read_bytes().startswith(stub):
                    found.append(int(folder.name))
        return found

    def wait_until_ready(self) -> None:
        """Wait for `is_ready`.

        Raises:
            GcposeError: it ended, or takes too long; with the end of its log.
        """
        deadline = time.monotonic() + READY_SECONDS
        while not self.is_ready():
            ended = self.process.poll()
            if ended is not None or time.monotonic() > deadline:
                what = "is not ready yet" if ended is None else f"ended with code {ended}"
                tail = self.log.read_text(errors="replace")[-4000:]
                raise GcposeError(f"the Triton server {what}; see its log:\n{tail}")
            time.sleep(0.1)

    def stop(self) -> int:
        """Ask it to end as Docker and systemd do, by SIGTERM; return its exit code."""
        self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(STOP_SECONDS)
        finally:
            if self.process.poll() is None:
                self.process.kill()
                self.process.wait()

    def end(self) -> None:
        """Stop it, if it runs."""
        if self.process.poll() is None:
            self.stop()


@contextmanager
def serving(repository: Path, folder: Path, verbose: bool = False) -> Iterator[TritonServer]:
    """Serve a model repository on free ports of this machine.

    Args:
        repository: see `gcpose-trt export-triton`.
        folder: for its backends and its log; made, if need be.
        verbose: log every step of a request and of loading a model.

    Raises:
        GcposeError: there is no server, or it does not get ready.
    """
    backends, program, variables = _layout(environment(), folder)
    for left in range(STARTS)[::-1]:
        server = _start(program, repository, backends, folder / "server.log", variables, verbose)
        try:
            server.wait_until_ready()
            break
        except BaseException as error:
            server.end()
            # Another program took a port meanwhile, or Triton aborted while it loaded the models: it has been seen to,
            # with boost::interprocess::lock_exception (https://github.com/triton-inference-server/server/issues/8882).
            if not left or not isinstance(error, GcposeError):
                raise
            print(f"the Triton server ended with code {server.process.returncode}; starting it again", file=sys.stderr)
    try:
        yield server
    finally:
        server.end()


def _start(
    program: Path, repository: Path, backends: Path, log: Path, variables: dict[str, str], verbose: bool
) -> TritonServer:
    ports = _free_ports(3)
    names = ("http", "grpc", "metrics")
    command = [
        str(program),
        f"--model-repository={repository}",
        f"--backend-directory={backends}",
        f"--backend-config=python,shm-default-byte-size={REGION_BYTES}",
        "--exit-on-error=true",
        f"--log-verbose={int(verbose)}",
        *(f"--{name}-port={port}" for name, port in zip(names, ports, strict=True)),
        *(f"--{name}-address={HOST}" for name in names),
    ]
    with log.open("wb") as stream:
        process = subprocess.Popen(
            command, env=variables, stdout=stream, stderr=subprocess.STDOUT, preexec_fn=_end_with_parent
        )
    return TritonServer(process, ports, backends, log)


def _layout(where: Path, folder: Path) -> tuple[Path, Path, dict[str, str]]:
    """Return the folder of backends, the server's program and its environment variables."""
    packages = next(where.glob("lib/python3.*/site-packages"))
    version = packages.parent.name.removeprefix("python")
    inside = packages / "pytriton/tritonserver"
    backends = folder / "backends"
    python = backends / "python"
    python.mkdir(parents=True, exist_ok=True)
    for file in (inside / "backends/python").iterdir():
        if file.is_file():
            shutil.copy(file, python)
    # The Python backend starts the program that lies beside its library: it must be the one of this Python.
    stub = python / "triton_python_backend_stub"
    shutil.copy(inside / "python_backend_stubs" / version / stub.name, stub)
    stub.chmod(0o755)
    libraries = [str(packages / "nvidia_pytriton.libs"), str(_libpython_folder())]
    variables = {
        **os.environ,
        # Where the stub finds the libpython of the environment, and with PATH the environment's packages.
        "LD_LIBRARY_PATH": ":".join([*libraries, os.environ.get("LD_LIBRARY_PATH", "")]).rstrip(":"),
        "PATH": f"{where / 'bin'}:{os.environ.get('PATH', '')}",
        "VIRTUAL_ENV": str(where),
    }
    variables.pop("PYTHONPATH", None)
    return backends, inside / "bin/tritonserver", variables


def _libpython_folder() -> Path:
    """Return where a Python that was built with a shared library has it: this one, of which the environment is too."""
    return Path(sysconfig.get_config_var("LIBDIR") or "/nowhere")


def _free_ports(count: int) -> list[int]:
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind((HOST, 0))
        return [each.getsockname()[1] for each in sockets]


def _end_with_parent() -> None:
    """In the new process: end when the one that started it dies without having stopped it."""
    _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
