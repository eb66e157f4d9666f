"""Preparing a whole model: static graphs, fewer people, precision, native forms, opset, refusals."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

onnx = pytest.importorskip("onnx", reason="onnx is not installed; pip install 'gcpose-trt[export]'")
from onnx import TensorProto, helper  # noqa: E402

from gcpose_trt.errors import GcposeError  # noqa: E402
from gcpose_trt.graph.opset import lower_opset  # noqa: E402
from gcpose_trt.graph.prepare import is_half, prepare_bundle  # noqa: E402
from gcpose_trt.graph.tensors import infer  # noqa: E402
from gcpose_trt.runtime import bundle  # noqa: E402
from tests.graph.conftest import graph_of, run_model  # noqa: E402
from tests.support.bundles import make_bundle  # noqa: E402

FLOAT, INT64 = TensorProto.FLOAT, TensorProto.INT64
SIZE = (96, 160)


@pytest.fixture(scope="module")
def shipped() -> dict[str, Any]:
    paths = bundle.find("mobile")
    return {"detector": onnx.load(paths.detector), "pose": onnx.load(paths.pose)}


def feeds(size: tuple[int, int], batch: int = 1, seed: int = 0) -> dict[str, Any]:
    """Smooth blobs: the network finds some people in them."""
    rng = np.random.default_rng(seed)
    coarse = rng.integers(0, 256, (batch, size[0] // 16, size[1] // 16, 3)).astype(np.uint8)
    content = np.array([[size[0] - 3, size[1] - 7]] * batch)
    return {"image": coarse.repeat(16, 1).repeat(16, 2), "image_size": content}


@pytest.mark.parametrize("source", ["mobile", "tiny"])
@pytest.mark.parametrize("native", [False, True])
def test_static_graphs_compute_the_same(source: str, native: bool, request: Any, shipped: dict[str, Any]) -> None:
    if source == "tiny":
        folder = request.getfixturevalue("tiny_exported")
        models = {name: onnx.load(folder / f"{name}.onnx") for name in ("detector", "pose")}
    else:
        models = shipped
    way = "native" if native else "plugin"
    prepared = prepare_bundle((models["detector"], models["pose"]), size=SIZE, batch=1, gcm=way, roi_align=way)
    known = infer(prepared.detector)
    assert [n for node in prepared.detector.graph.node for n in node.output if known[n].static is None] == []
    dynamic = {dim.dim_param for value in prepared.pose.graph.input for dim in value.type.tensor_type.shape.dim}
    assert dynamic - {""} == {"people"}
    left = {node.op_type for model in (prepared.detector, prepared.pose) for node in model.graph.node}
    assert left.isdisjoint({"NonZero", "Range", "ConstantOfShape", "EyeLike", "CastLike"})
    assert native == left.isdisjoint({"GcmAttention", "MultiLevelRoiAlign"})

    expected, got = (run_model(model, feeds(SIZE)) for model in (models["detector"], prepared.detector))
    np.testing.assert_allclose(got["p2"], expected["p2"], atol=1e-3)
    np.testing.assert_array_equal(got["count"], expected["count"])
    np.testing.assert_allclose(got["boxes"], expected["boxes"], atol=0.02)
    np.testing.assert_allclose(got["scores"], expected["scores"], atol=1e-4)
    people = np.array([[4, 4, 60, 90], [50, 10, 150, 95], [-8, 20, 30, 50]], np.float32)
    pose_feeds = {"p2": expected["p2"], "boxes": people, "batch_index": np.zeros(3, np.int64)}
    expected, got = (run_model(model, pose_feeds) for model in (models["pose"], prepared.pose))
    moved = np.abs(got["keypoints"] - expected["keypoints"])[..., :2].max(-1)
    assert np.mean(moved > 0.01) < 0.05  # equal peaks of a random head may change places


def test_dynamic_graphs_stay_dynamic(shipped: dict[str, Any]) -> None:
    prepared = prepare_bundle((shipped["detector"], shipped["pose"]))
    for batch, size in ((2, SIZE), (1, (64, 96))):
        expected, got = (run_model(m, feeds(size, batch)) for m in (shipped["detector"], prepared.detector))
        np.testing.assert_allclose(got["boxes"], expected["boxes"], atol=0.02)


def test_nothing_given_is_changed(shipped: dict[str, Any]) -> None:
    before = shipped["detector"].SerializeToString(deterministic=True)
    prepare_bundle((shipped["detector"], shipped["pose"]), size=SIZE, batch=1, precision="fp16", gcm="native")
    assert shipped["detector"].SerializeToString(deterministic=True) == before


def test_fewer_people(shipped: dict[str, Any]) -> None:
    models = (shipped["detector"], shipped["pose"])
    full, few = (prepare_bundle(models, size=(160, 192), batch=1, max_people=most) for most in (None, 2))
    everyone, best = (run_model(p.detector, feeds((160, 192), seed=3)) for p in (full, few))
    assert best["boxes"].shape == (1, 2, 4)
    np.testing.assert_array_equal(best["boxes"], everyone["boxes"][:, :2])
    np.testing.assert_array_equal(best["scores"], everyone["scores"][:, :2])
    np.testing.assert_array_equal(best["count"], np.minimum(everyone["count"], 2))
    assert few.info.max_people == 2


def test_the_record_says_what_was_prepared() -> None:
    prepared = prepare_bundle("mobile", size=SIZE, batch=1, max_people=3, precision="fp16")
    for model, graph in ((prepared.detector, "detector"), (prepared.pose, "pose")):
        record = json.loads({entry.key: entry.value for entry in model.metadata_props}["gcpose"])
        assert record["size"] == list(SIZE)
        assert record["max_people"] == 3
        assert record["precision"] == "fp16"
        assert record["graph"] == graph
    assert prepared.info.size == SIZE
    assert is_half(prepared.detector, "p2")
    assert is_half(prepared.pose, "p2")
    assert not is_half(prepared.pose, "boxes")
    assert any("nodes in FP16" in note for note in prepared.notes)


def test_without_functions_the_graph_is_of_opset_17() -> None:
    """That such graphs compute the same is tested with the segments, which are of opset 17 too."""
    prepared = prepare_bundle("mobile", size=SIZE, batch=1, functions=False)
    for model in (prepared.detector, prepared.pose):
        assert not model.functions
        assert {e.domain: e.version for e in model.opset_import} == {"": 17, "gcpose": 1}
        for node in model.graph.node:
            names = {attribute.name for attribute in node.attribute}
            assert names.isdisjoint({"num_outputs", "antialias", "noop_with_empty_axes"}) or node.op_type == "ReduceSum"
            if node.op_type.startswith("Reduce") and node.op_type != "ReduceSum":
                assert len(node.input) == 1
    # No plugin serves the decode: its body took its place, and no shape is left to compute.
    left = {node.op_type for node in prepared.pose.graph.node}
    assert left.isdisjoint({"OksDecode", "Shape", "Range", "ConstantOfShape", "NonZero"})
    assert {"ArgMax", "GatherND", "MultiLevelRoiAlign"} <= left


def test_lowered_reductions_and_resizes_compute_the_same() -> None:
    nodes = [
        helper.make_node("ReduceMax", ["x", "axes"], ["most"], keepdims=1),
        helper.make_node("ReduceMin", ["x"], ["least"], keepdims=1),
        helper.make_node("Add", ["most", "least"], ["sum"]),
        helper.make_node(
            "Resize", ["x", "", "scales"], ["large"], mode="linear", antialias=0, keep_aspect_ratio_policy="stretch"
        ),
        helper.make_node("Add", ["large", "sum"], ["y"]),
    ]
    constants = {"axes": np.array([2, 3]), "scales": np.array([1, 1, 2, 2], np.float32)}
    model = graph_of(nodes, {"x": (FLOAT, [1, 2, 3, 4])}, {"y": (FLOAT, [1, 2, 6, 8])}, constants)
    x = np.random.default_rng(0).normal(size=(1, 2, 3, 4)).astype(np.float32)
    expected = run_model(model, {"x": x})["y"]
    lower_opset(model)
    assert next(entry.version for entry in model.opset_import if entry.domain == "") == 17
    onnx.checker.check_model(model, full_check=True)
    np.testing.assert_allclose(run_model(model, {"x": x})["y"], expected, rtol=1e-6)


def test_what_opset_17_cannot_say() -> None:
    nodes = [helper.make_node("BitwiseAnd", ["x", "x"], ["y"])]
    model = graph_of(nodes, {"x": (INT64, [2])}, {"y": (INT64, [2])})
    with pytest.raises(GcposeError, match=r"node y \(BitwiseAnd\) cannot be written in opset 17"):
        lower_opset(model)
    nodes = [helper.make_node("Abs", ["a"], ["axes"]), helper.make_node("ReduceMax", ["x", "axes"], ["y"])]
    model = graph_of(nodes, {"x": (FLOAT, [2]), "a": (INT64, [1])}, {"y": (FLOAT, [1])})
    with pytest.raises(GcposeError, match="axes of node y are computed"):
        lower_opset(model)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"precision": "int8"}, "the model has no QuantizeLinear nodes"),
        ({"precision": "fp8"}, "no precision is called 'fp8'; choose one of fp32, fp16, int8"),
        ({"gcm": "fast"}, "gcm cannot be 'fast'; choose plugin or native"),
        ({"roi_align": ""}, "roi_align cannot be ''; choose plugin or native"),
        ({"size": (100, 160)}, "size 100x160 is not made of multiples of 32"),
        ({"size": (0, 160)}, "size 0x160 is not made of multiples of 32"),
        ({"batch": 0}, "batch 0 is out of range"),
        ({"max_people": 31}, "max_people 31 is out of range, the model finds at most 30"),
        ({"max_people": 0}, "max_people 0 is out of range"),
    ],
)
def test_refusals(options: dict[str, Any], message: str) -> None:
    with pytest.raises(GcposeError) as caught:
        prepare_bundle("mobile", **options)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_model_of_one_size(tmp_path: Path) -> None:
    folder = make_bundle(tmp_path, size=[64, 96])
    assert prepare_bundle(folder, size=(64, 96), batch=1).info.size == (64, 96)
    with pytest.raises(GcposeError, match="was exported for 64x96 only, not 96x96"):
        prepare_bundle(folder, size=(96, 96))


@pytest.mark.parametrize("content", [b"not a model", b""])
def test_a_broken_file(tmp_path: Path, content: bytes) -> None:
    folder = make_bundle(tmp_path)
    (folder / "detector.onnx").write_bytes(content)
    with pytest.raises(GcposeError) as caught:
        prepare_bundle(folder)
    assert "\n" not in str(caught.value)
    assert "detector.onnx" in str(caught.value)
