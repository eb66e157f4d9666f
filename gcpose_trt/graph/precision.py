"""Half precision written into the graph: the cast pass.

TensorRT 10 and later take precision from the graph alone, so what runs in FP16 is decided here, node by node:

- convolutions, matrix products, RoI pooling and attention are FP16, but for products of two results of islands;
- activations, sums, pooling, resizing, padding, joining and moving data follow what they read;
- DequantizeLinear gives FP16 and QuantizeLinear follows what it reads, so that between INT8 layers all is FP16;
- everything else that computes in floating point is an FP32 island: image normalisation, box decoding, anchors,
  proposals, NMS, softmax, logarithms and exponentials of the prior, coordinates. A node that would follow, but of which
  only islands read, joins them, so that a head's logits are widened once, at the convolution that makes them.

Batch normalisation becomes a product and a sum, computed from the statistics in double precision beforehand.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass

import onnx

from gcpose_trt.errors import GcposeError
from gcpose_trt.graph.batch_norm import fold_batch_norms
from gcpose_trt.graph.casting import FLOAT, Rewriter, floating_slots, overflows
from gcpose_trt.graph.functions.attach import DOMAIN
from gcpose_trt.graph.tensors import TensorInfo, infer

SHARED_MAP = "p2"  # goes from one graph to the other and is FP16 in both
_COMPUTE = {"Conv", "ConvTranspose", "Gemm", "MatMul", "DequantizeLinear"}
_OWN_HALF = {"GcmAttention", "MultiLevelRoiAlign"}
_ELEMENTWISE = {"Add", "Mul", "Relu", "LeakyRelu", "PRelu", "Clip", "Sigmoid", "HardSigmoid", "HardSwish"}
_MOVES = {"Pad", "Concat", "Transpose", "Reshape", "Squeeze", "Unsqueeze", "Flatten", "Identity", "Resize", "Expand"}
_POOLS = {"MaxPool", "AveragePool", "GlobalAveragePool"}
# These return less than they read, so that it is their result which is widened, not their input.
_PICKS = {"Slice", "Split", "Gather", "GatherElements", "GatherND"}
_FOLLOW = _ELEMENTWISE | _MOVES | _POOLS | _PICKS


@dataclass(frozen=True)
class Float16Report:
    """What the cast pass did to one graph.

    Attributes:
        half: number of FP16 nodes by op type.
        full: number of floating-point nodes left in FP32, by op type.
        casts: Cast nodes added.
        islands: the FP32 islands, each as the names of the values that it computes.
        tensors: initializers converted.
        subnormal: initializer name to the part of its nonzero weights that are below FP16's normal range (6.1e-5),
            where they lose digits; zero ones are left out.
    """

    half: Mapping[str, int]
    full: Mapping[str, int]
    casts: int
    islands: tuple[tuple[str, ...], ...]
    tensors: int
    subnormal: Mapping[str, float]

    def __str__(self) -> str:
        half, full = sum(self.half.values()), sum(self.full.values())
        text = f"{half} nodes in FP16, {full} in FP32 ({len(self.islands)} islands), {self.casts} casts, "
        text += f"{self.tensors} tensors converted"
        if self.subnormal:
            name, part = max(self.subnormal.items(), key=lambda item: item[1])
            text += f", {len(self.subnormal)} with weights below FP16's normal range (most in {name}: {part:.2%})"
        return text


def to_float16(model: onnx.ModelProto, *, keep: Collection[str] = ()) -> Float16Report:
    """Cast a graph to FP16 in place; inputs and outputs keep their types, except `p2`, which becomes FP16.

    Args:
        model: detector or pose graph, in FP32.
        keep: names of values whose nodes stay in FP32.

    Returns:
        What was done.

    Raises:
        GcposeError: the graph has no convolution to cast, a name in `keep` is not of the graph, or weights are beyond
            the range of FP16.
    """
    fold_batch_norms(model)
    known = infer(model)
    _check_keep(model, keep)
    half = _choose(model, known, set(keep))
    nodes = list(model.graph.node)
    if not any(index in half and nodes[index].op_type in _COMPUTE for index in range(len(nodes))):
        raise GcposeError(
            "the graph has no convolution or matrix product in FP32 to cast to FP16; give a model as exported by "
            "gcpose-trt export"
        )
    rewriter = Rewriter(model, known, half, SHARED_MAP)
    rewriter.rewrite()
    full = {i for i, node in enumerate(nodes) if i not in half and _is_floating(node, known)}
    return Float16Report(
        half=Counter(nodes[index].op_type for index in half),
        full=Counter(nodes[index].op_type for index in full),
        casts=rewriter.casts,
        islands=_islands(nodes, full),
        tensors=rewriter.tensors,
        subnormal=rewriter.subnormal,
    )


def _check_keep(model: onnx.ModelProto, keep: Collection[str]) -> None:
    made = {name for node in model.graph.node for name in node.output}
    missing = sorted(set(keep) - made)
    if missing:
        raise GcposeError(f"no node of the graph makes {missing[0]!r}; give names of values of the graph to keep")


def _is_floating(node: onnx.NodeProto, known: Mapping[str, TensorInfo]) -> bool:
    return any(known[name].kind == FLOAT for name in node.output if name in known)


def _choose(model: onnx.ModelProto, known: Mapping[str, TensorInfo], keep: set[str]) -> set[int]:
    """Return the indices of the nodes that are to be FP16."""
    graph = model.graph
    constants = {tensor.name for tensor in graph.initializer}
    half_values = {value.name for value in graph.input if value.name == SHARED_MAP}
    half: set[int] = set()
    for index, node in enumerate(graph.node):
        quantizes = node.op_type == "QuantizeLinear" and node.domain == ""
        if keep.intersection(node.output) or not (quantizes or _is_floating(node, known)):
            continue
        read = [node.input[slot] for slot in floating_slots(node, known) if node.input[slot] not in constants]
        may_follow = quantizes or (node.op_type in _FOLLOW and node.domain == "")
        follows = may_follow and bool(read) and half_values.issuperset(read)
        among_islands = node.op_type == "MatMul" and len(read) > 1 and half_values.isdisjoint(read)
        if (_always(node) and not among_islands) or (follows and not _too_large(node, graph, known)):
            half.add(index)
            half_values.update(node.output)
    _pull_back(graph, half)
    return half


def _always(node: onnx.NodeProto) -> bool:
    return (node.domain == "" and node.op_type in _COMPUTE) or (node.domain == DOMAIN and node.op_type in _OWN_HALF)


def _too_large(node: onnx.NodeProto, graph: onnx.GraphProto, known: Mapping[str, TensorInfo]) -> bool:
    """Return whether a constant of a following node, such as a padding of -1e9, is beyond FP16."""
    names = {node.input[slot] for slot in floating_slots(node, known)}
    return any(overflows(tensor) for tensor in graph.initializer if tensor.name in names)


def _pull_back(graph: onnx.GraphProto, half: set[int]) -> None:
    """Take following nodes that islands alone read out of `half`, until there are none."""
    readers: dict[str, list[int]] = {}
    makers: dict[str, int] = {}
    for index, node in enumerate(graph.node):
        makers.update(dict.fromkeys(node.output, index))
        for name in node.input:
            readers.setdefault(name, []).append(index)

    def ends(index: int) -> bool:
        """Whether islands alone read a node's results."""
        return not any(reader in half for name in graph.node[index].output for reader in readers.get(name, []))

    def widened_before(node: onnx.NodeProto) -> bool:
        """Whether one cast of what a picking node reads does for several of them."""
        maker = makers.get(node.input[0])
        if maker is not None and graph.node[maker].op_type in _PICKS and maker in half:
            return True
        others = readers[node.input[0]]
        return len(others) > 1 and all(
            other not in half or (graph.node[other].op_type in _PICKS and ends(other)) for other in others
        )

    def leaves(index: int) -> bool:
        node = graph.node[index]
        if _always(node) or SHARED_MAP in node.output or not ends(index):
            return False
        return node.op_type not in _PICKS or widened_before(node)

    while left := [index for index in sorted(half, reverse=True) if leaves(index)]:
        half.difference_update(left)


def _islands(nodes: list[onnx.NodeProto], full: set[int]) -> tuple[tuple[str, ...], ...]:
    """Group FP32 nodes that read each other's results."""
    island: dict[str, int] = {}
    groups: dict[int, list[str]] = {}
    for index in sorted(full):
        node = nodes[index]
        joined = sorted({island[name] for name in node.input if name in island})
        group = joined[0] if joined else index
        members = groups.setdefault(group, [])
        for other in joined[1:]:
            members += groups.pop(other)
        members += node.output
        island.update(dict.fromkeys(members, group))
    return tuple(tuple(name for name in group if name) for group in groups.values())
