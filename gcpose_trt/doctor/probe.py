"""The one door of the doctor to the machine, so that tests can put a recorded machine in its place."""

from __future__ import annotations

import contextlib
import functools
import glob
import importlib.util
import json
import os
import platform
import re
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path
from typing import Any

# The child looks where this process looks; "-c" alone would also look for modules in the working directory.
_CHILD = (
    "import sys; sys.path[:] = sys.argv[1].split('\\n'); "
    "from gcpose_trt.doctor.inspections import main; main(sys.argv[2:])"
)
_READ_LIMIT = 1 << 20


@dataclass(frozen=True)
class Output:
    """What a command printed.

    Attributes:
        code: its exit code; None if it did not run to its end.
        text: its standard output.
        errors: its standard error.
        problem: "" if it ran to its end, else "missing", "timeout" or what the system said.
    """

    code: int | None
    text: str = ""
    errors: str = ""
    problem: str = ""

    @property
    def ok(self) -> bool:
        """Whether it ran and ended with 0."""
        return self.code == 0

    @property
    def last_words(self) -> str:
        """The last line that it printed, errors first."""
        lines = (self.errors.strip() or self.text.strip()).splitlines()
        return lines[-1].strip()[:200] if lines else ""


@dataclass(frozen=True)
class Inspection:
    """What a function of `doctor.inspections` found in a Python process of its own.

    Attributes:
        facts: what it returned; empty if it failed.
        error: why it failed, one line; "" if it did not.
    """

    facts: dict[str, Any] = field(default_factory=dict)
    error: str = ""


@dataclass(frozen=True)
class Interpreter:
    """The Python that runs this.

    Attributes:
        version: "3.11.2".
        executable: path of the interpreter.
        environment: folder of the virtual environment; None outside of one.
        system_packages: whether it sees the packages of the system's Python.
        architecture: "x86_64" or "aarch64".
        kernel: release of the operating system's kernel.
        cpus: processors that this process may use.
    """

    version: str
    executable: str
    environment: str | None
    system_packages: bool
    architecture: str
    kernel: str
    cpus: int


