"""The project's own ops as ONNX model-local functions of domain `gcpose`.

A node such as `gcpose::Nms` is what a TensorRT plugin is looked up by; the function of the same name gives the node a
body of standard ONNX, which ONNX Runtime and TensorRT-RTX run. Bodies are written in ONNX's text form, one module an
op, for opset 18 and later.

Attributes are read by reference (`@name`), so one function serves nodes with any attribute values. Only the number of
features of a MultiLevelRoiAlign cannot be referenced. Where a graph has nodes of several numbers, those with fewer
repeat their last feature, so that one body serves all. ONNX's own answer, `FunctionProto.overload`, is not one yet:
ONNX Runtime 1.18 calls the wrong body, and TensorRT's parser finds functions by op type alone.
"""

from __future__ import annotations

from gcpose_trt.graph.functions.attach import DOMAIN, VERSION, attach_functions, function_of
from gcpose_trt.graph.functions.native import NATIVE, PLUGINLESS, inline_native, strip_functions

__all__ = [
    "DOMAIN",
    "NATIVE",
    "PLUGINLESS",
    "VERSION",
    "attach_functions",
    "function_of",
    "inline_native",
    "strip_functions",
]
