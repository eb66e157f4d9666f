"""Which names each generation's module has, from NVIDIA's documentation and release notes of that generation.

Only the part that this project may use; a name that is missing here and is used by mistake fails as it would there.
"""

from __future__ import annotations

from typing import Any

from tests.support.tensorrt_standin import building, core, engines
from tests.support.tensorrt_standin.enums import make_enum, numbered

VERSIONS = {"8.5": "8.5.2.2", "8.6": "8.6.1", "10.3": "10.3.0", "10.16": "10.16.0", "11.4": "11.4.1.12"}
ORDER = tuple(VERSIONS)

# (first generation that has it, first that has it no more or None)
_ALL: tuple[str, str | None] = ("8.5", None)
_TO_8: tuple[str, str | None] = ("8.5", "10.3")
_TO_10: tuple[str, str | None] = ("8.5", "11.4")
_FROM_86: tuple[str, str | None] = ("8.6", None)
_FROM_10: tuple[str, str | None] = ("10.3", None)
_LATE_10: tuple[str, str | None] = ("10.16", None)

ENUMS: dict[str, dict[str, tuple[str, str | None]]] = {
    "DataType": {
        **dict.fromkeys(("FLOAT", "HALF", "INT8", "INT32", "BOOL", "UINT8"), _ALL),
        "FP8": _FROM_86,
        **dict.fromkeys(("BF16", "INT64", "INT4"), _FROM_10),
        "FP4": _LATE_10,
    },
    "BuilderFlag": {
        **dict.fromkeys(("FP16", "INT8", "OBEY_PRECISION_CONSTRAINTS", "PREFER_PRECISION_CONSTRAINTS"), _TO_10),
        **dict.fromkeys(("DEBUG", "GPU_FALLBACK", "REFIT", "DISABLE_TIMING_CACHE", "TF32", "SPARSE_WEIGHTS"), _ALL),
        **dict.fromkeys(("SAFETY_SCOPE", "DIRECT_IO"), _ALL),
        **dict.fromkeys(("STRICT_TYPES", "ENABLE_TACTIC_HEURISTIC"), _TO_8),
        "REJECT_EMPTY_ALGORITHMS": _TO_10,
        **dict.fromkeys(("VERSION_COMPATIBLE", "EXCLUDE_LEAN_RUNTIME"), _FROM_86),
        "FP8": ("8.6", "11.4"),
        **dict.fromkeys(("BF16", "INT4"), ("10.3", "11.4")),
        **dict.fromkeys(("ERROR_ON_TIMING_CACHE_MISS", "DISABLE_COMPILATION_CACHE", "STRIP_PLAN"), _FROM_10),
        **dict.fromkeys(("REFIT_IDENTICAL", "WEIGHT_STREAMING", "REFIT_INDIVIDUAL", "STRICT_NANS"), _FROM_10),
        **dict.fromkeys(("MONITOR_MEMORY", "EDITABLE_TIMING_CACHE", "DISTRIBUTIVE_INDEPENDENCE"), _LATE_10),
    },
    "NetworkDefinitionCreationFlag": {"EXPLICIT_BATCH": _TO_10, "STRONGLY_TYPED": _FROM_10},
    "MemoryPoolType": {
        **dict.fromkeys(("WORKSPACE", "DLA_MANAGED_SRAM", "DLA_LOCAL_DRAM", "DLA_GLOBAL_DRAM"), _ALL),
        "TACTIC_DRAM": _FROM_86,
        "TACTIC_SHARED_MEMORY": _FROM_10,
    },
    "ProfilingVerbosity": dict.fromkeys(("LAYER_NAMES_ONLY", "NONE", "DETAILED"), _ALL),
    "TacticSource": {
        **dict.fromkeys(("CUBLAS", "CUBLAS_LT", "CUDNN"), _TO_10),
        **dict.fromkeys(("EDGE_MASK_CONVOLUTIONS", "JIT_CONVOLUTIONS"), _ALL),
    },
    "LayerInformationFormat": dict.fromkeys(("ONELINE", "JSON"), _ALL),
    "TensorIOMode": dict.fromkeys(("NONE", "INPUT", "OUTPUT"), _ALL),
    "TensorLocation": dict.fromkeys(("DEVICE", "HOST"), _ALL),
    "ExecutionContextAllocationStrategy": dict.fromkeys(("STATIC", "ON_PROFILE_CHANGE", "USER_MANAGED"), _FROM_10),
    "LayerType": {
        **dict.fromkeys(("CONVOLUTION", "DECONVOLUTION", "ACTIVATION", "ELEMENTWISE", "MATRIX_MULTIPLY"), _ALL),
        **dict.fromkeys(("CONSTANT", "SHAPE", "SOFTMAX", "TOPK", "SHUFFLE", "IDENTITY", "PLUGIN", "PLUGIN_V2"), _ALL),
        **dict.fromkeys(("QUANTIZE", "DEQUANTIZE", "ASSERTION", "CONDITION", "NON_ZERO", "FILL"), _ALL),
        "CAST": _FROM_86,
        "PLUGIN_V3": _FROM_10,
    },
    "Severity": dict.fromkeys(("INTERNAL_ERROR", "ERROR", "WARNING", "INFO", "VERBOSE"), _ALL),
}

