"""One TensorRT engine: its inputs and outputs, and running it on given addresses.

Serves TensorRT 8.5 to 11 by probing for names. Where execution contexts can be made without memory of their own, those
of one engine share one piece of it: they never run at the same time.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from gcpose_trt.errors import GcposeError
from gcpose_trt.runtime.cuda import Device, DeviceMemory, Stream
from gcpose_trt.runtime.tensorrt_api import TensorInfo, TensorRT

Shape = tuple[int, ...]


class Engine:
    """An engine that was deserialised.

    Args:
        api: TensorRT.
        engine: its ICudaEngine.
        name: what to call it in messages, "pose.engine".
        device: the GPU.

    Attributes:
        tensors: inputs and outputs, by name.
    """

    def __init__(self, api: TensorRT, engine: Any, name: str, device: Device) -> None:
        self._api, self._engine, self._device = api, engine, device
        self.name = name
        self.tensors: dict[str, TensorInfo] = {info.name: info for info in api.io(engine)}
        self._shared: DeviceMemory | None = None
        self._make, self._bytes = self._choose_contexts()

    @property
    def profiles(self) -> int:
        """Number of optimisation profiles."""
        return int(self._engine.num_optimization_profiles)

    def profile_shape(self, name: str, profile: int) -> Shape:
        """Return the shape of an input that a profile was tuned for."""
        return tuple(int(side) for side in self._engine.get_tensor_profile_shape(name, profile)[1])

    def dtype(self, name: str) -> np.dtype[Any]:
        """Return the type of an input or output.

        Raises:
            GcposeError: a type that NumPy does not have.
        """
        try:
            return np.dtype(self.tensors[name].dtype)
        except TypeError as error:
            raise self._unfit(f"{name} is {self.tensors[name].dtype}") from error

    def check(self, inputs: set[str], outputs: set[str]) -> None:
        """Compare the names with those that the graph must have.

        Raises:
            GcposeError: others.
        """
        found = {name for name, info in self.tensors.items() if info.is_input}
        if found != inputs or not outputs <= set(self.tensors) - found:
            raise self._unfit(f"it takes {sorted(found)} and returns {sorted(set(self.tensors) - found)}")

    def context(self, profile: int, shapes: Mapping[str, Shape], stream: Stream) -> Context:
        """Return a context with its profile and input shapes set; what that enqueues goes to `stream`.

        Raises:
            GcposeError: TensorRT refuses, for lack of memory or because the shapes do not fit the profile.
        """
        seen = len(self._api.log.errors)
        try:
            context = self._make()
        except (RuntimeError, TypeError, MemoryError) as error:
            raise self._failed("make an execution context for", seen, str(error)) from error
        if context is None:
            raise self._failed("make an execution context for", seen)
        return Context(self, context, profile, shapes, stream)

    def _choose_contexts(self) -> tuple[Callable[[], Any], int]:
        """Return what makes a context, and how much memory it must then be given (0: it has its own)."""
        engine, module = self._engine, self._api.module
        size = int(getattr(engine, "device_memory_size_v2", 0) or getattr(engine, "device_memory_size", 0))
        ours = getattr(getattr(module, "ExecutionContextAllocationStrategy", None), "USER_MANAGED", None)
        if size and ours is not None:
            return (lambda: engine.create_execution_context(ours)), size
        if size and hasattr(engine, "create_execution_context_without_device_memory"):
            return engine.create_execution_context_without_device_memory, size
        return engine.create_execution_context, 0

    def share_memory(self, context: Any) -> None:
        """Give a context without memory the engine's; others of this engine have the same."""
        if not self._bytes:
            return
        if self._shared is None:
            self._shared = self._device.allocate(self._bytes)
        if hasattr(context, "set_device_memory"):
            context.set_device_memory(self._shared.address, self._bytes)
        else:
            context.device_memory = self._shared.address

    def bindings(self, profile: int) -> tuple[int, list[str]]:
        """Return the first index of a profile's bindings, and their names in order (TensorRT without named tensors)."""
        return profile * len(self.tensors), list(self.tensors)

    def errors_seen(self) -> int:
        """Return how many errors TensorRT has reported; for `failed`."""
        return len(self._api.log.errors)

    def _failed(self, what: str, seen: int, text: str = "") -> GcposeError:
        reason = " ".join((self._api.log.reason(seen) if self.errors_seen() > seen or not text else text).split())
        memory = "memory" in reason.lower()
        remedy = (
            "choose a smaller size or fewer people, or end other programs on the GPU" if memory else "build it again"
        )
        return GcposeError(f"TensorRT cannot {what} {self.name} ({reason}); {remedy}")

    def failed(self, seen: int, text: str = "") -> GcposeError:
        """Return the error of a run that failed after `seen` errors had been reported."""
        return self._failed("run", seen, text)

    def _unfit(self, what: str) -> GcposeError:
        return GcposeError(f"{self.name} is no engine of ours: {what}; build it again with: gcpose-trt build-engine")

    def close(self) -> None:
        """Drop the engine and the memory of its contexts, which are gone by now."""
        if self._shared is not None:
            self._shared.free()
            self._shared = None
        del self._engine, self._make


class Context:
    """An execution context of one profile and fixed shapes. One thread at a time.

    Args:
        engine: whose.
        context: TensorRT's IExecutionContext.
        profile: index of the optimisation profile.
        shapes: of every input.
        stream: where the change of profile is enqueued.
    """

    def __init__(self, engine: Engine, context: Any, profile: int, shapes: Mapping[str, Shape], stream: Stream) -> None:
        self._engine, self._context = engine, context
        self._named = hasattr(context, "execute_async_v3")
        self._first, self._order = engine.bindings(profile)
        seen = engine.errors_seen()
        engine.share_memory(context)
        # The first context of an engine has profile 0 already, and TensorRT 8 refuses one that another context has.
        if engine.profiles > 1 and not context.set_optimization_profile_async(profile, stream.address):
            raise engine.failed(seen)
        for name, shape in shapes.items():
            # Fixed shapes may be set too, if they are what the engine has.
            if self._named:
                done = context.set_input_shape(name, shape)
            else:
                done = context.set_binding_shape(self._first + self._order.index(name), shape)
            if not done:
                raise engine.failed(seen, f"{name} cannot have the shape {shape}")

    def execute(self, addresses: Mapping[str, int], stream: Stream) -> None:
        """Enqueue a run.

        Args:
            addresses: device memory of every input and output.
            stream: where to.

        Raises:
            GcposeError: TensorRT refuses.
        """
        engine, context = self._engine, self._context
        seen = engine.errors_seen()
        if self._named:
            done = all(context.set_tensor_address(name, address) for name, address in addresses.items())
            done = done and context.execute_async_v3(stream.address)
        else:
            bindings = [0] * (len(self._order) * engine.profiles)
            for name, address in addresses.items():
                bindings[self._first + self._order.index(name)] = address
            done = context.execute_async_v2(bindings, stream.address)
        if not done:
            raise engine.failed(seen)


def size_of(shape: Shape, dtype: np.dtype[Any]) -> int:
    """Return the bytes of a tensor."""
    return math.prod(shape) * dtype.itemsize
