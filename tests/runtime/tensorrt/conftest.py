"""The stand-in driver and the CPU's kernels, for tests of the TensorRT backend."""

from tests.plugins.conftest import cpu_library
from tests.runtime.cuda.conftest import standin

__all__ = ["cpu_library", "standin"]
