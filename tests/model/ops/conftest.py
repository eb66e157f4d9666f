"""The kernels built for the CPU, which the plugins' tests build once."""

from tests.plugins.conftest import cpu_kernels, cpu_library

__all__ = ["cpu_kernels", "cpu_library"]
