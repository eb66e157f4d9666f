"""The command `gcpose-trt demo` on the synthetic model: clips to give it, and what it wrote."""

from __future__ import annotations

import csv
import json
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tests.support.clips import make_clip

PATIENCE_S = 30.0
_INTERPRETER = [sys.executable, "-m", "gcpose_trt", "demo"]


def walker(index: int, height: int = 60, width: int = 80) -> NDArray[np.uint8]:
    """Return a dark picture in which a bright person walks to the right, a little unevenly."""
    image = np.zeros((height, width, 3), np.uint8)
    left = 4 + 3 * index + index % 2
    image[10 : height - 10, left : left + 20] = 230
    return image


def walking(path: Path, frames: int, **size: int) -> Path:
    """Write a clip of that, at 10 frames a second."""
    return make_clip(path, [walker(index, **size) for index in range(frames)])


def records(path: Path | str) -> list[dict[str, Any]]:
    """Return what a file of JSON lines holds; a line that is still being written is left out."""
    lines = Path(path).read_text().split("\n")[:-1]
    return [json.loads(line) for line in lines]


def rows(path: Path | str) -> list[dict[str, str]]:
    """Return what a table holds."""
    with Path(path).open(newline="") as stream:
        return list(csv.DictReader(stream))


def files(folder: Path) -> set[str]:
    """Return the names of all files in a folder, as seen from it."""
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


def until(condition: Callable[[], object]) -> None:
    """Wait for a condition that must come true."""
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.005)


class Running:
    """The command in a process of its own, for signals.

    Attributes:
        errors: the lines of stderr so far.
    """

    def __init__(self, arguments: Sequence[str], folder: Path) -> None:
        pipe = subprocess.PIPE
        self.process = subprocess.Popen([*_INTERPRETER, *arguments], cwd=folder, stdout=pipe, stderr=pipe, text=True)
        self.errors: list[str] = []
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def _read(self) -> None:
        assert self.process.stderr is not None
        for line in self.process.stderr:
            self.errors.append(line.rstrip("\n"))

    def line(self, part: str) -> str:
        """Wait for a line of stderr that has `part` in it, and return it."""
        until(lambda: self.process.poll() is not None or any(part in line for line in self.errors))
        return next(line for line in self.errors if part in line)

    def end(self, number: int | None = None) -> tuple[int, str]:
        """Send a signal, wait for the end, and return the exit code and what was printed."""
        if number is not None:
            self.process.send_signal(number)
        assert self.process.stdout is not None
        code = self.process.wait(PATIENCE_S)
        self._thread.join(PATIENCE_S)
        return code, self.process.stdout.read()

    def __enter__(self) -> Running:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        for stream in (self.process.stdout, self.process.stderr):
            assert stream is not None
            stream.close()
