"""The mechanics of the cast pass: casts between the types, weights converted."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from gcpose_trt.errors import GcposeError
from gcpose_trt.graph.functions.attach import DOMAIN
from gcpose_trt.graph.simplify import replace_nodes
from gcpose_trt.graph.tensors import TensorInfo

FLOAT = int(TensorProto.FLOAT)
HALF = int(TensorProto.FLOAT16)
_LARGEST = float(np.finfo(np.float16).max)
_SMALLEST_NORMAL = float(np.finfo(np.float16).smallest_normal)
# Inputs that are not of the type that the node computes in: RoIs, and the scales and the region of Resize.
_FIXED_SLOTS = {"MultiLevelRoiAlign": {0, 1}, "Resize": {1, 2, 3}}
_SUFFIX = {HALF: "float16", FLOAT: "float32"}


def floating_slots(node: onnx.NodeProto, known: Mapping[str, TensorInfo]) -> list[int]:
    """Return which inputs of a node change their type with the node's."""
    fixed = _FIXED_SLOTS.get(node.op_type, set())
    return [
        slot
        for slot, name in enumerate(node.input)
        if slot not in fixed and name in known and known[name].kind in (FLOAT, HALF)
    ]


def overflows(tensor: onnx.TensorProto) -> bool:
    """Return whether FP16 would make a finite value of a tensor infinite."""
    if tensor.data_type != FLOAT:
        return False
    values = np.abs(numpy_helper.to_array(tensor))
    finite = values[np.isfinite(values)]
    # What rounds to infinity begins half a step above the largest number.
    return bool(finite.size) and float(finite.max()) >= _LARGEST + 16


class Rewriter:
    """Rewrites a graph so that chosen nodes compute in FP16.

    Args:
        model: changed in place by `rewrite`.
        known: types of its values before.
        half: indices of the nodes to be FP16.
        shared: name of the input or output that becomes FP16.

    Attributes:
        casts: Cast nodes added.
        tensors: initializers converted.
        subnormal: see `Float16Report`.
    """

    def __init__(self, model: onnx.ModelProto, known: Mapping[str, TensorInfo], half: set[int], shared: str) -> None:
        self._graph = model.graph
        self._known = known
        self._half = half
        self._shared = shared
        self._constants = {tensor.name: tensor for tensor in model.graph.initializer}
        self._types: dict[str, int] = {name: info.kind for name, info in known.items()}
        self._versions: dict[tuple[str, int], str] = {}
        self._nodes: list[onnx.NodeProto] = []
        self.casts = 0
        self.tensors = 0
        self.subnormal: dict[str, float] = {}

    def rewrite(self) -> None:
        """Do it."""
        for value in self._graph.input:
            self._retype_shared(value)
        declared = {value.name: value for value in self._graph.output}
        for index, node in enumerate(list(self._graph.node)):
            wanted = HALF if index in self._half else FLOAT
            for slot in self._slots(node):
                node.input[slot] = self._as(node.input[slot], wanted)
            self._nodes.append(node)
            for slot, name in enumerate(node.output):
                if self._types.get(name) == FLOAT and wanted == HALF:
                    self._types[name] = HALF
                if name in declared:
                    self._finish_output(node, slot, declared[name])
        replace_nodes(self._graph, self._nodes)
        self._drop_replaced()
        del self._graph.value_info[:]

    def _slots(self, node: onnx.NodeProto) -> list[int]:
        """Inputs to bring to the node's type: of islands also those which never change, if FP16 reaches them."""
        if node.op_type == "Cast" and node.domain == "":
            return []
        slots = floating_slots(node, self._known)
        fixed = _FIXED_SLOTS.get(node.op_type, set()) if node.domain in ("", DOMAIN) else set()
        for slot in fixed:
            name = node.input[slot] if slot < len(node.input) else ""
            if name and self._types.get(name) == HALF:
                node.input[slot] = self._as(name, FLOAT)
        return slots

    def _as(self, name: str, kind: int) -> str:
        """Return a value's name in one of the two types, made when first asked for."""
        if self._types[name] == kind:
            return name
        made = self._versions.get((name, kind))
        if made is None:
            made = self._convert(name) if name in self._constants else self._cast(name, kind)
            self._versions[(name, kind)] = made
        return made

    def _convert(self, name: str) -> str:
        tensor = self._constants[name]
        if overflows(tensor):
            largest = float(np.abs(numpy_helper.to_array(tensor)).max())
            raise GcposeError(
                f"{name} has values up to {largest:.3g}, FP16 ends at {_LARGEST:.0f}; keep the node that reads it in "
                "FP32, or build with --precision fp32"
            )
        values = numpy_helper.to_array(tensor)
        small = (np.abs(values) < _SMALLEST_NORMAL) & (values != 0)
        if small.any():
            self.subnormal[name] = float(small.sum() / np.count_nonzero(values))
        made = f"{name}.{_SUFFIX[HALF]}"
        self._graph.initializer.append(numpy_helper.from_array(values.astype(np.float16), made))
        self.tensors += 1
        return made

    def _cast(self, name: str, kind: int) -> str:
        made = f"{name}.{_SUFFIX[kind]}"
        self._nodes.append(helper.make_node("Cast", [name], [made], name=made, to=kind))
        self.casts += 1
        return made

    def _retype_shared(self, value: onnx.ValueInfoProto) -> None:
        if value.name == self._shared and value.type.tensor_type.elem_type == FLOAT:
            value.type.tensor_type.elem_type = HALF
            self._types[value.name] = HALF

    def _finish_output(self, node: onnx.NodeProto, slot: int, value: onnx.ValueInfoProto) -> None:
        """Give an output of the graph the type that it is declared with."""
        self._retype_output(value)
        declared, name = value.type.tensor_type.elem_type, value.name
        if self._types.get(name) == declared or self._types.get(name) not in (FLOAT, HALF):
            return
        inner = f"{name}.{_SUFFIX[self._types[name]]}"
        node.output[slot] = inner
        self._types[inner], self._types[name] = self._types[name], declared
        # Whoever reads the value in its own type goes on doing so.
        self._versions[(name, self._types[inner])] = inner
        self._nodes.append(helper.make_node("Cast", [inner], [name], name=name, to=declared))
        self.casts += 1

    def _retype_output(self, value: onnx.ValueInfoProto) -> None:
        if value.name == self._shared and value.type.tensor_type.elem_type == FLOAT:
            value.type.tensor_type.elem_type = HALF

    def _drop_replaced(self) -> None:
        read = {name for node in self._graph.node for name in node.input} | {v.name for v in self._graph.output}
        for index in reversed(range(len(self._graph.initializer))):
            if self._graph.initializer[index].name not in read:
                del self._graph.initializer[index]
