"""What a node of the optimised graph was in the stored one.

ONNX Runtime fuses nodes and lays their weights out anew, but what it makes keeps the name of a value or a node that it
replaces, with something put before or behind it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import onnx

_ADDED = re.compile(r"(_token_\d+|_nchwc|_bn|/duplicated|/\w*Fusion/?|\.DQ|\.Q)$")
_PREFIX = "fused "
_WEIGHTED = ("Conv", "ConvTranspose", "Gemm", "MatMul")
_WEIGHT = re.compile(r"\.weight\b.*$")
_PASSING = ("DequantizeLinear", "QuantizeLinear", "Cast", "Identity")  # a weight is the same weight behind these
# What a convolution may have been fused with, besides constants.
_FUSED = {
    *("Relu", "Clip", "Sigmoid", "Tanh", "LeakyRelu", "HardSigmoid", "BatchNormalization", "Mul", "Add"),
    *_PASSING,
}
_BLOCK = 64  # no layout pads channels by as much


class Origin:
    """A stored graph, to look things up in.

    Args:
        model: as it was exported.
    """

    def __init__(self, model: onnx.ModelProto) -> None:
        self.nodes = list(model.graph.node)
        self.inputs = [value.name for value in model.graph.input]
        self.weights: dict[str, tuple[int, ...]] = {item.name: tuple(item.dims) for item in model.graph.initializer}
        self._producer = {output: index for index, node in enumerate(self.nodes) for output in node.output if output}
        self._named = {node.name: index for index, node in enumerate(self.nodes) if node.name}
        self.constant = self._constants()

    def _constants(self) -> set[str]:
        """Return the values that are the same in every run."""
        known = {*self.weights, ""}
        for node in self.nodes:
            if node.op_type == "Constant" or (node.input and all(name in known for name in node.input)):
                known.update(node.output)
        return known

    def find(self, node: onnx.NodeProto) -> int | None:
        """Return the place of the node that an optimised one replaces (the last, if several); None if it is new."""
        for output in node.output:
            if output in self._producer:
                return self._producer[output]
        for name in _candidates(node.name):
            if name in self._named:
                return self._named[name]
            if name in self._producer:
                return self._producer[name]
        return None

    def weight_name(self, value: str) -> str | None:
        """Return the stored weight behind a value, quantized or cast on the way or not."""
        while value not in self.weights:
            node = self.nodes[self._producer[value]] if value in self._producer else None
            if node is None or node.op_type not in _PASSING:
                return None
            value = node.input[0]
        return value

    def weight_shape(self, node: onnx.NodeProto, padded: tuple[int, ...]) -> tuple[int, ...] | None:
        """Return the shape that a convolution's weight has in the stored graph.

        Args:
            node: a convolution of the optimised graph.
            padded: the shape of its weight there, channels rounded up.

        Returns:
            None if the convolution cannot be found, or is not the same.
        """
        name = self._weight_of(node)
        shape = self.weights[name] if name else ()
        return shape if _pads(shape, padded) else None

    def module(self, node: onnx.NodeProto) -> str | None:
        """Return the module that a weighted node of the optimised graph was made from: "backbone.stem"."""
        name = self._weight_of(node) if any(word in node.op_type for word in _WEIGHTED) else None
        return _WEIGHT.sub("", name.removeprefix("model.")) if name else None

    def _weight_of(self, node: onnx.NodeProto) -> str | None:
        """Return the stored weight of a node, also if it was fused with what comes after it."""
        place = self.find(node)
        while place is not None:
            found = self.nodes[place]
            if found.op_type in _WEIGHTED:
                return self.weight_name(found.input[1])
            varying = [name for name in found.input if name not in self.constant]
            if found.op_type not in _FUSED or len(varying) != 1:
                return None
            place = self._producer.get(varying[0])
        return None


def _candidates(name: str) -> Iterator[str]:
    while name:
        yield name
        shorter = _ADDED.sub("", name.removeprefix(_PREFIX))
        if shorter == name:
            return
        name = shorter


def _pads(shape: tuple[int, ...], padded: tuple[int, ...]) -> bool:
    if len(shape) != len(padded) or shape[2:] != padded[2:]:
        return False
    return all(0 <= more - own < _BLOCK for own, more in zip(shape[:2], padded[:2], strict=True))
