"""FP16 as a GPU rounds it, in ONNX Runtime on the CPU.

ONNX Runtime has no FP16 kernels for most operators on the CPU: it runs them in FP32 between casts, and then drops the
pairs of casts between neighbours (tried with 1.32: 1 + 1e-4 - 1 in FP16 gives 1e-4, where FP16 has 0). An FP16 graph
looks more exact there than it is. Two operators in a row that only move data, and do run in FP16, keep a pair of casts
apart; a single one would be pulled into FP32 as well.
"""

from __future__ import annotations

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from gcpose_trt.graph.tensors import infer

_AXIS = "rounding_axis"


def keep_rounding(model: onnx.ModelProto) -> int:
    """Make ONNX Runtime round to FP16 after every node of the main graph whose output is FP16, in place.

    Nodes inside function bodies are left alone: a plugin, too, keeps FP32 between its steps. An engine that fuses a
    convolution with what follows rounds less often than this.

    Returns:
        The number of values that are rounded now.
    """
    kinds = infer(model)
    graph = model.graph
    nodes: list[onnx.NodeProto] = []
    count = 0
    for node in graph.node:
        nodes.append(node)
        for index, name in enumerate(node.output):
            if name in kinds and kinds[name].kind == TensorProto.FLOAT16:
                raw, high = f"{name}_unrounded", f"{name}_rounded"
                node.output[index] = raw
                nodes.append(helper.make_node("Unsqueeze", [raw, _AXIS], [high]))
                nodes.append(helper.make_node("Squeeze", [high, _AXIS], [name]))
                count += 1
    if count:
        kept = [onnx.NodeProto.FromString(node.SerializeToString()) for node in nodes]
        del graph.node[:]
        graph.node.extend(kept)
        graph.initializer.append(numpy_helper.from_array(np.array([0], np.int64), _AXIS))
    return count
