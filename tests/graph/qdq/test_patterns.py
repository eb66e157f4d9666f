"""Placement: what has a Q/DQ pair and what must not, on every architecture."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
import pytest

onnx = pytest.importorskip("onnx", reason="onnx is not installed; pip install 'gcpose-trt[export]'")
from gcpose_trt.errors import GcposeError  # noqa: E402
from gcpose_trt.graph import qdq  # noqa: E402
from gcpose_trt.graph.qdq.view import View  # noqa: E402
from tests.graph.qdq.conftest import AnyRange, FloatModel  # noqa: E402

GRAPHS = ("detector", "pose")
OUT = {"rpn", "prior.heat", "box_head.classes", "box_head.deltas", "keypoint_head.deconv"}


_KNOWN: dict[tuple[str, ...], tuple[View, qdq.QdqReport]] = {}


def quantized(model: FloatModel, graph: str, target: str, **options: Any) -> tuple[View, qdq.QdqReport]:
    """Quantize a copy and look at it; several tests look at the same one."""
    key = (model.name, graph, target, repr(sorted(options.items())))
    if key not in _KNOWN:
        copy = model.copy(graph)
        report = qdq.insert(copy, graph, model.ranges, target=target, method="max", **options)
        onnx.checker.check_model(copy, full_check=True)
        _KNOWN[key] = View(copy), report
    return _KNOWN[key]


def source(view: View, value: str) -> str:
    """Name of the value behind a Q/DQ pair, or the value itself."""
    index = view.makers.get(value)
    if index is None or view.node(index).op_type != "DequantizeLinear":
        return value
    quantize = view.makers.get(view.node(index).input[0])
    return value if quantize is None else str(view.node(quantize).input[0])


def has_pair(view: View, value: str) -> bool:
    return source(view, value) != value


def dequantizes(view: View, value: str) -> onnx.NodeProto | None:
    """The DequantizeLinear that makes a value, if one does."""
    index = view.makers.get(value)
    node = None if index is None else view.node(index)
    return node if node is not None and node.op_type == "DequantizeLinear" else None


@pytest.mark.parametrize("graph", GRAPHS)
def test_tensorrt_scales_are_symmetric_and_a_channel_for_weights(float_model: FloatModel, graph: str) -> None:
    view, _ = quantized(float_model, graph, "tensorrt")
    for node in view.model.graph.node:
        if node.op_type in ("QuantizeLinear", "DequantizeLinear"):
            zeros = view.array(node.input[2])
            assert zeros.dtype == np.int8
            assert not zeros.any()
            assert (view.array(node.input[1]) > 0).all()
            per_channel = view.array(node.input[1]).ndim == 1
            assert per_channel == (node.input[0] in view.constants)


@pytest.mark.parametrize("target", qdq.TARGETS)
@pytest.mark.parametrize("graph", GRAPHS)
def test_quantized_layers_read_pairs_and_int8_weights(float_model: FloatModel, graph: str, target: str) -> None:
    view, report = quantized(float_model, graph, target)
    found = Counter()
    for node in view.model.graph.node:
        if node.op_type not in ("Conv", "ConvTranspose", "Gemm"):
            continue
        weights = dequantizes(view, node.input[1])
        found[weights is not None] += 1
        if weights is None:
            assert node.input[1] in view.constants, "weights of excluded layers stay float initializers"
            continue
        assert view.constants[weights.input[0]].data_type == onnx.TensorProto.INT8
        assert has_pair(view, node.input[0]), f"{node.name} reads {node.input[0]} in float"
        if len(node.input) > 2 and target == "tensorrt":
            assert node.input[2] in view.constants
        if len(node.input) > 2 and target == "cpu":
            bias = dequantizes(view, node.input[2])
            assert bias is not None
            assert view.constants[bias.input[0]].data_type == onnx.TensorProto.INT32
    assert found[True] >= len(report.layers) > 0
    assert found[False] > 0


@pytest.mark.parametrize("graph", GRAPHS)
def test_nothing_between_a_convolution_and_its_activation(float_model: FloatModel, graph: str) -> None:
    for target in qdq.TARGETS:
        view, _ = quantized(float_model, graph, target)
        for index, node in enumerate(view.model.graph.node):
            if node.op_type == "QuantizeLinear" and node.input[0] in view.makers:
                readers = {view.node(reader).op_type for reader in view.readers[node.output[0]]}
                assert readers == {"DequantizeLinear"}
                maker = view.node(view.makers[node.input[0]])
                behind = [view.node(reader).op_type for reader in view.readers[node.input[0]]]
                if maker.op_type == "Conv" and target == "tensorrt":
                    assert not {"Relu", "Clip"}.intersection(behind), index
            if node.op_type in ("Relu", "Clip") and target == "cpu":
                assert not has_pair(view, node.input[0]), "an integer convolution's activation is in its range"


def test_sums_in_tensorrt_read_one_quantized_and_one_fused_branch(float_model: FloatModel) -> None:
    view, _ = quantized(float_model, "detector", "tensorrt")
    sums = 0
    for node in view.model.graph.node:
        if node.op_type != "Add":
            continue
        makers = [view.makers.get(name) for name in node.input]
        fused = [
            place
            for place, maker in enumerate(makers)
            if maker is not None and view.node(maker).op_type == "Conv" and dequantizes(view, view.node(maker).input[1])
        ]
        if fused and not any(name in view.constants for name in node.input):
            sums += 1
            assert len(fused) == 1, "the convolution's result enters the sum as it is"
            assert has_pair(view, node.input[1 - fused[0]])
    assert sums >= 3


def test_residual_and_branch_share_one_pair(float_models: dict[str, FloatModel]) -> None:
    view, _ = quantized(float_models["mobile"], "detector", "tensorrt")
    shared = 0
    for node in view.model.graph.node:
        if node.op_type == "Add":
            for name in node.input:
                readers = [view.node(reader).op_type for reader in view.readers[name]]
                shared += dequantizes(view, name) is not None and "Conv" in readers
    assert shared == 20  # the inverted residuals with a shortcut, of both sizes of the image
    pairs = Counter(node.input[0] for node in view.model.graph.node if node.op_type == "QuantizeLinear")
    assert max(pairs.values()) == 1


def test_cpu_sums_and_concatenations_are_integer(float_models: dict[str, FloatModel]) -> None:
    view, _ = quantized(float_models["mobile"], "detector", "cpu")
    integer = Counter()
    for node in view.model.graph.node:
        if node.op_type not in ("Add", "Concat") or not all(has_pair(view, name) for name in node.input):
            continue
        (reader,) = view.readers[node.output[0]]
        integer[node.op_type] += view.node(reader).op_type == "QuantizeLinear"
    assert integer["Add"] >= 13
    assert integer["Concat"] == 2  # of the maps that the prior's fusions enrich; its last fusion is float


def test_cpu_resize_keeps_its_inputs_scale(float_models: dict[str, FloatModel]) -> None:
    view, _ = quantized(float_models["mobile"], "detector", "cpu")
    checked = 0
    for node in view.model.graph.node:
        if node.op_type not in ("Resize", "MaxPool"):
            continue
        before = dequantizes(view, node.input[0])
        after = [view.node(reader) for reader in view.readers[node.output[0]]]
        if before is not None and after[0].op_type == "QuantizeLinear":
            checked += 1
            assert list(before.input[1:]) == list(after[0].input[1:])
    assert checked >= 3


@pytest.mark.parametrize("target", qdq.TARGETS)
def test_default_exclusions_stay_float(float_model: FloatModel, target: str) -> None:
    layers: set[str] = set()
    left: set[str] = set()
    for graph in GRAPHS:
        _, report = quantized(float_model, graph, target)
        layers.update(report.layers)
        left.update(report.excluded)
    for name in OUT:
        assert not any(layer.startswith(name) for layer in layers)
        there = float_model.name == "mobile" or not name.startswith("prior")
        assert any(layer.startswith(name) for layer in left) == there
    assert not any("to_qk" in layer or "to_v" in layer for layer in layers)


def test_defaults_can_be_taken_in(float_model: FloatModel) -> None:
    view, report = quantized(float_model, "pose", "tensorrt", defaults=False, blocks=["keypoint_head.deconv"])
    assert report.layers == ("keypoint_head.deconv",)
    (node,) = [node for node in view.model.graph.node if node.op_type == "ConvTranspose"]
    weights = dequantizes(view, node.input[1])
    assert weights is not None
    assert next(item.i for item in weights.attribute if item.name == "axis") == 1
    stored = view.array(weights.input[0])
    assert view.array(weights.input[1]).shape == (stored.shape[1],)


def test_exclusions_and_blocks(float_model: FloatModel) -> None:
    blocks = qdq.blocks_of(float_model.graphs["detector"], "detector")
    stage = next(name for name in blocks if name.startswith("backbone"))
    _, without = quantized(float_model, "detector", "cpu", exclude=[stage])
    _, alone = quantized(float_model, "detector", "cpu", blocks=[stage])
    assert set(alone.layers) == set(blocks[stage])
    assert set(blocks[stage]) <= set(without.excluded)
    _, single = quantized(float_model, "detector", "cpu", exclude=[blocks[stage][0]])
    assert blocks[stage][0] in single.excluded


def test_every_layer_is_in_one_block(float_model: FloatModel) -> None:
    for graph in GRAPHS:
        blocks = qdq.blocks_of(float_model.graphs[graph], graph)
        layers = [layer for members in blocks.values() for layer in members]
        view = View(float_model.graphs[graph])
        expected = {view.label(index) for index in range(len(view.model.graph.node)) if view.is_weighted(index)}
        assert sorted(layers) == sorted(expected)
        assert len(blocks) > 1


@pytest.mark.parametrize("options", [{"exclude": ["backbone.blocks.99"]}, {"blocks": ["nothing*"]}])
def test_unknown_names_are_refused(float_model: FloatModel, options: dict[str, list[str]]) -> None:
    with pytest.raises(GcposeError, match=r"no layer or block of the graph is called '(backbone.blocks.99|nothing\*)'"):
        qdq.insert(float_model.copy("detector"), "detector", AnyRange(), **options)


def test_unknown_target_and_quantized_graph_are_refused(float_model: FloatModel) -> None:
    model = float_model.copy("pose")
    with pytest.raises(GcposeError, match="no target is called 'gpu'; choose one of tensorrt, cpu"):
        qdq.insert(model, "pose", AnyRange(), target="gpu")
    qdq.insert(model, "pose", AnyRange())
    with pytest.raises(GcposeError, match="quantized already"):
        qdq.insert(model, "pose", AnyRange())


def test_needed_ranges_are_those_asked_for(float_model: FloatModel) -> None:
    class Asked(AnyRange):
        def __init__(self) -> None:
            self.names: set[str] = set()

        def amax(self, name: str, method: str, graph: str) -> float:
            self.names.add(name)
            return super().amax(name, method, graph)

        def range(self, name: str, method: str, graph: str) -> tuple[float, float]:
            self.names.add(name)
            return super().range(name, method, graph)

    for graph in GRAPHS:
        asked = Asked()
        for target in qdq.TARGETS:
            qdq.insert(float_model.copy(graph), graph, asked, target=target)
        assert sorted(asked.names) == sorted(qdq.quantizable_tensors(float_model.graphs[graph], graph))
        made = {name for node in float_model.graphs[graph].graph.node for name in node.output}
        made |= {value.name for value in float_model.graphs[graph].graph.input}
        assert asked.names <= made


def test_weights_and_their_axes(float_model: FloatModel) -> None:
    for graph in GRAPHS:
        view = View(float_model.graphs[graph])
        weights = qdq.quantizable_weights(float_model.graphs[graph], graph, defaults=False)
        for index in range(len(view.model.graph.node)):
            if view.is_weighted(index):
                node = view.node(index)
                expected = {"Conv": 0, "ConvTranspose": 1, "Gemm": 0}[node.op_type]
                assert weights[node.input[1]] == expected
