"""What the stand-ins' builders do: keep flags, profiles and timings, and wrap the graph up as an "engine"."""

from __future__ import annotations

import json
import math
from typing import Any

from tests.support.tensorrt_standin.core import Layer, Lib, Network, Tensor, say
from tests.support.tensorrt_standin.engines import IHostMemory, pack

WORDS = {"FLOAT": "Float", "HALF": "Half", "INT8": "Int8", "INT32": "Int32", "INT64": "Int64", "UINT8": "UInt8"}


class Profile:
    """IOptimizationProfile."""

    def __init__(self) -> None:
        self.shapes: dict[str, tuple[tuple[int, ...], ...]] = {}

    def set_shape(self, input: str, min: Any, opt: Any, max: Any) -> None:
        self.shapes[input] = tuple(tuple(int(side) for side in shape) for shape in (min, opt, max))

    def get_shape(self, input: str) -> list[tuple[int, ...]]:
        return list(self.shapes[input])


class TimingCache:
    """ITimingCache: entries of text, for one TensorRT."""

    def __init__(self, lib: Lib, entries: set[str]) -> None:
        self.lib, self.entries = lib, entries

    def serialize(self) -> bytes:
        return json.dumps({"version": self.lib.version, "entries": sorted(self.entries)}).encode()

    def combine(self, input_cache: Any, ignore_mismatch: bool) -> bool:
        self.entries |= input_cache._core.entries
        return True

    def reset(self) -> bool:
        self.entries.clear()
        return True


class Config:
    """IBuilderConfig."""

    def __init__(self, lib: Lib) -> None:
        self.lib = lib
        self.flags = 0 if not lib.has("BuilderFlag", "TF32") else 1 << int(lib.enum("BuilderFlag", "TF32"))
        self.profiles: list[Profile] = []
        self.pools: dict[Any, int] = {}
        self.sources = sum(1 << member.value for member in lib.types["TacticSource"].__members__.values())
        self.cache: TimingCache | None = None
        self.profiling_verbosity = lib.enum("ProfilingVerbosity", "LAYER_NAMES_ONLY")
        self.avg_timing_iterations = 1
        self.builder_optimization_level = 3
        self.max_aux_streams = -1
        self.max_workspace_size = 0
        self.progress_monitor: Any = None

    num_optimization_profiles = property(lambda self: len(self.profiles))

    def set_flag(self, flag: Any) -> None:
        self.flags |= 1 << int(flag)

    def clear_flag(self, flag: Any) -> None:
        self.flags &= ~(1 << int(flag))

    def get_flag(self, flag: Any) -> bool:
        return bool(self.flags >> int(flag) & 1)

    def on(self, name: str) -> bool:
        return self.lib.has("BuilderFlag", name) and self.get_flag(self.lib.enum("BuilderFlag", name))

    def set_memory_pool_limit(self, pool: Any, pool_size: int) -> None:
        self.pools[pool] = pool_size

    def get_memory_pool_limit(self, pool: Any) -> int:
        return self.pools.get(pool, 1 << 33)

    def get_tactic_sources(self) -> int:
        return self.sources

    def set_tactic_sources(self, tactic_sources: int) -> bool:
        self.sources = tactic_sources
        return True

    def add_optimization_profile(self, profile: Any) -> int:
        self.profiles.append(profile._core)
        return len(self.profiles) - 1

    def create_timing_cache(self, serialized_timing_cache: bytes) -> Any:
        if not serialized_timing_cache:
            return self.lib.show("ITimingCache", TimingCache(self.lib, set()))
        try:
            content = json.loads(serialized_timing_cache)
        except ValueError:
            return None
        if content["version"] != self.lib.version:
            return None
        return self.lib.show("ITimingCache", TimingCache(self.lib, set(content["entries"])))

    def set_timing_cache(self, cache: Any, ignore_mismatch: bool) -> bool:
        self.cache = cache._core
        return True

    def get_timing_cache(self) -> Any:
        return None if self.cache is None else self.lib.show("ITimingCache", self.cache)


