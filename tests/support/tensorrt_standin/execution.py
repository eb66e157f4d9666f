"""Contexts of the stand-ins' engines: the state that one holds before it runs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tests.support.tensorrt_standin.core import Lib

if TYPE_CHECKING:
    from tests.support.tensorrt_standin.engines import Engine


class Context:
    """IExecutionContext: profile, shapes and addresses."""

    def __init__(self, lib: Lib, engine: Engine) -> None:
        self.lib, self.engine_core = lib, engine
        self.active_optimization_profile = 0
        self.shapes: dict[str, tuple[int, ...]] = {}
        self.addresses: dict[str, int] = {}

    def set_optimization_profile_async(self, profile_index: int, stream_handle: int) -> bool:
        self.active_optimization_profile = profile_index
        return 0 <= profile_index < self.engine_core.num_optimization_profiles

    def set_input_shape(self, name: str, shape: Any) -> bool:
        low, _, high = self.engine_core.get_tensor_profile_shape(name, self.active_optimization_profile)
        sides = tuple(int(side) for side in shape)
        self.shapes[name] = sides
        return len(sides) == len(low) and all(a <= b <= c for a, b, c in zip(low, sides, high, strict=True))

    def set_tensor_address(self, name: str, memory: int) -> bool:
        self.addresses[name] = int(memory)
        return name in self.engine_core.tensors
