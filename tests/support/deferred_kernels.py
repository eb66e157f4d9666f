"""Our kernels, built for the CPU, as work in a stream of the stand-in driver.

By itself the CPU build runs at the call. On a GPU a kernel runs when its stream gets there; `defer` makes it so, and a
kernel that was launched before its input was waited for reads poison.
"""

from __future__ import annotations

import collections
import ctypes
from typing import Any

from gcpose_trt.plugins.kernels import Kernels

_CALLBACK = ctypes.CFUNCTYPE(None, ctypes.c_void_p)
_recent: collections.deque[Any] = collections.deque(maxlen=256)  # callbacks live until they were called


def defer() -> None:
    """Let all kernels of this process be launched that way, for good; on stream 0 they still run at the call."""
    launch = Kernels._launch
    driver = ctypes.CDLL("libcuda.so.1")

    def later(self: Kernels, name: str, params: Any, stream: int) -> None:
        if stream == 0:
            return launch(self, name, params, 0)
        callback = _CALLBACK(lambda _: launch(self, name, params, 0))
        _recent.append(callback)
        code = driver.cuLaunchHostFunc(ctypes.c_void_p(stream), callback, None)
        assert code == 0, code
        return None

    Kernels._launch = later  # type: ignore[method-assign]
