"""Operations and bytes that a node cannot do without, from the shapes that it had: pure arithmetic.

A multiply-add is two operations. Convolutions are counted as if every tap of every window met a value, the padding
included, as others count them too. What is no matrix product is counted as one operation a result, unless a formula
below says more. A byte counts once for each value that a node must read or write: inputs once, outputs once. A node
that renames or reshapes moves nothing, and one that picks reads no more than it returns.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

SIZES = {
    "bool": 1,
    "int8": 1,
    "uint8": 1,
    "int16": 2,
    "uint16": 2,
    "float16": 2,
    "bfloat16": 2,
    "int32": 4,
    "uint32": 4,
    "float": 4,
    "int64": 8,
    "uint64": 8,
    "double": 8,
}
# Products of integers, for which a machine has a ceiling of its own.
INTEGER = {
    "QLinearConv",
    "ConvInteger",
    "MatMulInteger",
    "MatMulIntegerToFloat",
    "DynamicQuantizeMatMul",
    "QLinearMatMul",
    "QGemm",
}
_VIEWS = {"Reshape", "Squeeze", "Unsqueeze", "Flatten", "Identity", "Dropout"}
_PICKING = {"Gather", "GatherND", "GatherElements", "Slice", "RoiAlign", "MaxRoiPool", "GridSample"}
_MOVING = _VIEWS | {
    *("Transpose", "Concat", "QLinearConcat", "Split", "Pad", "Expand", "Tile", "Where", "Shape", "Size", "Constant"),
    *("ConstantOfShape", "Range", "Gather", "GatherND", "GatherElements", "Slice", "ScatterND", "ScatterElements"),
    *("ReorderInput", "ReorderOutput", "NonZero", "TopK", "NonMaxSuppression", "DepthToSpace", "SpaceToDepth"),
}
_PER_RESULT = {
    *(
        "Add",
        "Sub",
        "Mul",
        "Div",
        "Pow",
        "Mod",
        "Max",
        "Min",
        "Sum",
        "Mean",
        "Neg",
        "Abs",
        "Sign",
        "Exp",
        "Log",
        "Sqrt",
    ),
    *(
        "Reciprocal",
        "Floor",
        "Ceil",
        "Round",
        "Erf",
        "Sin",
        "Cos",
        "Tanh",
        "Sigmoid",
        "HardSigmoid",
        "Relu",
        "LeakyRelu",
    ),
    *("PRelu", "Elu", "Gelu", "QuickGelu", "HardSwish", "Clip", "Cast", "Equal", "Less", "LessOrEqual", "Greater"),
    *("GreaterOrEqual", "And", "Or", "Not", "Xor", "IsNaN", "QuantizeLinear", "DequantizeLinear", "QLinearAdd"),
    *("QLinearMul", "QLinearSigmoid", "QLinearLeakyRelu", "CumSum", "BiasGelu", "Softplus"),
}


@dataclass(frozen=True)
class Value:
    """An array that a node reads or writes.

    Attributes:
        shape: sides, all known; () is one number.
        kind: element type as ONNX Runtime names it, a key of `SIZES`.
    """

    shape: tuple[int, ...]
    kind: str = "float"

    @property
    def elements(self) -> int:
        """How many numbers it holds."""
        return math.prod(self.shape)

    @property
    def bytes(self) -> int:
        """How much memory it takes; text counts as nothing."""
        return self.elements * SIZES.get(self.kind, 0)


@dataclass(frozen=True)
class Call:
    """A node with the values that it had in a run.

    Attributes:
        op: type of the node.
        inputs: one entry an input of the node, None where one is left out.
        outputs: those that it made.
        attributes: of the node.
    """

    op: str
    inputs: tuple[Value | None, ...]
    outputs: tuple[Value, ...]
    attributes: Mapping[str, Any] = field(default_factory=dict)

    def input(self, index: int) -> Value:
        """Return an input; a single number where it is left out."""
        value = self.inputs[index] if index < len(self.inputs) else None
        return value if value is not None else Value(())

    @property
    def output(self) -> Value:
        """The first output."""
        return self.outputs[0] if self.outputs else Value((0,))


@dataclass(frozen=True)
class Work:
    """What a node has to do.

    Attributes:
        operations: a multiply-add is two.
        bytes: read and written.
        integer: the operations are products of 8-bit integers.
        known: a formula of this module was made for the node; if not, one operation a result was assumed.
    """

    operations: int
    bytes: int
    integer: bool = False
    known: bool = True


def count(call: Call) -> Work:
    """Count what a node has to do."""
    formula = _FORMULAS.get(call.op)
    if formula is not None:
        operations, known = formula(call), True
    elif call.op in _MOVING:
        operations, known = 0, True
    else:
        operations, known = call.output.elements, call.op in _PER_RESULT
    return Work(int(operations), _bytes(call), call.op in INTEGER, known)


def _bytes(call: Call) -> int:
    written = sum(value.bytes for value in call.outputs)
    read = [value.bytes if value is not None else 0 for value in call.inputs]
    if call.op in _VIEWS:
        return 0
    if call.op in ("Shape", "Size"):
        return written
    if call.op in ("RoiAlign", "MaxRoiPool"):
        # Which cells are read depends on the boxes, and overlapping samples read the same one: none is sure.
        read[0] = 0
    elif call.op in _PICKING and read:
        read[0] = min(read[0], written)
    return sum(read) + written


def _convolution(weight_at: int) -> Callable[[Call], int]:
    def formula(call: Call) -> int:
        weight = call.input(weight_at)  # (outputs, inputs of a group, sides of the window)
        return 2 * call.output.elements * math.prod(weight.shape[1:])

    return formula


def _transposed_convolution(call: Call) -> int:
    weight = call.input(1)  # (inputs, outputs of a group, sides of the window)
    return 2 * call.input(0).elements * math.prod(weight.shape[1:])


def _product(call: Call) -> int:
    shape = call.input(0).shape
    depth = shape[-1] if shape else 1
    if call.attributes.get("transA") and len(shape) > 1:
        depth = shape[0] if call.attributes.get("transBatchA") else shape[-2]
    return 2 * call.output.elements * depth


def _pooling(call: Call) -> int:
    return call.output.elements * math.prod(call.attributes.get("kernel_shape", ()))


def _resizing(call: Call) -> int:
    mode = call.attributes.get("mode", b"nearest")
    mode = mode.decode() if isinstance(mode, bytes) else mode
    # Along one side after the other: two multiply-adds a side and result if linear, four if cubic.
    return call.output.elements * {"nearest": 0, "linear": 8, "cubic": 16}.get(mode, 0)


def _region_pooling(call: Call) -> int:
    # 0 samples stand for as many as a box is large; at least one is taken.
    samples = max(int(call.attributes.get("sampling_ratio", 0)), 1) ** 2
    return call.output.elements * samples * 8


def _per_result(operations: int) -> Callable[[Call], int]:
    return lambda call: operations * call.output.elements


def _per_input(call: Call) -> int:
    return call.input(0).elements


_FORMULAS: dict[str, Callable[[Call], int]] = {
    **dict.fromkeys(("Conv", "FusedConv", "NhwcConv", "NhwcFusedConv", "ConvInteger"), _convolution(1)),
    "QLinearConv": _convolution(3),
    "ConvTranspose": _transposed_convolution,
    **dict.fromkeys(("MatMul", "FusedMatMul", "MatMulInteger", "MatMulIntegerToFloat"), _product),
    **dict.fromkeys(("DynamicQuantizeMatMul", "QLinearMatMul", "Gemm", "FusedGemm", "QGemm"), _product),
    **dict.fromkeys(("MaxPool", "AveragePool", "LpPool", "NhwcMaxPool", "QLinearAveragePool"), _pooling),
    **dict.fromkeys(("GlobalAveragePool", "GlobalMaxPool", "QLinearGlobalAveragePool"), _per_input),
    **dict.fromkeys(("Resize", "Upsample"), _resizing),
    "RoiAlign": _region_pooling,
    # The largest value, a difference, a power, their sum and a quotient.
    **dict.fromkeys(("Softmax", "LogSoftmax", "QLinearSoftmax"), _per_result(5)),
    "BatchNormalization": _per_result(2),
    **dict.fromkeys(("LayerNormalization", "InstanceNormalization", "GroupNormalization"), _per_result(8)),
    **dict.fromkeys(
        ("ReduceSum", "ReduceMean", "ReduceMax", "ReduceMin", "ReduceProd", "ReduceL1", "ReduceL2", "ReduceSumSquare"),
        _per_input,
    ),
    **dict.fromkeys(("ArgMax", "ArgMin"), _per_input),
}
