"""From an ONNX file to a serialised engine, through one TensorRT."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import onnx
from onnx import TensorProto

from gcpose_trt.engine import timing_cache, weak_typing
from gcpose_trt.engine.config import Settings, make_config
from gcpose_trt.engine.inspection import Layer, from_engine, from_text
from gcpose_trt.errors import GcposeError
from gcpose_trt.runtime.tensorrt_api import TensorRT

Emit = Callable[..., None]
DOMAIN = "gcpose"  # of our own operators


@dataclass(frozen=True)
class Built:
    """One engine.

    Attributes:
        plan: its bytes, a `bytes` or TensorRT's own buffer.
        layers: what the inspector says of it.
        io: inputs and outputs as {"name", "dtype", "shape", "is_input"}.
        options: what was set for the build.
        notes: lines for the report.
    """

    plan: Any
    layers: list[Layer]
    io: list[dict[str, Any]]
    options: dict[str, Any]
    notes: list[str]


def build(trt: TensorRT, path: Path, buckets: tuple[int, ...], settings: Settings, emit: Emit) -> Built:
    """Build the engine of one ONNX file.

    Args:
        trt: see `TensorRT`; its plugins are loaded.
        path: the file; all its dimensions are fixed but for the number of people.
        buckets: numbers of people, one optimisation profile each; used where a dimension is not fixed.
        settings: see `Settings`.
        emit: see `gcpose_trt.engine.worker`.

    Raises:
        GcposeError: TensorRT cannot parse or build it.
    """
    notes: list[str] = []
    seen = len(trt.log.errors)
    builder = _start(trt, seen)
    network = _network(trt, builder)
    parser = trt.module.OnnxParser(network, trt.logger)
    if not parser.parse_from_file(str(path)):
        raise GcposeError(_parse_error(trt, parser, path))
    model = onnx.load(str(path))
    plugins = _check_plugins(trt, network, model)
    types = weak_typing.wanted_types(path, model)
    del model
    half = TensorProto.FLOAT16 in types.values()
    config, options = make_config(trt, builder, settings, half)
    options["plugins"] = plugins
    if trt.strongly_typed_flag is None and half:
        options["pinned_layers"] = weak_typing.pin(trt, network, types)
    _add_profiles(builder, network, config, buckets)
    cache = None if settings.timing_cache is None else Path(settings.timing_cache)
    note = timing_cache.attach(trt, config, cache)
    # Kept in a variable: the config does not keep its monitor alive.
    monitor = _monitor(trt, emit)
    if monitor is not None:
        config.progress_monitor = monitor
    with _compiled_layers(trt) as compiled:
        plan = builder.build_serialized_network(network, config)
    if plan is None:
        raise GcposeError(_build_error(trt, seen))
    notes += [line for line in (note, _save_cache(trt, config, cache, settings)) if line]
    io = _network_io(trt, network)
    if settings.gpu_present:
        engine = trt.deserialize(plan, f"the engine of {path.name} that it has just built")
        layers = from_engine(trt, engine)
    else:
        layers = from_text(compiled[-1], config.num_optimization_profiles) if compiled else []
    return Built(plan, layers, io, options, notes)


def _start(trt: TensorRT, seen: int) -> Any:
    try:
        builder = trt.module.Builder(trt.logger)
    except (RuntimeError, TypeError) as error:  # pybind11 gives TypeError where the factory returns null
        raise GcposeError(
            f"{trt.name} cannot start ({trt.log.reason(seen)}); check the GPU and its driver with: gcpose-trt doctor"
        ) from error
    if builder is None:
        raise GcposeError(f"{trt.name} cannot start ({trt.log.reason(seen)}); run: gcpose-trt doctor")
    return builder


def _network(trt: TensorRT, builder: Any) -> Any:
    if trt.strongly_typed_flag is not None:
        return builder.create_network(trt.strongly_typed_flag)
    return builder.create_network(trt.explicit_batch_flag or 0)


def _parse_error(trt: TensorRT, parser: Any, path: Path) -> str:
    if parser.num_errors == 0:
        return f"{trt.name} cannot read {path.name} ({trt.log.reason()}); run again with --verbose"
    error = parser.get_error(0)
    text = " ".join(str(error.desc()).split())[:300]
    return (
        f"{trt.name} {trt.version} cannot take node {error.node()} of {path.name} ({text}); "
        "try --gcm native or --roi-align native, or run again with --verbose"
    )


def _check_plugins(trt: TensorRT, network: Any, model: onnx.ModelProto) -> int:
    """Return the number of plugin layers, one for each of our nodes: some parsers would rather take a node's body."""
    types = trt.module.LayerType
    kinds = {getattr(types, name) for name in ("PLUGIN", "PLUGIN_V2", "PLUGIN_V3") if hasattr(types, name)}
    found = sum(network.get_layer(index).type in kinds for index in range(network.num_layers))
    wanted = 0 if model.functions else sum(node.domain == DOMAIN for node in model.graph.node)
    if found < wanted:
        raise GcposeError(
            f"{trt.name} {trt.version} made {found} plugin layers of {wanted} nodes; check with: gcpose-trt doctor"
        )
    return found


