"""Constant folding: everything that does not depend on what is in the inputs is computed once, by ONNX Runtime.

`onnxruntime`'s own optimizer folds too, but writes graphs with its private ops; this leaves standard ONNX.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import onnx
import onnxruntime as ort
from numpy.typing import NDArray
from onnx import numpy_helper

from gcpose_trt.errors import GcposeError
from gcpose_trt.graph import simplify
from gcpose_trt.graph.cleanup import clean
from gcpose_trt.graph.functions.attach import DOMAIN
from gcpose_trt.graph.tensors import TensorInfo, attributes_of, infer

LARGEST = 1 << 22  # elements; what is larger (a blank image) is cheaper to compute than to store
_RANDOM = {"RandomNormal", "RandomUniform", "RandomNormalLike", "RandomUniformLike", "Bernoulli", "Multinomial"}
_PASSES = 12

Array = NDArray[Any]


def fold(model: onnx.ModelProto) -> int:
    """Fold and simplify a graph in place until nothing changes.

    Functions stay as they are; nodes of domain `gcpose` are never computed here.

    Returns:
        How many nodes the graph has lost.

    Raises:
        GcposeError: the shapes do not go together.
    """
    before = len(model.graph.node)
    properties = {entry.key: entry.value for entry in model.metadata_props}  # which `clean` takes away
    _store_constants(model.graph)
    for _ in range(_PASSES):
        known = infer(model)
        changed = _fold_shapes(model.graph, known)
        changed |= simplify.simplify(model.graph, known)
        changed |= _evaluate(model, known)
        clean(model)
        _drop_dead(model.graph)
        if not changed:
            break
    _declare_outputs(model)
    onnx.helper.set_model_props(model, properties)
    return before - len(model.graph.node)


def _store_constants(graph: onnx.GraphProto) -> None:
    """Turn Constant nodes into initializers."""
    kept = []
    for node in graph.node:
        value = _constant(node) if node.op_type == "Constant" and node.domain == "" else None
        if value is None:
            kept.append(node)
        else:
            graph.initializer.append(numpy_helper.from_array(value, node.output[0]))
    simplify.replace_nodes(graph, kept)


def _constant(node: onnx.NodeProto) -> Array | None:
    name, value = next(iter(attributes_of(node).items()))
    if name == "value":
        return numpy_helper.to_array(value)
    if name in ("value_int", "value_ints"):
        return np.array(value, np.int64)
    if name in ("value_float", "value_floats"):
        return np.array(value, np.float32)
    return None


def _fold_shapes(graph: onnx.GraphProto, known: Mapping[str, TensorInfo]) -> bool:
    """Replace Shape nodes whose dimensions are known by their values."""
    kept = []
    for node in graph.node:
        value = _shape_value(node, known) if node.op_type == "Shape" and node.domain == "" else None
        if value is None:
            kept.append(node)
        else:
            graph.initializer.append(numpy_helper.from_array(value, node.output[0]))
    changed = len(kept) < len(graph.node)
    simplify.replace_nodes(graph, kept)
    return changed


def _shape_value(node: onnx.NodeProto, known: Mapping[str, TensorInfo]) -> Array | None:
    info = known.get(node.input[0])
    if info is None or info.shape is None:
        return None
    attributes = attributes_of(node)
    part = info.shape[attributes.get("start", 0) : attributes.get("end", len(info.shape))]
    if any(not isinstance(size, int) for size in part):
        return None
    return np.array(part, np.int64)


def _evaluate(model: onnx.ModelProto, known: Mapping[str, TensorInfo]) -> bool:
    """Compute the nodes that depend on initializers only and store what others read of them."""
    graph = model.graph
    constant = {tensor.name for tensor in graph.initializer} - {value.name for value in graph.input}
    foldable: list[onnx.NodeProto] = []
    for node in graph.node:
        if all(name in constant or not name for name in node.input) and _worth_folding(node, known):
            foldable.append(node)
            constant.update(node.output)
    if not foldable:
        return False
    folded = {id(node) for node in foldable}
    others = [node for node in graph.node if id(node) not in folded]
    read = {name for node in others for name in node.input} | {value.name for value in graph.output}
    wanted = [name for node in foldable for name in node.output if name and name in read]
    for name, value in _run(model, foldable, wanted).items():
        graph.initializer.append(numpy_helper.from_array(value, name))
    simplify.replace_nodes(graph, others)
    return True


def _worth_folding(node: onnx.NodeProto, known: Mapping[str, TensorInfo]) -> bool:
    if node.domain == DOMAIN or node.op_type in _RANDOM or node.op_type == "QuantizeLinear":
        return False
    # A quantized weight is small as it is; its DequantizeLinear is what tells the builder to run in INT8.
    if node.op_type == "DequantizeLinear" or any(a.type == onnx.AttributeProto.GRAPH for a in node.attribute):
        return False
    for name in node.output:
        info = known.get(name)
        if info is not None and info.static is not None and int(np.prod(info.static, dtype=np.int64)) > LARGEST:
            return False
    return True


def _run(model: onnx.ModelProto, nodes: list[onnx.NodeProto], wanted: list[str]) -> dict[str, Array]:
    if not wanted:
        return {}
    needed = {name for node in nodes for name in node.input}
    constants = [tensor for tensor in model.graph.initializer if tensor.name in needed]
    graph = onnx.helper.make_graph(
        nodes, "constants", [], [onnx.ValueInfoProto(name=name) for name in wanted], constants
    )
    part = onnx.helper.make_model(graph, opset_imports=model.opset_import, ir_version=model.ir_version)
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 4
    try:
        session = ort.InferenceSession(part.SerializeToString(), options, providers=["CPUExecutionProvider"])
        return dict(zip(wanted, session.run(wanted, {}), strict=True))
    except Exception as error:  # its exceptions have no public base class
        text = (str(error).strip().splitlines() or [type(error).__name__])[0][:200]
        raise GcposeError(f"the shapes of the graph do not go together ({text}); choose another size") from error


def _drop_dead(graph: onnx.GraphProto) -> None:
    """Remove nodes that nothing reads."""
    read = {value.name for value in graph.output}
    kept = []
    for node in reversed(graph.node):
        if any(name in read for name in node.output):
            kept.append(node)
            read.update(node.input)
    if len(kept) < len(graph.node):
        simplify.replace_nodes(graph, kept[::-1])
        clean_unused(graph)


def clean_unused(graph: onnx.GraphProto) -> None:
    """Remove initializers that nothing reads."""
    read = {name for node in graph.node for name in node.input} | {value.name for value in graph.output}
    for index in reversed(range(len(graph.initializer))):
        if graph.initializer[index].name not in read:
            del graph.initializer[index]


def _declare_outputs(model: onnx.ModelProto) -> None:
    """Give the graph's outputs the dimensions that are known by now."""
    hidden = onnx.ModelProto()
    hidden.CopyFrom(model)
    for value in hidden.graph.output:  # their old declarations would hide what inference finds
        for dim in value.type.tensor_type.shape.dim:
            if dim.HasField("dim_param"):
                dim.Clear()
    known = infer(hidden)
    for value in model.graph.output:
        info = known.get(value.name)
        if info is None or info.shape is None:
            continue
        for dim, size in zip(value.type.tensor_type.shape.dim, info.shape, strict=False):
            if isinstance(size, int):
                dim.dim_value = size