class Builder:
    """Builder."""

    def __init__(self, lib: Lib, logger: Any) -> None:
        if not getattr(logger, "_made", False):
            raise TypeError("tensorrt.ILogger.__init__() must be called when overriding __init__")
        self.lib, self.logger = lib, logger

    platform_has_fast_fp16 = True
    platform_has_fast_int8 = True

    def create_network(self, flags: int = 0) -> Any:
        return self.lib.show("INetworkDefinition", Network(self.lib, flags))

    def create_builder_config(self) -> Any:
        return self.lib.show("IBuilderConfig", Config(self.lib))

    def create_optimization_profile(self) -> Any:
        return self.lib.show("IOptimizationProfile", Profile())

    def build_serialized_network(self, network: Any, config: Any) -> Any:
        net, conf = network._core, config._core
        problem = self._problem(net, conf)
        if problem:
            say(self.logger, self.lib, "ERROR", problem)
            return None
        self._report(net, conf)
        if conf.cache is not None:
            conf.cache.entries |= {f"{layer.type}:{len(layer.inputs)}" for layer in net.layers}
        say(self.logger, self.lib, "INFO", "stand-in: nothing was optimised")
        return IHostMemory(serialise(self.lib, net, conf))

    def _problem(self, net: Network, conf: Config) -> str | None:
        dynamic = [tensor for tensor in net.inputs if -1 in tensor.shape]
        if dynamic and not conf.profiles:
            return "Network has dynamic or shape inputs, but no optimization profile has been defined."
        for profile in conf.profiles:
            for tensor in dynamic:
                low, best, high = profile.shapes.get(tensor.name, ((), (), ()))
                fits = len(low) == len(tensor.shape) and all(
                    a <= b <= c for a, b, c in zip(low, best, high, strict=True)
                )
                if not fits or any(a not in (-1, b) for a, b in zip(tensor.shape, best, strict=True)):
                    return f"{tensor.name}: optimization profile is missing values for its dynamic dimensions"
        if net.flag("STRONGLY_TYPED") and (conf.on("FP16") or conf.on("INT8")):
            return "Network is strongly typed, but a flag of reduced precision is set"
        return None

    def _report(self, net: Network, conf: Config) -> None:
        monitor = conf.progress_monitor
        if monitor is None:
            return
        monitor.phase_start("Building Engine", None, 2)
        monitor.phase_start("Tactics", "Building Engine", len(net.layers))
        for index in range(len(net.layers)):
            monitor.step_complete("Tactics", index)
        monitor.phase_finish("Tactics")
        for index in range(2):
            monitor.step_complete("Building Engine", index)
        monitor.phase_finish("Building Engine")


def computed_type(layer: Layer, strong: bool, conf: Config) -> str:
    """The type that a builder would run a layer in: the graph's if strongly typed, else what flags and pins allow."""
    kind = next((tensor.kind for tensor in layer.outputs), "FLOAT")
    if strong or kind not in ("FLOAT", "HALF"):
        return kind
    held = conf.on("PREFER_PRECISION_CONSTRAINTS") or conf.on("OBEY_PRECISION_CONSTRAINTS")
    if held and layer.set_precision:
        return layer.set_precision
    return "HALF" if conf.on("FP16") else "FLOAT"


def serialise(lib: Lib, net: Network, conf: Config) -> bytes:
    """Return an "engine": a header with layers and tensors, then the ONNX model."""
    assert net.model is not None
    strong = net.flag("STRONGLY_TYPED")
    weights = {item.name: (math.prod(item.dims), item.data_type) for item in net.model.graph.initializer}
    header = {
        "version": lib.version,
        "detailed": conf.profiling_verbosity == lib.enum("ProfilingVerbosity", "DETAILED"),
        "profiles": [profile.shapes for profile in conf.profiles] or [{}],
        "io": [
            {"name": tensor.name, "kind": tensor.kind, "shape": tensor.shape, "input": tensor in net.inputs}
            for tensor in [*net.inputs, *net.outputs]
        ],
        "layers": [describe(layer, computed_type(layer, strong, conf), weights) for layer in net.layers],
        "workspace": list(conf.pools.values()),
    }
    return pack(header, net.model.SerializeToString())


def describe(layer: Layer, kind: str, weights: dict[str, tuple[int, int]]) -> dict[str, Any]:
    """Return a layer as the inspector's JSON has it."""

    def value(tensor: Tensor, word: str) -> dict[str, Any]:
        return {"Name": tensor.name, "Dimensions": list(tensor.shape), "Format/Datatype": word}

    word = WORDS.get(kind, "Bool")
    floats = ("FLOAT", "HALF")
    held = [weights[tensor.name] for tensor in layer.inputs if tensor.name in weights and len(tensor.shape) > 1]
    count = max((number for number, _ in held), default=0)
    # In an engine, a layer that computes in half reads half: reformatting is a layer of its own.
    return {
        "Name": layer.name,
        "LayerType": layer.type.name,
        "Inputs": [
            value(item, word if item.kind in floats and layer.type.name != "CAST" else WORDS.get(item.kind, "Bool"))
            for item in layer.inputs
            if item.name not in weights
        ],
        "Outputs": [
            value(item, word if item.kind in floats else WORDS.get(item.kind, "Bool")) for item in layer.outputs
        ],
        **({"Weights": {"Type": word, "Count": count}} if count and kind in floats else {}),
    }
