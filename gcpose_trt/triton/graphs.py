"""One half of a network with ONNX Runtime, for servers that have only the Python backend."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray

from gcpose_trt.runtime.backends.onnxruntime_backend import open_session, run_session


class Graph:
    """An ONNX file that is ready to run.

    Args:
        path: the file.
        threads: of one call; None for one a physical core.

    Raises:
        GcposeError: it cannot be loaded.
    """

    def __init__(self, path: Path, threads: int | None = None) -> None:
        self._session = open_session(path, threads)
        self.inputs = [value.name for value in self._session.get_inputs()]
        self.outputs = [value.name for value in self._session.get_outputs()]

    def run(self, inputs: Mapping[str, NDArray[Any]], outputs: Sequence[str] | None = None) -> dict[str, NDArray[Any]]:
        """Return the wanted outputs by name, all if None.

        Raises:
            GcposeError: ONNX Runtime refuses, or has no memory.
        """
        names = list(self.outputs if outputs is None else outputs)
        feeds = {name: ort.OrtValue.ortvalue_from_numpy(np.ascontiguousarray(inputs[name])) for name in self.inputs}
        return {
            name: value.numpy() for name, value in zip(names, run_session(self._session, names, feeds), strict=True)
        }


def threads_of(instances: int) -> int | None:
    """Return the threads of each of several instances on this machine, so that together they do not exceed its cores.

    Returns:
        None, ONNX Runtime's own choice, for a single one.
    """
    if instances < 2:
        return None
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, cores // instances)
