"""Counts against formulas of their own, on graphs that ONNX Runtime optimised and ran."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper

from gcpose_trt.benchmark.roofline.counting import Call, Value, count
from tests.benchmark.roofline.tiny import counted, graph, operations

FLOAT = np.float32
FAST = settings(deadline=None, max_examples=12, derandomize=True)


def rounded_up(length: int, stride: int) -> int:
    return -(-length // stride)


@FAST
@given(
    groups=st.sampled_from((1, 2, 3, 8)),
    per_group=st.tuples(st.integers(1, 9), st.integers(1, 9)),
    sides=st.tuples(st.integers(5, 12), st.integers(5, 12)),
    kernel=st.sampled_from((1, 3, 5)),
    stride=st.integers(1, 3),
    depthwise=st.booleans(),
)
def test_a_convolution_has_a_multiply_add_a_tap(groups, per_group, sides, kernel, stride, depthwise) -> None:
    inputs, outputs = (1, 1) if depthwise else per_group
    x = np.ones((2, groups * inputs, *sides), FLOAT)
    weights = {"w": np.ones((groups * outputs, inputs, kernel, kernel), FLOAT), "b": np.ones(groups * outputs, FLOAT)}
    node = helper.make_node(
        "Conv", ["x", "w", "b"], ["y"], group=groups, strides=[stride, stride], pads=[kernel // 2] * 4
    )
    with tempfile.TemporaryDirectory() as folder:
        nodes = counted(graph([node], {"x": x}, "y", weights), {"x": x}, Path(folder))
    height, width = (rounded_up(side, stride) for side in sides)
    expected = 0
    for _ in range(2 * groups * outputs):  # maps that come out
        expected += 2 * height * width * inputs * kernel * kernel
    assert sum(work.operations for _, work in nodes) == expected
    (moved,) = [work.bytes for call, work in nodes if call.op == "Conv"]
    results = 2 * groups * outputs * height * width
    assert moved == 4 * (x.size + weights["w"].size + weights["b"].size + results)


def test_an_activation_behind_a_convolution_is_part_of_it(tmp_path: Path) -> None:
    x = np.ones((1, 5, 6, 6), FLOAT)
    nodes = [
        helper.make_node("Conv", ["x", "w"], ["c"], name="first"),
        helper.make_node("Relu", ["c"], ["r"], name="second"),
        helper.make_node("Conv", ["r", "v"], ["y"], name="third"),
    ]
    weights = {"w": np.ones((7, 5, 3, 3), FLOAT), "v": np.ones((3, 7, 1, 1), FLOAT)}
    found = counted(graph(nodes, {"x": x}, "y", weights), {"x": x}, tmp_path)
    assert sum(work.operations for _, work in found) == 2 * 16 * 7 * (5 * 9) + 2 * 16 * 3 * 7
    # Seven channels are padded to eight or sixteen in memory; the seven count.
    assert any(work.bytes == 4 * (7 * 16 + 3 * 7 + 3 * 16) for _, work in found)


def test_a_transposed_convolution_spreads_every_input_over_the_window(tmp_path: Path) -> None:
    x = np.ones((3, 6, 4, 5), FLOAT)
    node = helper.make_node("ConvTranspose", ["x", "w"], ["y"], strides=[2, 2], pads=[1, 1, 1, 1], group=2)
    model = graph([node], {"x": x}, "y", {"w": np.ones((6, 5, 4, 4), FLOAT)})
    assert operations(model, {"x": x}, tmp_path) == 2 * (3 * 6 * 4 * 5) * (5 * 4 * 4)


@pytest.mark.parametrize("turned", [(0, 0), (1, 0), (0, 1), (1, 1)])
def test_gemm_counts_along_the_inner_side(tmp_path: Path, turned: tuple[int, int]) -> None:
    a = np.ones((7, 3) if turned[0] else (3, 7), FLOAT)
    weights = {"b": np.ones((5, 7) if turned[1] else (7, 5), FLOAT), "c": np.ones(5, FLOAT)}
    nodes = [
        helper.make_node("Gemm", ["a", "b", "c"], ["g"], transA=turned[0], transB=turned[1]),
        helper.make_node("Relu", ["g"], ["y"]),
    ]
    assert operations(graph(nodes, {"a": a}, "y", weights), {"a": a}, tmp_path) == 2 * 3 * 5 * 7


def test_products_of_many_matrices_scaled_and_turned(tmp_path: Path) -> None:
    feeds = {"a": np.ones((2, 4, 6, 9), FLOAT), "b": np.ones((2, 4, 6, 8), FLOAT)}
    nodes = [
        helper.make_node("Transpose", ["a"], ["t"], perm=[0, 1, 3, 2]),
        helper.make_node("MatMul", ["t", "b"], ["m"]),
        helper.make_node("Mul", ["m", "s"], ["y"]),
    ]
    found = counted(graph(nodes, feeds, "y", {"s": np.float32(0.5)}), feeds, tmp_path)
    products = [work.operations for call, work in found if "MatMul" in call.op]
    assert products == [2 * (2 * 4) * 9 * 8 * 6]


def quantized() -> dict[str, np.ndarray]:
    return {"s": np.float32(0.1), "z": np.uint8(3), "ws": np.float32(0.1), "wz": np.int8(0)}


def test_quantized_convolutions_are_integer_work_of_a_byte_a_number(tmp_path: Path) -> None:
    x = np.ones((1, 8, 6, 6), np.uint8)
    weights = {**quantized(), "w": np.ones((4, 8, 3, 3), np.int8)}
    node = helper.make_node("QLinearConv", ["x", "s", "z", "w", "ws", "wz", "s", "z"], ["y"])
    found = counted(graph([node], {"x": x}, "y", weights, TensorProto.UINT8), {"x": x}, tmp_path)
    (work,) = [work for call, work in found if call.op == "QLinearConv"]
    assert work.operations == 2 * (4 * 4 * 4) * (8 * 9)
    assert work.integer and work.known
    assert work.bytes == x.size + 4 * 8 * 9 + 4 * 16 + (4 + 1 + 4 + 1 + 4 + 1)


def test_integer_matrices(tmp_path: Path) -> None:
    a = np.ones((3, 5), np.uint8)
    node = helper.make_node("MatMulInteger", ["a", "w"], ["y"])
    model = graph([node], {"a": a}, "y", {"w": np.ones((5, 7), np.int8)}, TensorProto.INT32)
    ((_, work),) = counted(model, {"a": a}, tmp_path)
    assert (work.operations, work.bytes, work.integer) == (2 * 3 * 5 * 7, 15 + 35 + 4 * 21, True)


@pytest.mark.parametrize("sides", [(4, 4), (9, 6)])
def test_inside_a_function_and_with_sides_known_at_run_time_only(tmp_path: Path, sides: tuple[int, int]) -> None:
    inner = [helper.make_node("Conv", ["a", "w"], ["c"]), helper.make_node("Sigmoid", ["c"], ["b"])]
    function = helper.make_function("own", "Block", ["a", "w"], ["b"], inner, [helper.make_opsetid("", 18)])
    nodes = [
        helper.make_node("Block", ["x", "w"], ["h"], domain="own", name="one"),
        helper.make_node("Block", ["h", "w"], ["y"], domain="own", name="two"),
    ]
    x = np.ones((1, 3, *sides), FLOAT)
    model = graph(nodes, {"x": x}, "y", {"w": np.ones((3, 3, 1, 1), FLOAT)}, functions=(function,), dynamic=True)
    found = counted(model, {"x": x}, tmp_path)
    convolutions = [work.operations for call, work in found if call.op.endswith("Conv")]
    assert sum(convolutions) == 2 * (2 * sides[0] * sides[1] * 3 * 3)


def value(*shape: int, kind: str = "float") -> Value:
    return Value(shape, kind)


@pytest.mark.parametrize(
    ("call", "counts", "moved"),
    [
        (Call("Reshape", (value(4, 6), value(2, kind="int64")), (value(24),)), 0, 0),
        (Call("Transpose", (value(4, 6),), (value(6, 4),)), 0, 192),
        (Call("Shape", (value(4, 6),), (value(2, kind="int64"),)), 0, 16),
        (Call("Gather", (value(1000, 4), value(3, kind="int64")), (value(3, 4),)), 0, 48 + 24 + 48),
        (Call("Add", (value(5, 6), value()), (value(5, 6),)), 30, 120 + 4 + 120),
        (Call("Softmax", (value(2, 9),), (value(2, 9),)), 90, 144),
        (Call("MaxPool", (value(1, 2, 8, 8),), (value(1, 2, 4, 4),), {"kernel_shape": [2, 2]}), 128, 512 + 128),
        (Call("Resize", (value(1, 1, 4, 4), None), (value(1, 1, 8, 8),), {"mode": b"linear"}), 512, 64 + 256),
        (Call("Resize", (value(1, 1, 4, 4), None), (value(1, 1, 8, 8),), {"mode": b"nearest"}), 0, 64 + 256),
        (Call("ReduceSum", (value(4, 25),), (value(4),)), 100, 416),
        (
            Call("RoiAlign", (value(1, 8, 99, 99), value(2, 4), value(2, kind="int64")), (value(2, 8, 7, 7),)),
            2 * 8 * 49 * 8,
            2 * 16 + 16 + 4 * 784,
        ),
    ],
    ids=lambda item: item.op if isinstance(item, Call) else "",
)
def test_everything_else(call: Call, counts: int, moved: int) -> None:
    work = count(call)
    assert (work.operations, work.bytes, work.known, work.integer) == (counts, moved, True, False)


def test_an_unknown_node_is_said_to_be_one() -> None:
    work = count(Call("Strange", (value(3),), (value(3),)))
    assert (work.operations, work.bytes, work.known) == (3, 24, False)
