"""Graphs of a node or two, run and counted the way a network is."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from gcpose_trt.benchmark.roofline.counting import Call, Value, Work, count
from gcpose_trt.benchmark.roofline.graphs import Optimised, optimise
from gcpose_trt.benchmark.roofline.profiling import Profile, read_profile
from gcpose_trt.benchmark.roofline.sessions import open_session
from gcpose_trt.benchmark.roofline.shapes import calls

_KINDS = {"float32": "float", "uint8": "uint8", "int8": "int8", "int64": "int64"}


def graph(
    nodes: list[onnx.NodeProto],
    feeds: dict[str, NDArray],
    output: str,
    weights: dict[str, NDArray] | None = None,
    kind: int = TensorProto.FLOAT,
    functions: tuple[onnx.FunctionProto, ...] = (),
    dynamic: bool = False,
) -> onnx.ModelProto:
    """Return a model of some nodes; with `dynamic` no side of its inputs is known before it runs."""
    inputs = [
        helper.make_tensor_value_info(
            name,
            helper.np_dtype_to_tensor_dtype(array.dtype),
            [f"{name}{side}" for side in range(array.ndim)] if dynamic else array.shape,
        )
        for name, array in feeds.items()
    ]
    tensors = [numpy_helper.from_array(np.asarray(array), name) for name, array in (weights or {}).items()]
    body = helper.make_graph(nodes, "tiny", inputs, [helper.make_tensor_value_info(output, kind, None)], tensors)
    domains = [helper.make_opsetid("", 18), helper.make_opsetid("com.microsoft", 1), helper.make_opsetid("own", 1)]
    return helper.make_model(body, opset_imports=domains, functions=functions, ir_version=9)


def run(model: onnx.ModelProto, feeds: dict[str, NDArray], folder: Path) -> tuple[Optimised, Profile]:
    """Optimise a model and run it once under a profile."""
    stored = folder / "stored.onnx"
    onnx.save(model, str(stored))
    target = folder / "optimised"
    target.mkdir(exist_ok=True)
    found = optimise("detector", stored, target, 1)
    session = open_session(found.path, 1, optimise=False, profile=target / "profile")
    session.run(None, feeds)
    described = {name: Value(array.shape, _KINDS[array.dtype.name]) for name, array in feeds.items()}
    return found, read_profile(Path(session.end_profiling()), described)


def counted(model: onnx.ModelProto, feeds: dict[str, NDArray], folder: Path) -> list[tuple[Call, Work]]:
    """Return every node of the optimised model that ran, with what was counted."""
    found, profile = run(model, feeds, folder)
    return [(call, count(call)) for call in calls(found, profile.made, profile.feeds).values()]


def operations(model: onnx.ModelProto, feeds: dict[str, NDArray], folder: Path) -> int:
    """Return the operations of the whole model."""
    return sum(work.operations for _, work in counted(model, feeds, folder))
