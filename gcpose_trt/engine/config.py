"""The builder's settings, each set only where this TensorRT has it."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from gcpose_trt.runtime.tensorrt_api import TensorRT

MIB = 1 << 20
LOW_MEMORY_WORKSPACE = 256
# Tactic sources that bring libraries of their own, each with hundreds of MiB of kernels; "CUBLAS" needs a handle too.
_LARGE_SOURCES = ("CUBLAS", "CUBLAS_LT", "CUDNN")


@dataclass(frozen=True)
class Settings:
    """How to build.

    Attributes:
        precision: "fp32", "fp16" or "int8"; the graph carries it, older builders also need to be told.
        workspace: MiB of scratch memory of a layer, None for TensorRT's default.
        low_memory: see `BuildRequest`.
        reproducible: see `BuildRequest`.
        timing_cache: file, or None for no cache.
        gpu_present: False for a build for GPUs that are not in this machine (TensorRT-RTX).
    """

    precision: str
    workspace: int | None
    low_memory: bool
    reproducible: bool
    timing_cache: str | None
    gpu_present: bool = True

    def to_dict(self) -> dict[str, Any]:
        """Return values that JSON takes."""
        return asdict(self)


def make_config(trt: TensorRT, builder: Any, settings: Settings, half: bool) -> tuple[Any, dict[str, Any]]:
    """Return an IBuilderConfig and what was set in it, for the record.

    Args:
        trt: see `TensorRT`.
        builder: Builder.
        settings: see `Settings`.
        half: whether the graph computes in FP16 anywhere; builders without strong typing must be allowed to.
    """
    config = builder.create_builder_config()
    done: dict[str, Any] = {}
    _set_workspace(trt, config, settings, done)
    _set_types(trt, config, settings.precision, half, done)
    # Tells the inspector types and shapes of every layer; names and parameters only, the kernels are the same.
    config.profiling_verbosity = trt.module.ProfilingVerbosity.DETAILED
    if settings.low_memory or settings.reproducible:
        _drop_sources(trt, config, done)
    if settings.reproducible:
        _steady(trt, config, done)
    if not settings.gpu_present and hasattr(config, "set_compute_capability"):
        _set_capabilities(trt, config, done)
    return config, done


def _set_workspace(trt: TensorRT, config: Any, settings: Settings, done: dict[str, Any]) -> None:
    size = settings.workspace
    if size is None and settings.low_memory:
        size = LOW_MEMORY_WORKSPACE
    if size is not None:
        config.set_memory_pool_limit(trt.module.MemoryPoolType.WORKSPACE, size * MIB)
        done["workspace_mib"] = size


def _set_types(trt: TensorRT, config: Any, precision: str, half: bool, done: dict[str, Any]) -> None:
    flags = trt.module.BuilderFlag
    # TensorFloat-32 keeps 10 bits of the mantissa. It is on by default; float32 here means float32, also in the islands
    # of an FP16 graph, which are there because half is too coarse.
    if hasattr(flags, "TF32"):
        config.clear_flag(flags.TF32)
    if trt.strongly_typed_flag is not None:
        done["typing"] = "strong"
        return
    done["typing"] = "weak"
    # Around the QuantizeLinear nodes an INT8 graph is FP32 or FP16: what it is must decide, not what is faster.
    wanted = [name for name, on in (("FP16", half), ("INT8", precision == "int8")) if on]
    for name in wanted:
        config.set_flag(trt.weakly_typed_flags[name])
    if wanted:
        # Prefer: a layer without a kernel in its type gets another; the inspection afterwards shows whether many did.
        for name in ("PREFER_PRECISION_CONSTRAINTS", "OBEY_PRECISION_CONSTRAINTS", "STRICT_TYPES"):
            if hasattr(flags, name):
                config.set_flag(getattr(flags, name))
                done["constraints"] = name
                break


def _drop_sources(trt: TensorRT, config: Any, done: dict[str, Any]) -> None:
    sources = trt.module.TacticSource
    mask = config.get_tactic_sources()
    dropped = [name for name in _LARGE_SOURCES if hasattr(sources, name) and mask >> int(getattr(sources, name)) & 1]
    for name in dropped:
        mask &= ~(1 << int(getattr(sources, name)))
    if dropped and config.set_tactic_sources(mask):
        done["without_tactic_sources"] = dropped


def _steady(trt: TensorRT, config: Any, done: dict[str, Any]) -> None:
    """Narrow what makes two builds differ: TensorRT picks kernels by timing them, which no flag turns off."""
    steps = ["timing cache kept beside the engines"]
    if hasattr(config, "avg_timing_iterations"):
        config.avg_timing_iterations = 8
        steps.append("kernels timed 8 times")
    if hasattr(config, "max_aux_streams"):
        config.max_aux_streams = 0
        steps.append("no auxiliary streams")
    if hasattr(trt.module.BuilderFlag, "EDITABLE_TIMING_CACHE"):
        config.set_flag(trt.module.BuilderFlag.EDITABLE_TIMING_CACHE)
        steps.append("editable timing cache")
    done["reproducible"] = steps


def _set_capabilities(trt: TensorRT, config: Any, done: dict[str, Any]) -> None:
    """Target every GPU that TensorRT-RTX knows from Ampere on, since there is none here to ask.

    They share one engine. Turing wants one of its own, six times as large (measured), and takes no FP32 products.
    """
    offered = trt.module.ComputeCapability.__members__
    chosen = {name: member for name, member in offered.items() if name.startswith("SM") and name != "SM75"}
    config.num_compute_capabilities = len(chosen)
    for index, member in enumerate(chosen.values()):
        config.set_compute_capability(member, index)
    done["compute_capabilities"] = sorted(name[2:-1] + "." + name[-1] for name in chosen)
