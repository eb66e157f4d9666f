"""A model's two graphs, as they are stored and as ONNX Runtime optimises them on this machine."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from gcpose_trt.benchmark.roofline.origin import Origin
from gcpose_trt.benchmark.roofline.sessions import open_session
from gcpose_trt.benchmark.roofline.stages import assign
from gcpose_trt.errors import GcposeError
from gcpose_trt.runtime import bundle

if TYPE_CHECKING:
    import onnx

_WEIGHTED = ("Conv", "ConvTranspose")


@dataclass(frozen=True)
class Optimised:
    """What runs.

    Attributes:
        name: "detector" or "pose".
        path: the optimised graph on disk, every node with a name of its own.
        model: the same graph.
        origin: the stored graph.
        stages: of each of its nodes, in their order.
    """

    name: str
    path: Path
    model: onnx.ModelProto
    origin: Origin
    stages: list[str]


def find_files(model: str, precision: str) -> bundle.BundlePaths:
    """Return the files that the runtime opens for a model in a precision, "fp32" or "int8".

    Raises:
        GcposeError: there is no such model, or it is a folder of TensorRT engines.
    """
    if bundle.engine_folder(model) is not None:
        raise GcposeError(
            f"{model} holds TensorRT engines, whose layers only TensorRT can time; give the ONNX model that they were "
            "built from, and see the engines' layers with gcpose-trt inspect"
        )
    paths = bundle.find(model)
    if precision != "int8" or _is_quantized(paths.detector):
        return paths
    return bundle.int8_form(paths) or paths  # the backend says what is wrong if there is none


def _is_quantized(path: Path) -> bool:
    return any(item.key == bundle.INT8_KEY for item in _load(path).metadata_props)


def _load(path: Path) -> onnx.ModelProto:
    import onnx
    from google.protobuf.message import DecodeError

    try:
        return onnx.load(str(path))
    except (OSError, DecodeError) as error:
        raise GcposeError(f"{path} cannot be read ({error}); make it again with gcpose-trt export") from error


def optimise(name: str, path: Path, folder: Path, threads: int) -> Optimised:
    """Have ONNX Runtime optimise a graph, and give every node a name, by which its times are found again.

    Args:
        name: "detector" or "pose".
        path: the stored graph.
        folder: to write into.
        threads: of one inference.
    """
    import onnx.inliner

    target = folder / f"{name}.onnx"
    stored = _load(path)
    if any(node.op_type in _WEIGHTED for function in stored.functions for node in function.node):
        # What ONNX Runtime makes of the body of a function has names that lead nowhere.
        stored = onnx.inliner.inline_local_functions(stored)
        path = folder / f"{name}.inlined.onnx"
        onnx.save(stored, str(path))
    open_session(path, threads, save_as=target)
    model = _load(target)
    taken: set[str] = set()
    for place, node in enumerate(model.graph.node):
        if not node.name or node.name in taken:
            node.name = f"{node.name or node.op_type}#{place}"
        taken.add(node.name)
    onnx.save(model, str(target))
    origin = Origin(stored)
    return Optimised(name, target, model, origin, assign(name, origin, model.graph.node))
