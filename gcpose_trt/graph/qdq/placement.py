"""Where Q/DQ pairs go.

The rules for TensorRT are those of its documentation, page "Explicit Quantization", on processing Q/DQ networks and on
placing Q/DQ layers (https://docs.nvidia.com/deeplearning/tensorrt/latest/inference-library/, there
quantized-types-explicit-quantization.html):

- the inputs of every convolution and matrix product to be run in INT8 are quantized: activations with one scale a
  tensor, weights with one a channel; scales are positive, zero points zero;
- its output is not, unless its reader asks for it: no pair stands between a convolution and its activation, nor between
  a convolution and the sum behind it, for they become one kernel with it;
- of a residual sum, the input that does not come from that convolution is quantized, so that the kernel can add it in
  INT8. Where the same tensor also enters the branch's first convolution, both read one and the same pair: one scale;
- pairs are not put around pooling, resizing or moving data: TensorRT moves Q and DQ across layers that commute with
  them. Across a concatenation it does not, so the pair stands behind it, where the next convolution reads.

ONNX Runtime on the CPU fuses `DQ, node, Q` into an integer kernel, so there every value at which two such nodes meet is
quantized, their outputs included, and sums, concatenations, pooling and resizing in between are integer too.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from gcpose_trt.graph.qdq.view import View

TARGETS = ("tensorrt", "cpu")
_KEEPS_RANGE = {"MaxPool", "Resize"}  # their results lie within what they read: they take its scale
_JOINS = {"Add", "Concat", *_KEEPS_RANGE}


@dataclass
class Plan:
    """What is to be inserted.

    Attributes:
        weighted: nodes whose weights are quantized.
        values: value to the nodes that read its dequantized form, None for all of them.
        same: value to the value whose range it takes.
        absorbed: Relu and Clip nodes that quantization itself does.
    """

    weighted: set[int]
    values: dict[str, set[int] | None] = field(default_factory=dict)
    same: dict[str, str] = field(default_factory=dict)
    absorbed: set[int] = field(default_factory=set)

    def source(self, value: str) -> str:
        """Return the value whose range `value` is quantized with."""
        while value in self.same:
            value = self.same[value]
        return value


def place(view: View, weighted: set[int], target: str) -> Plan:
    """Return the plan for a target, "tensorrt" or "cpu"."""
    return _for_tensorrt(view, weighted) if target == "tensorrt" else _for_cpu(view, weighted)


def _for_tensorrt(view: View, weighted: set[int]) -> Plan:
    plan = Plan(weighted)
    readers: dict[str, set[int]] = {}
    for index in sorted(weighted):
        readers.setdefault(view.node(index).input[0], set()).add(index)
    for index, node in enumerate(view.model.graph.node):
        if node.op_type == "Add" and not node.domain:
            shortcut = _shortcut(view, index, weighted)
            if shortcut is not None:
                readers.setdefault(shortcut, set()).add(index)
    plan.values.update(readers)
    return plan


def _shortcut(view: View, add: int, weighted: set[int]) -> str | None:
    """Return the input of a sum that does not come from the convolution it becomes one kernel with."""
    inputs = list(view.node(add).input)
    if any(name in view.constants for name in inputs) or inputs[0] == inputs[1]:
        return None
    fused = [name for name in inputs if view.makers.get(name) in weighted and view.sole_reader(name) == add]
    if not fused:
        return None
    # Of two convolutions, the one made last is the one that waits for the other.
    kernel = max(fused, key=lambda name: view.makers[name])
    return next(name for name in inputs if name != kernel)


def _for_cpu(view: View, weighted: set[int]) -> Plan:
    plan = Plan(weighted)
    for index in sorted(weighted):
        plan.values[view.node(index).input[0]] = None
        plan.values[view.end(index)] = None
    for index, node in enumerate(view.model.graph.node):
        if node.op_type in _JOINS and not node.domain and _joins(view, index, plan):
            out = view.end(index)
            plan.values[out] = None
            if node.op_type in _KEEPS_RANGE and out == node.output[0]:
                plan.same[out] = node.input[0]
    for index in range(len(view.model.graph.node)):
        activation = view.activation(index)
        if activation is not None and view.end(index) in plan.values and _is_integer(view, index, plan):
            plan.absorbed.add(activation)
    return plan


def _joins(view: View, index: int, plan: Plan) -> bool:
    """Return whether a node reads quantized values only and an integer node, or one that may be, reads its result."""
    node = view.node(index)
    inputs = [name for name in node.input if name and name not in view.constants]
    if node.op_type in _KEEPS_RANGE:
        inputs = inputs[:1]
    if any(name not in plan.values for name in inputs) or (node.op_type == "Add" and len(inputs) < 2):
        return False
    return any(
        reader in plan.weighted or view.node(reader).op_type in _JOINS
        for reader in view.readers.get(view.end(index), [])
    )


def _is_integer(view: View, index: int, plan: Plan) -> bool:
    """Return whether a node runs on integers, so that its activation may be left to its output's range."""
    node = view.node(index)
    return index in plan.weighted or (node.op_type in _JOINS and _joins(view, index, plan))
