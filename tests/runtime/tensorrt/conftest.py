"""The stand-in driver for tests of the TensorRT backend."""

from tests.runtime.cuda.conftest import standin

__all__ = ["standin"]