CLASSES: dict[str, tuple[type, dict[str, tuple[str, str | None]]]] = {
    "Builder": (
        building.Builder,
        {
            **dict.fromkeys(("create_network", "create_builder_config", "create_optimization_profile"), _ALL),
            "build_serialized_network": _ALL,
            **dict.fromkeys(("platform_has_fast_fp16", "platform_has_fast_int8"), _TO_10),
        },
    ),
    "INetworkDefinition": (
        core.Network,
        dict.fromkeys(("num_inputs", "num_outputs", "num_layers", "get_input", "get_output", "get_layer"), _ALL),
    ),
    "ITensor": (core.Tensor, dict.fromkeys(("name", "dtype", "shape", "is_shape_tensor"), _ALL)),
    "ILayer": (
        core.Layer,
        {
            **dict.fromkeys(("name", "type", "num_inputs", "num_outputs", "get_input", "get_output"), _ALL),
            **dict.fromkeys(("precision", "set_output_type"), _TO_10),
        },
    ),
    "OnnxParser": (core.Parser, dict.fromkeys(("parse", "parse_from_file", "num_errors", "get_error"), _ALL)),
    "ParserError": (core.ParserError, dict.fromkeys(("desc", "node"), _ALL)),
    "IOptimizationProfile": (building.Profile, dict.fromkeys(("set_shape", "get_shape"), _ALL)),
    "ITimingCache": (building.TimingCache, dict.fromkeys(("serialize", "combine", "reset"), _ALL)),
    "IBuilderConfig": (
        building.Config,
        {
            **dict.fromkeys(("set_flag", "clear_flag", "get_flag", "flags", "profiling_verbosity"), _ALL),
            **dict.fromkeys(("set_memory_pool_limit", "get_memory_pool_limit", "avg_timing_iterations"), _ALL),
            **dict.fromkeys(("get_tactic_sources", "set_tactic_sources", "add_optimization_profile"), _ALL),
            **dict.fromkeys(("create_timing_cache", "set_timing_cache", "get_timing_cache"), _ALL),
            "num_optimization_profiles": _ALL,
            "max_workspace_size": _TO_8,
            **dict.fromkeys(("builder_optimization_level", "max_aux_streams"), _FROM_86),
            "progress_monitor": _FROM_10,
        },
    ),
    "Runtime": (engines.Runtime, {"deserialize_cuda_engine": _ALL}),
    "ICudaEngine": (
        engines.Engine,
        {
            **dict.fromkeys(("num_io_tensors", "get_tensor_name", "get_tensor_dtype", "get_tensor_shape"), _ALL),
            **dict.fromkeys(("get_tensor_mode", "get_tensor_profile_shape", "num_optimization_profiles"), _ALL),
            **dict.fromkeys(("create_engine_inspector", "create_execution_context", "serialize", "num_layers"), _ALL),
            "num_bindings": _TO_8,
            **dict.fromkeys(("create_execution_context_without_device_memory", "device_memory_size"), _TO_10),
            "device_memory_size_v2": _FROM_10,
        },
    ),
    "EngineInspector": (engines.Inspector, dict.fromkeys(("execution_context", "get_engine_information"), _ALL)),
    "IPluginRegistry": (
        core.Registry,
        {
            **dict.fromkeys(("error_recorder", "parent_search_enabled"), _ALL),
            "plugin_creator_list": _TO_10,
            "load_library": _FROM_86,
            "all_creators": _FROM_10,
        },
    ),
    "IPluginCreator": (core.Creator, dict.fromkeys(("name", "plugin_version", "plugin_namespace"), _ALL)),
    "IPluginCreatorInterface": (core.Creator, dict.fromkeys(("name", "plugin_version", "plugin_namespace"), _FROM_10)),
}
# Made by the user's code, with the library's generation as the hidden first argument; the others come from methods.
MAKEABLE = ("Builder", "OnnxParser", "Runtime")


