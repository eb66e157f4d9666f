"""Batch normalisation with fixed statistics, as the product and the sum that it is."""

from __future__ import annotations

import numpy as np
import onnx
from onnx import helper, numpy_helper

from gcpose_trt.graph.simplify import replace_nodes
from gcpose_trt.graph.tensors import attributes_of


def fold_batch_norms(model: onnx.ModelProto) -> int:
    """Replace BatchNormalization of constant statistics, in place, by Mul and Add; return how many.

    Half precision cannot hold a small variance; what is stored is scale / sqrt(variance + epsilon) and the shift,
    computed in double precision. Maps must be of four dimensions, as all of this network's are.
    """
    graph = model.graph
    constants = {tensor.name: tensor for tensor in graph.initializer}
    nodes: list[onnx.NodeProto] = []
    count = 0
    for node in graph.node:
        if node.op_type != "BatchNormalization" or any(name not in constants for name in node.input[1:5]):
            nodes.append(node)
            continue
        values = [numpy_helper.to_array(constants[name]).astype(np.float64) for name in node.input[1:5]]
        scale, bias, mean, variance = values
        factor = scale / np.sqrt(variance + attributes_of(node).get("epsilon", 1e-5))
        shift = bias - mean * factor
        out = node.output[0]
        names = {f"{out}.factor": factor, f"{out}.shift": shift}
        for name, array in names.items():
            graph.initializer.append(numpy_helper.from_array(array.astype(np.float32).reshape(-1, 1, 1), name))
        nodes.append(helper.make_node("Mul", [node.input[0], f"{out}.factor"], [f"{out}.scaled"]))
        nodes.append(helper.make_node("Add", [f"{out}.scaled", f"{out}.shift"], [out]))
        count += 1
    replace_nodes(graph, nodes)
    return count