def _build_error(trt: TensorRT, seen: int) -> str:
    reason = trt.log.reason(seen)
    everything = " ".join(trt.log.errors[seen:]).lower()
    if "out of memory" in everything or "outofmemory" in everything or "memory exhausted" in everything:
        return f"{trt.name} ran out of GPU memory ({reason}); close other programs, or build with --low-memory"
    return f"{trt.name} cannot build the engine ({reason}); run again with --verbose, or try --workspace 1024"


def _add_profiles(builder: Any, network: Any, config: Any, buckets: tuple[int, ...]) -> None:
    inputs = [network.get_input(index) for index in range(network.num_inputs)]
    if all(side >= 0 for tensor in inputs for side in tensor.shape):
        return  # everything is fixed: no profile wanted
    for bucket in buckets:
        profile = builder.create_optimization_profile()
        for tensor in inputs:
            shape = tuple(bucket if side < 0 else int(side) for side in tensor.shape)
            if any(side < 0 for side in tensor.shape):
                profile.set_shape(tensor.name, min=shape, opt=shape, max=shape)
        if config.add_optimization_profile(profile) < 0:
            raise GcposeError(f"TensorRT refuses the profile for {bucket} people; run again with --verbose")


def _save_cache(trt: TensorRT, config: Any, cache: Path | None, settings: Settings) -> str | None:
    if cache is None or trt.target == "tensorrt-rtx":
        return None
    return timing_cache.save(trt, config, cache)


def _network_io(trt: TensorRT, network: Any) -> list[dict[str, Any]]:
    inputs = [(network.get_input(index), True) for index in range(network.num_inputs)]
    outputs = [(network.get_output(index), False) for index in range(network.num_outputs)]
    return [
        {
            "name": tensor.name,
            "dtype": trt.dtype_name(tensor.dtype),
            "shape": [int(side) for side in tensor.shape],
            "is_input": is_input,
        }
        for tensor, is_input in inputs + outputs
    ]


@contextlib.contextmanager
def _compiled_layers(trt: TensorRT) -> Any:
    """Collect the layers that the builder logs of what it compiled, for machines that cannot load what they built."""
    found: list[str] = []
    listener = trt.log.listener

    def listen(severity: str, text: str) -> None:
        if text.startswith("Layers:\n"):
            found.append(text)
        if listener is not None:
            listener(severity, text)

    trt.log.listener = listen
    try:
        yield found
    finally:
        trt.log.listener = listener


def _monitor(trt: TensorRT, emit: Emit) -> Any:
    """Return an IProgressMonitor that reports to `emit`, None before TensorRT had it."""
    module: Any = trt.module
    if not hasattr(module, "IProgressMonitor"):
        return None

    class Monitor(module.IProgressMonitor):
        """Called from TensorRT's threads; must not raise."""

        def __init__(self) -> None:
            module.IProgressMonitor.__init__(self)  # pybind11 refuses an object whose base was not initialised

        def phase_start(self, phase_name: str, parent_phase: str | None, num_steps: int) -> None:
            emit("phase", name=phase_name, parent=parent_phase, steps=num_steps)

        def step_complete(self, phase_name: str, step: int) -> bool:
            emit("step", name=phase_name, step=step)
            return True

        def phase_finish(self, phase_name: str) -> None:
            emit("finish", name=phase_name)

    return Monitor()
