"""Segments for builders without plugins: joined again they compute what the whole does; TensorRT-RTX builds them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

onnx = pytest.importorskip("onnx", reason="onnx is not installed; pip install 'gcpose-trt[export]'")

from gcpose_trt.graph.functions import attach_functions  # noqa: E402
from gcpose_trt.graph.prepare import PreparedGraphs, prepare_bundle  # noqa: E402
from gcpose_trt.graph.segments import Segment, is_outside, split_for_rtx  # noqa: E402
from gcpose_trt.graph.tensors import infer  # noqa: E402
from gcpose_trt.runtime.preprocess import SizeRule, fit, place  # noqa: E402
from gcpose_trt.video.sampling import read_frames  # noqa: E402
from tests.graph.conftest import run_model  # noqa: E402
from tests.support.rtx import build, needs_rtx  # noqa: E402

SIZE = (192, 256)
NAMES = ["backbone", "proposals", "box_head", "detections", "regions", "keypoint_head"]


def prepare(precision: str, **options: Any) -> PreparedGraphs:
    return prepare_bundle("mobile", size=SIZE, batch=1, max_people=4, precision=precision, gcm="native", **options)


def frame_feeds() -> dict[str, Any]:
    """A frame of the sample clip with people in it."""
    frame = read_frames(None)[-1]
    box = fit(frame.shape[:2], SizeRule(exact=SIZE, short=None, long=max(SIZE), divisor=32))
    image = np.zeros((1, *SIZE, 3), np.uint8)
    place(frame, box, image[0])
    return {"image": image, "image_size": np.array([box.content])}


def node_model(node: Any, whole: Any) -> Any:
    """Return a model of one node that stays outside."""
    known = infer(whole)

    def declare(name: str) -> Any:
        return onnx.helper.make_tensor_value_info(name, known[name].kind, [None] * len(known[name].shape))

    constants = [tensor for tensor in whole.graph.initializer if tensor.name in node.input]
    names = {tensor.name for tensor in constants}
    inputs = [declare(name) for name in dict.fromkeys(node.input) if name not in names]
    graph = onnx.helper.make_graph([node], "node", inputs, [declare(name) for name in node.output], constants)
    model = onnx.helper.make_model(graph, opset_imports=whole.opset_import, ir_version=whole.ir_version)
    attach_functions(model)
    return model


def run_chain(segments: list[Segment], whole: Any, feeds: dict[str, Any]) -> dict[str, Any]:
    """Run segments and outside nodes, each when its inputs are there."""
    waiting = [segment.model for segment in segments]
    waiting += [node_model(node, whole) for node in whole.graph.node if is_outside(node)]
    values = dict(feeds)
    while waiting:
        ready = [m for m in waiting if all(value.name in values for value in m.graph.input)]
        assert ready, "something reads what nothing makes"
        for model in ready:
            values |= run_model(model, {value.name: values[value.name] for value in model.graph.input})
            waiting.remove(model)
    return {value.name: values[value.name] for value in whole.graph.output}


@pytest.mark.parametrize(("precision", "tolerance"), [("fp32", 1e-3), ("fp16", 0.3)])
def test_joined_segments_compute_the_whole(precision: str, tolerance: float) -> None:
    prepared = prepare(precision)
    segments, outside = split_for_rtx(prepared.detector, prepared.pose)
    assert [segment.name for segment in segments] == NAMES
    assert [line.split()[:2] for line in outside] == [
        ["detector:", "Nms"],
        ["detector:", "MultiLevelRoiAlign"],
        ["detector:", "MultiLevelRoiAlign"],
        ["detector:", "Nms"],
        ["pose:", "MultiLevelRoiAlign"],  # features, joints' maps, those of the image at half its size
        ["pose:", "MultiLevelRoiAlign"],
        ["pose:", "MultiLevelRoiAlign"],
    ]
    feeds = frame_feeds()
    expected = run_model(prepared.detector, feeds)
    got = run_chain([s for s in segments if s.graph == "detector"], prepared.detector, feeds)
    count = int(expected["count"][0])
    assert count > 0
    assert int(got["count"][0]) == count
    # In FP16 ONNX Runtime rounds at the borders of segments and not in between.
    for name in ("p2", "boxes", "scores"):
        np.testing.assert_allclose(got[name], expected[name], atol=tolerance, err_msg=name)
    people = expected["boxes"][0, :count]
    pose_feeds = {"p2": expected["p2"], "boxes": people, "batch_index": np.zeros(count, np.int64)}
    expected = run_model(prepared.pose, pose_feeds)["keypoints"]
    got = run_chain([s for s in segments if s.graph == "pose"], prepared.pose, pose_feeds)["keypoints"]
    moved = np.abs(got - expected)[..., :2].max(-1)
    assert np.mean(moved > 1.5) < 0.1
    assert precision == "fp16" or moved.max() < 0.01


def test_segments_are_plain_onnx() -> None:
    prepared = prepare("fp16")
    segments, _ = split_for_rtx(prepared.detector, prepared.pose)
    nodes = 0
    for segment in segments:
        onnx.checker.check_model(segment.model, full_check=True)
        assert {node.domain for node in segment.model.graph.node} == {""}
        assert next(entry.version for entry in segment.model.opset_import if entry.domain == "") == 17
        assert not segment.model.functions
        assert set(segment.inputs).isdisjoint(segment.outputs)
        nodes += len(segment.model.graph.node)
    inlined = prepare("fp16", functions=False)
    whole = [node for model in (inlined.detector, inlined.pose) for node in model.graph.node]
    assert nodes == sum(not is_outside(node) for node in whole)


def test_the_decode_is_part_of_the_head_in_float32() -> None:
    """From the logits on nothing is half, no shape is computed, and what was given keeps its node."""
    prepared = prepare("fp16")
    segments, _ = split_for_rtx(prepared.detector, prepared.pose)
    (decode,) = [node for node in prepared.pose.graph.node if node.op_type == "OksDecode"]
    head = next(segment.model for segment in segments if segment.name == "keypoint_head")
    assert [value.name for value in head.graph.output] == ["keypoints"]
    known = infer(head)
    assert known["keypoints"].shape == ("people", 17, 3)
    assert known[decode.input[0]].kind == onnx.TensorProto.FLOAT
    behind = [decode.input[0]]
    types = set()
    for node in head.graph.node:
        if set(behind).intersection(node.input):
            behind += node.output
            types.add(node.op_type)
            kinds = {known[name].kind for name in [*node.input, *node.output]}
            assert kinds <= {onnx.TensorProto.FLOAT, onnx.TensorProto.INT64}, node.output
    assert {"MatMul", "ArgMax", "GatherND", "Log"} <= types
    assert types.isdisjoint({"Shape", "Range", "NonZero"})


@needs_rtx
@pytest.mark.parametrize("precision", ["fp32", "fp16"])
def test_segments_of_the_small_network_build(tiny_exported: Path, tmp_path: Path, precision: str) -> None:
    """A network of the r50's structure; the shipped model's builds are tested with the builder."""
    prepared = prepare_bundle(tiny_exported, size=(96, 128), batch=1, precision=precision, gcm="native")
    segments, outside = split_for_rtx(prepared.detector, prepared.pose)
    assert [segment.name for segment in segments] == NAMES
    assert len(outside) == 5
    for segment in segments:
        path = tmp_path / f"{segment.name}.onnx"
        onnx.save(segment.model, path)
        parsed = build(path)
        assert parsed["bytes"] > 10_000, segment.name
