"""Stand-ins of TensorRT inside the test's own process."""

from __future__ import annotations

import types

from gcpose_trt.runtime.tensorrt_api import TensorRT
from tests.support.tensorrt_standin.surfaces import names


def stand_in(generation: str) -> TensorRT:
    """Return a stand-in of its own, whose registry and log nobody else uses."""
    module = types.ModuleType("tensorrt")
    vars(module).update(names(generation))
    return TensorRT(module)
