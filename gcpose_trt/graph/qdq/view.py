"""A graph's edges, and what the placement rules ask about them."""

from __future__ import annotations

import math
from collections import defaultdict
from dataclasses import dataclass, field

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import numpy_helper

WEIGHTED = ("Conv", "ConvTranspose", "Gemm")
_ACTIVATIONS = ("Relu", "Clip")
_PREFIX = "model."


@dataclass
class View:
    """Who makes and who reads each value of a graph; nodes by their place in it.

    Attributes:
        model: the model looked at.
        makers: value to the node that makes it.
        readers: value to the nodes that read it, one entry a slot.
        constants: initializers by name.
        ends: names of the graph's outputs.
    """

    model: onnx.ModelProto
    makers: dict[str, int] = field(default_factory=dict)
    readers: dict[str, list[int]] = field(default_factory=lambda: defaultdict(list))
    constants: dict[str, onnx.TensorProto] = field(default_factory=dict)
    ends: frozenset[str] = frozenset()

    def __post_init__(self) -> None:
        graph = self.model.graph
        self.constants = {tensor.name: tensor for tensor in graph.initializer}
        self.ends = frozenset(value.name for value in graph.output)
        for index, node in enumerate(graph.node):
            self.makers.update({name: index for name in node.output if name})
            for name in node.input:
                if name:
                    self.readers[name].append(index)

    def node(self, index: int) -> onnx.NodeProto:
        """Return a node."""
        return self.model.graph.node[index]

    def is_weighted(self, index: int) -> bool:
        """Return whether a node is a convolution or matrix product of constant weights."""
        node = self.node(index)
        return node.domain == "" and node.op_type in WEIGHTED and node.input[1] in self.constants

    def label(self, index: int) -> str:
        """Return the name of a weighted node's layer: its weights' name without what all of them share."""
        name = self.node(index).input[1].removeprefix(_PREFIX)
        return name.split(".weight")[0]

    def sole_reader(self, value: str) -> int | None:
        """Return the one node that reads a value, None if there are several or it leaves the graph."""
        found = self.readers.get(value, [])
        return found[0] if len(found) == 1 and value not in self.ends else None

    def activation(self, index: int) -> int | None:
        """Return the Relu or Clip that alone reads what a node makes."""
        reader = self.sole_reader(self.node(index).output[0])
        if reader is None or self.node(reader).op_type not in _ACTIVATIONS or self.node(reader).domain:
            return None
        return reader if self.bounds(reader) is not None else None

    def end(self, index: int) -> str:
        """Return the value behind a node and its activation."""
        activation = self.activation(index)
        return str(self.node(index if activation is None else activation).output[0])

    def dequantizer(self, value: str) -> onnx.NodeProto | None:
        """Return the DequantizeLinear that makes a value, None if another node does."""
        index = self.makers.get(value)
        node = None if index is None else self.node(index)
        return node if node is not None and node.op_type == "DequantizeLinear" else None

    def bounds(self, index: int) -> tuple[float, float] | None:
        """Return the (lowest, highest) result of a Relu or Clip; None if it is not constant."""
        node = self.node(index)
        if node.op_type == "Relu":
            return 0.0, math.inf
        low, high = -math.inf, math.inf
        for slot, name in enumerate(node.input[1:3]):
            if not name:
                continue
            if name not in self.constants:
                return None
            bound = float(self.array(name))
            low, high = (bound, high) if slot == 0 else (low, bound)
        return low, high

    def array(self, name: str) -> NDArray[np.generic]:
        """Return an initializer's values."""
        return numpy_helper.to_array(self.constants[name])
