"""What makes two graphs the same for a calibration: the float computation, not how its shapes are reckoned."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

import numpy as np
import onnx
from onnx import numpy_helper

WEIGHTED = ("Conv", "ConvTranspose", "Gemm", "MatMul", "BatchNormalization")
# What passes feature maps on. Everything else (box decoding, anchors, shape arithmetic) is left out: folding and fixing
# shapes rewrites it, and no range depends on how it is written.
PASSING = ("Relu", "Clip", "PRelu", "MaxPool", "AveragePool", "GlobalAveragePool", "Resize", "Add", "Concat")


def graph_sha256(model: onnx.ModelProto) -> str:
    """Return a digest of a float graph's convolutions, products, normalisations and what connects them.

    Covers operator types, attributes, names of values (ranges are looked up by name) and the contents of weights, but
    not the order of nodes, the file's name, its metadata, the batch, the input's size and the number of people.
    The graph must be as `prepare_bundle` returns it by default: native attention or pooling, or a graph without
    functions (another opset), is another graph.
    """
    return hashlib.sha256("\n".join(sorted(_lines(model.graph))).encode()).hexdigest()


def _lines(graph: onnx.GraphProto) -> Iterator[str]:
    weights = {tensor.name: tensor for tensor in graph.initializer}
    features: set[str] = set()
    for node in graph.node:
        weighted = node.op_type in WEIGHTED and any(name in weights for name in node.input)
        if not weighted and not (node.op_type in PASSING and features.intersection(node.input)):
            continue
        features.update(node.output)
        # Sizes and factors of a Resize depend on the shape of the input.
        inputs = list(node.input)[:1] if node.op_type == "Resize" else list(node.input)
        parts = [_digest(weights[name]) if name in weights else name for name in inputs]
        attributes = sorted(item.SerializeToString(deterministic=True).hex() for item in node.attribute)
        yield "|".join([node.op_type, *attributes, ">", *parts, ">", *node.output])


def _digest(tensor: onnx.TensorProto) -> str:
    array = np.ascontiguousarray(numpy_helper.to_array(tensor))
    head = f"{array.dtype.str}{array.shape}".encode()
    return hashlib.sha256(head + array.astype(array.dtype.newbyteorder("<")).tobytes()).hexdigest()
