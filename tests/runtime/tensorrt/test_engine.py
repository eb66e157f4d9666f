"""How an engine is called: by named tensors, or by bindings where TensorRT has no `execute_async_v3`."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from gcpose_trt.errors import GcposeError
from gcpose_trt.runtime.backends.tensorrt.engine import Engine
from gcpose_trt.runtime.tensorrt_api import Log, TensorInfo

NAMES = ("p2", "boxes", "batch_index", "keypoints")
ADDRESSES = {"keypoints": 4096, "p2": 1024, "batch_index": 3072, "boxes": 2048}
SHAPES = {"p2": (1, 8, 4, 4), "boxes": (2, 4), "batch_index": (2,)}
STREAM: Any = SimpleNamespace(address=77)


class Recorder:
    """An execution context that writes down what is called, and answers as told."""

    def __init__(self, *names: str, refuse: str = "") -> None:
        self.calls: list[tuple[Any, ...]] = []
        for name in names:
            setattr(self, name, self._method(name, name != refuse))

    def _method(self, name: str, answer: bool) -> Any:
        def method(*arguments: Any) -> bool:
            self.calls.append((name, *arguments))
            return answer

        return method


def engine(context: Any, log: Log | None = None, **fields: Any) -> Engine:
    tensors = [TensorInfo(name, "float32", (-1,), name != "keypoints") for name in NAMES]
    native = SimpleNamespace(num_optimization_profiles=3, create_execution_context=lambda *_: context, **fields)
    api: Any = SimpleNamespace(module=SimpleNamespace(), log=log or Log(), io=lambda _: tensors)
    return Engine(api, native, "pose.engine", SimpleNamespace(allocate=Memory))  # type: ignore[arg-type]


class Memory:
    def __init__(self, size: int) -> None:
        self.address, self.size = 256, size

    def free(self) -> None:
        self.address = 0


def test_named_tensors() -> None:
    context = Recorder("set_optimization_profile_async", "set_input_shape", "set_tensor_address", "execute_async_v3")
    engine(context).context(1, SHAPES, STREAM).execute(ADDRESSES, STREAM)
    assert context.calls == [
        ("set_optimization_profile_async", 1, 77),
        *(("set_input_shape", name, shape) for name, shape in SHAPES.items()),
        *(("set_tensor_address", name, address) for name, address in ADDRESSES.items()),
        ("execute_async_v3", 77),
    ]


def test_bindings_of_the_profile() -> None:
    context = Recorder("set_optimization_profile_async", "set_binding_shape", "execute_async_v2")
    engine(context).context(1, SHAPES, STREAM).execute(ADDRESSES, STREAM)
    assert context.calls == [
        ("set_optimization_profile_async", 1, 77),
        *(("set_binding_shape", 4 + index, SHAPES[name]) for index, name in enumerate(NAMES[:3])),
        ("execute_async_v2", [0] * 4 + [1024, 2048, 3072, 4096] + [0] * 4, 77),
    ]


@pytest.mark.parametrize("refuse", ["set_optimization_profile_async", "set_input_shape", "execute_async_v3"])
def test_refusals_are_one_line(refuse: str) -> None:
    names = ("set_optimization_profile_async", "set_input_shape", "set_tensor_address", "execute_async_v3")
    with pytest.raises(GcposeError, match=r"TensorRT cannot run pose.engine \(.*\); build it again"):
        engine(Recorder(*names, refuse=refuse)).context(0, SHAPES, STREAM).execute(ADDRESSES, STREAM)


def test_no_memory_for_a_context() -> None:
    log = Log()

    def fails(*_: Any) -> None:
        log.add("error", "Requested amount of GPU memory\ncould not be allocated")

    opened = engine(None, log)
    opened._make = fails
    with pytest.raises(
        GcposeError, match=r"cannot make .* pose.engine .*choose a smaller size or fewer people"
    ) as caught:
        opened.context(0, SHAPES, STREAM)
    assert "\n" not in str(caught.value)


class Managed(Recorder):
    device_memory = 0

    def __init__(self) -> None:
        super().__init__("set_optimization_profile_async", "set_input_shape", "execute_async_v3")


def test_contexts_share_memory_where_they_can() -> None:
    made: list[Managed] = []

    def make() -> Managed:
        made.append(Managed())
        return made[-1]

    fields = {"device_memory_size": 1000, "create_execution_context_without_device_memory": make}
    opened = engine(None, **fields)
    for profile in (0, 1):
        opened.context(profile, SHAPES, STREAM)
    assert [context.device_memory for context in made] == [256, 256]


def test_contexts_share_memory_by_strategy() -> None:
    context = Recorder("set_optimization_profile_async", "set_input_shape", "execute_async_v3", "set_device_memory")
    tensors = [TensorInfo(name, "float32", (-1,), name != "keypoints") for name in NAMES]
    asked: list[Any] = []

    def create(strategy: Any) -> Any:
        asked.append(strategy)
        return context

    strategies = SimpleNamespace(USER_MANAGED="ours")
    native = SimpleNamespace(
        num_optimization_profiles=3, create_execution_context=create, device_memory_size_v2=1000, device_memory_size=5
    )
    module = SimpleNamespace(ExecutionContextAllocationStrategy=strategies)
    api: Any = SimpleNamespace(module=module, log=Log(), io=lambda _: tensors)
    device: Any = SimpleNamespace(allocate=Memory)
    Engine(api, native, "pose.engine", device).context(2, SHAPES, STREAM)
    assert asked == ["ours"]
    assert context.calls[0] == ("set_device_memory", 256, 1000)
