"""Quantized graphs at work: near the float ones, integer kernels in ONNX Runtime, builds in TensorRT-RTX."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pytest

onnx = pytest.importorskip("onnx", reason="onnx is not installed; pip install 'gcpose-trt[export]'")
import onnxruntime  # noqa: E402

from gcpose_trt.graph import qdq  # noqa: E402
from gcpose_trt.graph.prepare import prepare_bundle  # noqa: E402
from gcpose_trt.graph.qdq.pixels import read_pixels  # noqa: E402
from gcpose_trt.graph.qdq.view import View  # noqa: E402
from gcpose_trt.graph.segments import split_for_rtx  # noqa: E402
from tests.graph.conftest import run_model  # noqa: E402
from tests.graph.qdq.conftest import FloatModel, run_all  # noqa: E402
from tests.support.rtx import build, needs_rtx  # noqa: E402


@pytest.mark.parametrize("target", qdq.TARGETS)
def test_outputs_stay_near_the_float_graph(float_model: FloatModel, target: str) -> None:
    detector = float_model.copy("detector")
    qdq.insert(detector, "detector", float_model.ranges, target=target, method="max")
    found = run_model(detector, float_model.feeds["detector"])
    error = np.linalg.norm(found["p2"] - float_model.outputs["detector"]["p2"])
    # Of a seeded network's maps, and of a trained one's whose prior tells next to nothing in so small an image.
    assert 0 < error < 0.3 * np.linalg.norm(float_model.outputs["detector"]["p2"])
    pose = float_model.copy("pose")
    qdq.insert(pose, "pose", float_model.ranges, target=target, method="max")
    keypoints = run_model(pose, float_model.feeds["pose"])["keypoints"]
    distance = np.abs(keypoints - float_model.outputs["pose"]["keypoints"])[..., :2]
    assert np.median(distance) < 1.5  # pixels


def test_onnxruntime_runs_every_layer_on_integers(float_models: dict[str, FloatModel], tmp_path: Path) -> None:
    # The backbone and MoveNet's heads run twice, the pyramid and the branches once.
    expected = {"detector": {"QLinearConv": 130, "QGemm": 2, "QLinearAdd": 27}, "pose": {"QLinearConv": 7}}
    for graph, counts in expected.items():
        model = float_models["mobile"].copy(graph)
        report = qdq.insert(model, graph, float_models["mobile"].ranges, target="cpu", method="max")
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 4
        options.intra_op_num_threads = 1
        options.optimized_model_filepath = str(tmp_path / f"{graph}.onnx")
        onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
        kinds = Counter(
            node.op_type for node in onnx.load(tmp_path / f"{graph}.onnx", load_external_data=False).graph.node
        )
        assert {name: kinds[name] for name in counts} == counts
        # A layer that runs on the image and on its half is two nodes.
        view = View(float_models["mobile"].copy(graph))
        nodes = [n for n in range(len(view.model.graph.node)) if view.is_weighted(n) and view.label(n) in report.layers]
        assert len(nodes) == counts["QLinearConv"] + counts.get("QGemm", 0)


def test_quantized_files_are_small(float_models: dict[str, FloatModel]) -> None:
    for target in qdq.TARGETS:
        sizes = np.zeros(2)
        for graph in ("detector", "pose"):
            model = float_models["mobile"].copy(graph)
            before = model.ByteSize()
            qdq.insert(model, graph, float_models["mobile"].ranges, target=target)
            sizes += before, model.ByteSize()
        assert sizes[1] < 0.4 * sizes[0]


def test_pixels_are_read_as_they_are(float_models: dict[str, FloatModel]) -> None:
    """The first convolution's results are the same within the frame, and half a grey level off at most outside."""
    before = float_models["mobile"]
    model = before.copy("detector")
    view = View(model)
    stem = next(index for index in range(len(model.graph.node)) if view.is_weighted(index))
    value, weight = view.end(stem), view.array(view.node(stem).input[1])
    expected = run_all(before.graphs["detector"], before.feeds["detector"], [value])[value]
    assert read_pixels(model, {stem})
    found = run_all(model, before.feeds["detector"], [value])[value]
    height, width = before.feeds["detector"]["image_size"][0] // 2 - 1
    np.testing.assert_allclose(found[:, :, :height, :width], expected[:, :, :height, :width], atol=2e-5)
    most = 0.5 / 127.5 * np.abs(weight).sum(axis=(1, 2, 3)).max()
    assert np.abs(found - expected).max() <= most + 1e-5
    assert height < expected.shape[2] - 2  # there is something outside


def test_other_normalisations_stay(float_models: dict[str, FloatModel]) -> None:
    model = float_models["tiny"].copy("detector")  # a mean for each channel, and pooling before the convolutions
    view = View(model)
    assert not read_pixels(model, {index for index in range(len(model.graph.node)) if view.is_weighted(index)})
    assert model == float_models["tiny"].graphs["detector"]


@needs_rtx
def test_tensorrt_rtx_parses_and_builds(float_model: FloatModel, tmp_path: Path) -> None:
    models = {graph: float_model.copy(graph) for graph in ("detector", "pose")}
    for graph, model in models.items():
        qdq.insert(model, graph, float_model.ranges, target="tensorrt", method="max")
    prepared = prepare_bundle(
        (models["detector"], models["pose"]), size=(96, 128), batch=1, precision="int8", gcm="native"
    )
    segments, _ = split_for_rtx(prepared.detector, prepared.pose)
    checked = 0
    for segment in segments:
        inserted = Counter(node.op_type for node in segment.model.graph.node)
        if not inserted["QuantizeLinear"]:
            continue
        path = tmp_path / f"{segment.name}.onnx"
        onnx.save(segment.model, path)
        parsed = build(path)
        assert parsed["QUANTIZE"] == inserted["QuantizeLinear"]
        assert parsed["DEQUANTIZE"] >= inserted["DequantizeLinear"]
        assert parsed["bytes"] > 10_000
        checked += 1
    assert checked == 3  # backbone, box head, keypoint head