class Probe:
    """The machine as it is. Every method returns a value for "not there" and raises nothing."""

    def __init__(self) -> None:
        self._inspections: dict[tuple[str, ...], Inspection] = {}
        self._locks: dict[tuple[str, ...], threading.Lock] = {}
        self._guard = threading.Lock()

    def read(self, path: str) -> str | None:
        """Return the text of a file, its end cut off after 1 MiB; None if it cannot be read."""
        try:
            with Path(path).open("rb") as stream:
                return stream.read(_READ_LIMIT).decode(errors="replace")
        except OSError:
            return None

    def exists(self, path: str) -> bool:
        """Tell whether there is a file or folder."""
        return Path(path).exists()

    def paths(self, pattern: str) -> list[str]:
        """Return the paths that match, sorted with numbers by value."""
        return sorted(
            glob.glob(pattern),  # noqa: PTH207 (the pattern is absolute)
            key=lambda path: [int(s) if s.isdigit() else s for s in re.split(r"(\d+)", path)],
        )

    def usable(self, path: str) -> bool:
        """Tell whether this user may read and write a file or folder."""
        return os.access(path, os.R_OK | os.W_OK)

    def which(self, command: str) -> str | None:
        """Return the path of a command."""
        return shutil.which(command)

    def env(self, name: str) -> str | None:
        """Return an environment variable."""
        return os.environ.get(name)

    def run(self, *command: str, timeout: float = 2.0) -> Output:
        """Run a command to its end, or for `timeout` seconds."""
        try:
            process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                env={**os.environ, "LC_ALL": "C"},
                start_new_session=True,
            )
        except FileNotFoundError:
            return Output(None, problem="missing")
        except OSError as error:
            return Output(None, problem=error.strerror or str(error))
        try:
            text, errors = process.communicate(timeout=timeout)
        except subprocess.TimeoutExpired:
            _give_up(process)
            return Output(None, problem="timeout")
        return Output(process.returncode, text.decode(errors="replace"), errors.decode(errors="replace"))

    def inspect(self, subject: str, *arguments: str, timeout: float = 20.0) -> Inspection:
        """Call a function of `doctor.inspections` in a fresh Python, once; a crash there harms nothing here.

        Args:
            subject: the function's name.
            arguments: given to it.
            timeout: seconds until it is given up.
        """
        key = (subject, *arguments)
        with self._guard:
            lock = self._locks.setdefault(key, threading.Lock())
        with lock:
            if key not in self._inspections:
                self._inspections[key] = self._inspect(key, timeout)
            return self._inspections[key]

    def _inspect(self, key: Sequence[str], timeout: float) -> Inspection:
        output = self.run(sys.executable, "-c", _CHILD, "\n".join(sys.path), *key, timeout=timeout)
        if output.problem == "timeout":
            return Inspection(error=f"no answer within {timeout:g} s")
        if output.code is None:
            return Inspection(error=f"{sys.executable}: {output.problem}")
        if output.code < 0:
            name = (
                signal.Signals(-output.code).name if -output.code in set(signal.Signals) else f"signal {-output.code}"
            )
            return Inspection(error=f"it crashed Python with {name}")
        # Libraries may print too; ours is the last line.
        try:
            answer = json.loads(output.text.strip().splitlines()[-1])
            return Inspection(answer["facts"], answer["error"])
        except (IndexError, ValueError, KeyError, TypeError):
            return Inspection(error=output.last_words or f"Python ended with code {output.code}")

    @functools.cached_property
    def _distributions(self) -> dict[str, str]:
        found: dict[str, str] = {}
        for distribution in metadata.distributions():
            name = distribution.metadata["Name"]
            if name:
                # The first one on the path is the one that is imported.
                found.setdefault(re.sub(r"[-_.]+", "-", name).lower(), distribution.version)
        return found

    def packages(self) -> dict[str, str]:
        """Return the version of every installed distribution, by its name in lower case with dashes."""
        return dict(self._distributions)

    def requirements(self) -> list[tuple[str, str]]:
        """Return (name, bounds) of the packages that gcpose-trt asks for, without its extras."""
        try:
            lines = metadata.requires("gcpose-trt") or []
        except metadata.PackageNotFoundError:  # run from a checkout that was never installed
            lines = ["numpy", "opencv-python-headless", "onnxruntime", "av", "tqdm"]
        found = []
        for line in lines:
            requirement, _, marker = line.partition(";")
            match = re.match(r"([\w.-]+)\s*(.*)", requirement.strip())
            if match and "extra" not in marker and _for_this_python(marker):
                found.append((match[1].lower(), match[2].strip("() ")))
        return found

    def module(self, name: str) -> str | None:
        """Return the file of a top-level module without importing it; None if there is none."""
        try:
            spec = importlib.util.find_spec(name)
        except (ImportError, ValueError, AttributeError):
            return None
        return None if spec is None else spec.origin  # None too for a bare folder of that name

    def space(self, path: str) -> int | None:
        """Return the bytes free for this user where a path is or would be."""
        folder = Path(path).absolute()
        while not folder.exists() and folder != folder.parent:
            folder = folder.parent
        try:
            return shutil.disk_usage(folder).free
        except OSError:
            return None

    def interpreter(self) -> Interpreter:
        """Return what runs this."""
        environment = sys.prefix if sys.prefix != sys.base_prefix else None
        settings = (self.read(f"{environment}/pyvenv.cfg") or "") if environment else ""
        return Interpreter(
            platform.python_version(),
            sys.executable,
            environment,
            environment is None or bool(re.search(r"include-system-site-packages\s*=\s*true", settings, re.IGNORECASE)),
            platform.machine(),
            platform.release(),
            len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1,
        )


def _give_up(process: subprocess.Popen[bytes]) -> None:
    """Kill a process and its children, and do not insist: what hangs inside a driver cannot be killed."""
    with contextlib.suppress(OSError):
        os.killpg(process.pid, signal.SIGKILL)
    for pipe in (process.stdout, process.stderr):
        if pipe is not None:
            pipe.close()
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(0.5)


def _for_this_python(marker: str) -> bool:
    """Whether a requirement with this marker is one for the Python that runs; our own markers are of this form only."""
    match = re.search(r"""python_version\s*(<|>=)\s*["'](\d+)\.(\d+)["']""", marker)
    if match is None:
        return True
    older = sys.version_info[:2] < (int(match[2]), int(match[3]))
    return older == (match[1] == "<")
