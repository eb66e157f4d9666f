"""The one door to CUDA: `open_device` gives a GPU's primary context with memory, streams, events and graphs.

Two bindings of the driver do the work, whichever is installed: cuda-python (the package cuda-bindings) or pycuda.
GCPOSE_CUDA=cuda-python or GCPOSE_CUDA=pycuda chooses. Importing this package imports neither.
"""

from __future__ import annotations

import os
from importlib import import_module

from gcpose_trt.errors import GcposeError
from gcpose_trt.runtime.cuda.device import Device, DeviceMemory, Event, Graph, Lot, PinnedMemory, Stream
from gcpose_trt.runtime.cuda.errors import CudaError, no_binding
from gcpose_trt.runtime.cuda.protocol import DeviceInfo, Driver

__all__ = [
    "BINDINGS",
    "CudaError",
    "Device",
    "DeviceInfo",
    "DeviceMemory",
    "Driver",
    "Event",
    "Graph",
    "Lot",
    "PinnedMemory",
    "Stream",
    "load_driver",
    "open_device",
]

CHOICE = "GCPOSE_CUDA"
BINDINGS = {"cuda-python": ("cuda_python", "CudaPython"), "pycuda": ("pycuda_driver", "PyCuda")}


def load_driver(binding: str | None = None) -> Driver:
    """Return a binding of the CUDA driver, initialised.

    Args:
        binding: "cuda-python" or "pycuda"; None takes the environment's GCPOSE_CUDA, else the first that imports.

    Raises:
        GcposeError: none is installed, no such binding, no NVIDIA driver, or one that does not start.
    """
    wanted = binding or os.environ.get(CHOICE) or None
    if wanted is not None and wanted not in BINDINGS:
        raise GcposeError(f"{CHOICE} is {wanted!r}; choose one of {', '.join(BINDINGS)}, or leave it unset")
    reason = ""
    for name in [wanted] if wanted else BINDINGS:
        module, kind = BINDINGS[name]
        try:
            found = getattr(import_module(f"gcpose_trt.runtime.cuda.{module}"), kind)
        except ImportError as error:
            reason = str(error)
            continue
        driver: Driver = found()
        return driver
    raise no_binding(reason)


def open_device(index: int = 0, binding: str | None = None) -> Device:
    """Return a GPU, its primary context retained; close it.

    Args:
        index: the GPU's number among those that CUDA shows.
        binding: see `load_driver`.

    Raises:
        GcposeError: see `load_driver`; or there is no such GPU.
    """
    return Device(load_driver(binding), index)
