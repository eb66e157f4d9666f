"""ONNX Runtime sessions as the runtime opens them, profiled or not, and small graphs to measure the machine with."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import onnxruntime as ort

from gcpose_trt.errors import GcposeError, MissingDependencyError

if TYPE_CHECKING:
    import onnx

PROVIDERS = ["CPUExecutionProvider"]
_OPSET, _IR_VERSION = 18, 9  # what every supported ONNX Runtime reads


def need_onnx() -> None:
    """Raise MissingDependencyError without the package onnx."""
    try:
        import onnx  # noqa: F401
    except ImportError as error:
        raise MissingDependencyError("onnx", "benchmark", "the roofline") from error


def open_session(
    source: Path | bytes,
    threads: int,
    *,
    optimise: bool = True,
    save_as: Path | None = None,
    profile: Path | None = None,
) -> ort.InferenceSession:
    """Open a graph with the settings of the runtime's backend.

    Args:
        source: a file, or its content.
        threads: of one inference; 0 is one a physical core.
        optimise: False runs the graph as it is.
        save_as: where ONNX Runtime writes the optimised graph.
        profile: prefix of the file that node times are written to.

    Raises:
        GcposeError: ONNX Runtime cannot load it.
    """
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.execution_mode = ort.ExecutionMode.ORT_SEQUENTIAL
    options.log_severity_level = 4
    options.add_session_config_entry("session.force_spinning_stop", "1")
    if not optimise:
        options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    if save_as is not None:
        options.optimized_model_filepath = str(save_as)
    if profile is not None:
        options.enable_profiling = True
        options.profile_file_prefix = str(profile)
    try:
        return ort.InferenceSession(source if isinstance(source, bytes) else str(source), options, providers=PROVIDERS)
    except MemoryError:
        raise
    except Exception as error:  # its exceptions have no public base class
        name = source if isinstance(source, Path) else "a probe"
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0][:300]
        raise GcposeError(f"{name} cannot be loaded ({reason}); make it again with gcpose-trt export") from error


def serialise(
    nodes: Sequence[onnx.NodeProto],
    inputs: Sequence[onnx.ValueInfoProto],
    outputs: Sequence[onnx.ValueInfoProto],
    weights: Sequence[onnx.TensorProto] = (),
) -> bytes:
    """Return a small graph as ONNX Runtime reads it."""
    from onnx import helper

    graph = helper.make_graph(list(nodes), "probe", list(inputs), list(outputs), list(weights))
    domains = [helper.make_opsetid("", _OPSET), helper.make_opsetid("com.microsoft", 1)]
    model: onnx.ModelProto = helper.make_model(graph, opset_imports=domains, ir_version=_IR_VERSION)
    return model.SerializeToString()