def present(span: tuple[str, str | None], generation: str) -> bool:
    """Tell whether a generation lies in a span of generations."""
    first, end = span
    index = ORDER.index(generation)
    return index >= ORDER.index(first) and (end is None or index < ORDER.index(end))


def _delegate(name: str, attribute: Any) -> Any:
    if callable(attribute):

        def method(self: Any, *args: Any, **kwargs: Any) -> Any:
            return getattr(self._core, name)(*args, **kwargs)

        method.__name__ = name
        return method

    def write(self: Any, value: Any) -> None:
        setattr(self._core, name, value)

    return property(lambda self: getattr(self._core, name), write)


def _shown_class(name: str, implementation: type, members: list[str], lib: core.Lib) -> type:
    """Return a class with these members only; like pybind11's, its objects take no attributes of the user's."""

    def make(self: Any, *args: Any) -> None:
        if name not in MAKEABLE:
            raise TypeError(f"tensorrt.{name}: No constructor defined!")
        # Objects of TensorRT hand their core over, a logger of the user's is itself.
        self._core = implementation(lib, *(getattr(value, "_core", value) for value in args))

    def wrap(core_object: Any) -> Any:
        result = object.__new__(kind)
        result._core = core_object
        return result

    body = {member: _delegate(member, getattr(implementation, member, None)) for member in members}
    kind = type(name, (), {"__slots__": ("_core",), "__init__": make, **body})
    kind._wrap = staticmethod(wrap)  # type: ignore[attr-defined]
    return kind


def names(generation: str) -> dict[str, Any]:
    """Return the globals of a generation's module."""
    version = VERSIONS[generation]
    lib = core.Lib(generation, version)
    for name, members in ENUMS.items():
        chosen = [member for member, span in members.items() if present(span, generation)]
        if chosen:
            lib.types[name] = make_enum(name, numbered(*chosen))
    for name, (implementation, spans) in CLASSES.items():
        chosen = [member for member, span in spans.items() if present(span, generation)]
        if chosen:
            lib.types[name] = _shown_class(name, implementation, chosen, lib)
    from tests.support.tensorrt_standin.execution import Context

    members = [name for name in vars(Context) if not name.startswith("_")]
    members += [name for name in ("active_optimization_profile",) if name not in members]
    lib.types["IExecutionContext"] = _shown_class("IExecutionContext", Context, members, lib)
    shown = {name: kind for name, kind in lib.types.items() if name != "Severity"}
    shown["IHostMemory"] = engines.IHostMemory
    shown["ILogger"] = type("ILogger", (core.LoggerBase,), {"Severity": lib.types["Severity"]})
    if present(_FROM_10, generation):
        shown["IProgressMonitor"] = type("IProgressMonitor", (core.LoggerBase,), {})
    registry = lib.types["IPluginRegistry"]._wrap(lib.registry_core)
    lib.registry_core.native = _native_creators() if generation == "8.5" else None
    return {
        **shown,
        "__version__": version,
        "get_plugin_registry": lambda: registry,
        "init_libnvinfer_plugins": lambda logger, namespace: True,
        "STAND_IN": True,
    }


def _native_creators() -> Any:
    """8.5's registry also holds what a library registered through C; tests build the C half, see native.c."""
    import ctypes

    def creators() -> list[str]:
        try:
            library = ctypes.CDLL("libnvinfer.so.8")
        except OSError:
            return []
        library.standin_creator.restype = ctypes.c_char_p
        return [library.standin_creator(index).decode() for index in range(library.standin_creator_count())]

    return creators
