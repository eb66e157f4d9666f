"""The CPU's kernels, for tests of the TensorRT backend."""

from tests.plugins.conftest import cpu_library

__all__ = ["cpu_library"]
