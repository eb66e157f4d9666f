"""Scales of a quantized graph in half precision.

TensorRT takes the type that a DequantizeLinear gives from its scale, so that FP16 between INT8 layers wants scales in
FP16 (ONNX: from opset 19 on). Here they are rounded to numbers that FP16 has, while still FP32: a QuantizeLinear that
reads FP32 and the DequantizeLinear behind it then have the same scale.
"""

from __future__ import annotations

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import numpy_helper

from gcpose_trt.graph.tensors import attributes_of

OPSET = 19  # the first whose scales may be FP16
_NORMAL = float(np.finfo(np.float16).smallest_normal)
_LARGEST = float(np.finfo(np.float16).max)


def round_scales(model: onnx.ModelProto) -> int:
    """Round the scales of a graph, in place, to numbers that FP16 has, and mark it as one of opset 19.

    Scales below FP16's normal range, where its numbers lie far apart, are rounded up and INT8 weights fitted to them.

    Args:
        model: a graph of opset 18 or later with INT8 weights and symmetric scales, in FP32.

    Returns:
        How many tensors of weights were fitted.
    """
    tensors = {tensor.name: tensor for tensor in model.graph.initializer}
    nodes = [node for node in model.graph.node if node.op_type in ("QuantizeLinear", "DequantizeLinear")]
    scales = {node.input[1] for node in nodes}.intersection(tensors)
    rounded = {name: _rounded(numpy_helper.to_array(tensors[name])) for name in scales}
    fitted = 0
    for name, axis, scale in {_weights(node) for node in nodes if node.input[0] in tensors}:
        before = numpy_helper.to_array(tensors[scale])
        if scale in rounded and (before < _NORMAL).any():
            tensors[name].CopyFrom(_fitted(tensors[name], axis, before, rounded[scale]))
            fitted += 1
    for name, values in rounded.items():
        tensors[name].CopyFrom(numpy_helper.from_array(values, name))
    for entry in model.opset_import:
        # Nothing that our graphs hold means something else in 19 than in 18.
        if entry.domain in ("", "ai.onnx") and entry.version < OPSET:
            entry.version = OPSET
    return fitted


def _rounded(scales: NDArray[np.float32]) -> NDArray[np.float32]:
    half = np.clip(scales, 0, _LARGEST).astype(np.float16)
    low = (scales < _NORMAL) & (half.astype(np.float32) < scales)
    up = np.where(low, np.nextafter(half, np.float16(np.inf)), half)
    return np.asarray(up, np.float32).reshape(scales.shape)


def _weights(node: onnx.NodeProto) -> tuple[str, int, str]:
    return node.input[0], int(attributes_of(node).get("axis", 1)), node.input[1]


def _fitted(
    tensor: onnx.TensorProto, axis: int, before: NDArray[np.float32], after: NDArray[np.float32]
) -> onnx.TensorProto:
    values = numpy_helper.to_array(tensor)
    factors = before / after
    if factors.size > 1:
        factors = factors.reshape([-1 if dim == axis else 1 for dim in range(values.ndim)])
    integers = np.clip(np.rint(values * factors), -127, 127).astype(values.dtype)
    return numpy_helper.from_array(integers, tensor.name)
