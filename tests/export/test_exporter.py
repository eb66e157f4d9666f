"""The files that the exporter writes, and those that it does not."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnx.inliner
import onnxruntime
import pytest
import torch
from numpy.typing import NDArray

from gcpose_trt.errors import GcposeError
from gcpose_trt.export import export_model
from gcpose_trt.export import exporter as exporter_module
from gcpose_trt.export.exporter import check_options
from gcpose_trt.model.checkpoint.exported import weights_digest

Array = NDArray[Any]
DETECTOR_OUTPUTS = ["p2", "boxes", "scores", "count"]


def session(path: Path) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 4
    return onnxruntime.InferenceSession(str(path), options)


def noise(seed: int, batch: int, height: int, width: int) -> Array:
    return np.random.default_rng(seed).integers(0, 255, (batch, height, width, 3)).astype(np.uint8)


def test_report_agrees_with_pytorch(exported: Any) -> None:
    assert [stage.name for stage in exported.report.stages][:4] == DETECTOR_OUTPUTS
    assert all(stage.agrees for stage in exported.report.stages)
    assert sorted(path.name for path in exported.folder.iterdir()) == ["detector.onnx", "pose.onnx"]
    assert any("keypoints" in line and "median" in line for line in exported.lines)


def test_own_ops_are_nodes_with_bodies_of_standard_onnx(exported: Any) -> None:
    expected = {
        "detector": {"MultiLevelRoiAlign", "Nms"},
        "pose": {"MultiLevelRoiAlign", "GcmAttention", "KeypointDecode"},
    }
    for graph, names in expected.items():
        model = onnx.load(exported.folder / f"{graph}.onnx")
        assert {node.op_type for node in model.graph.node if node.domain == "gcpose"} == names
        assert {node.domain for node in model.graph.node} == {"", "gcpose"}
        assert {function.name for function in model.functions} == names
        assert {node.domain for function in model.functions for node in function.node} == {""}
        onnx.checker.check_model(model, full_check=True)


def test_inlining_leaves_standard_onnx_only(exported: Any) -> None:
    model = onnx.inliner.inline_local_functions(onnx.load(exported.folder / "pose.onnx"))
    assert {node.domain for node in model.graph.node} == {""}
    p2 = np.ones((1, 8, 16, 16), np.float32)
    feeds = {"p2": p2, "boxes": np.array([[4, 4, 40, 50]], np.float32), "batch_index": np.zeros(1, np.int64)}
    (inlined,) = onnxruntime.InferenceSession(model.SerializeToString()).run(None, feeds)
    (original,) = session(exported.folder / "pose.onnx").run(None, feeds)
    np.testing.assert_allclose(inlined, original, atol=1e-5)


def test_metadata(exported: Any) -> None:
    records = {}
    for graph in ("detector", "pose"):
        model = onnx.load(exported.folder / f"{graph}.onnx")
        properties = {entry.key: entry.value for entry in model.metadata_props}
        assert set(properties) == {"gcpose", "gcpose.folded"}
        records[graph] = json.loads(properties["gcpose"])
        assert records[graph].pop("graph") == graph
    assert records["detector"] == records["pose"]
    assert records["pose"] == {
        "format": 1,
        "model": "tiny",
        "resize": {"short": None, "long": 160},
        "divisor": 32,
        "max_people": 10,
        "keypoints": 17,
        "min_score": 0.5,
        "keypoint_threshold": 0.05,
        "rank": "box",
        "weights_sha256": weights_digest(exported.model.state_dict()),
        "size": None,
        "opset": 18,
        "gcpose_trt": records["pose"]["gcpose_trt"],
    }


def test_files_hold_nothing_but_the_network(exported: Any) -> None:
    for graph in ("detector", "pose"):
        path = exported.folder / f"{graph}.onnx"
        model = onnx.load(path)
        assert not any(node.metadata_props or node.doc_string for node in model.graph.node)
        assert not model.graph.value_info
        contents = [(tuple(tensor.dims), tensor.data_type, tensor.raw_data) for tensor in model.graph.initializer]
        assert len(contents) == len(set(contents))
        weights = sum(len(data) for _, _, data in contents)
        assert path.stat().st_size < weights + 160_000
        assert b"/tests/" not in path.read_bytes()


def test_dynamic_dimensions_have_plain_names(exported: Any) -> None:
    found = session(exported.folder / "detector.onnx")
    assert {value.name: value.shape for value in found.get_inputs()} == {
        "image": ["batch", "height", "width", 3],
        "image_size": ["batch", 2],
    }
    assert {value.name: value.shape for value in found.get_outputs()} == {
        "p2": ["batch", 8, "p2_height", "p2_width"],
        "boxes": ["batch", 10, 4],
        "scores": ["batch", 10],
        "count": ["batch"],
    }


def test_a_batch_is_its_images_one_by_one(exported: Any) -> None:
    detector = session(exported.folder / "detector.onnx")
    image, size = noise(1, 2, 128, 96), np.array([[128, 90], [77, 96]])
    together = detector.run(DETECTOR_OUTPUTS, {"image": image, "image_size": size})
    assert together[3].min() > 0
    for row in range(2):
        feeds = {"image": image[row : row + 1], "image_size": size[row : row + 1]}
        for batched, alone in zip(together, detector.run(DETECTOR_OUTPUTS, feeds), strict=True):
            np.testing.assert_allclose(batched[row], alone[0], atol=1e-4)


@pytest.mark.parametrize("shape", [(32, 32), (32, 256), (224, 64), (256, 256)])
def test_any_multiple_of_32_will_do(exported: Any, shape: tuple[int, int]) -> None:
    image, size = noise(2, 1, *shape), np.array([shape])
    feeds = {"image": image, "image_size": size}
    p2, boxes, scores, count = session(exported.folder / "detector.onnx").run(DETECTOR_OUTPUTS, feeds)
    with torch.inference_mode():
        expected = exported.model.detect(torch.from_numpy(image), torch.from_numpy(size))
    np.testing.assert_allclose(p2, expected.p2.numpy(), atol=1e-4)
    np.testing.assert_allclose(boxes, expected.boxes.numpy(), atol=1e-2)
    np.testing.assert_allclose(scores, expected.scores.numpy(), atol=1e-4)
    assert count.tolist() == expected.count.tolist()


def test_padding_is_blanked_inside_the_graph(exported: Any) -> None:
    detector = session(exported.folder / "detector.onnx")
    image, size = noise(3, 1, 96, 96), np.array([[60, 70]])
    other = image.copy()
    other[:, 60:], other[:, :, 70:] = 9, 200
    for a, b in zip(
        detector.run(None, {"image": image, "image_size": size}),
        detector.run(None, {"image": other, "image_size": size}),
        strict=True,
    ):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("people", [1, 7])
def test_any_number_of_people(exported: Any, people: int) -> None:
    rng = np.random.default_rng(people)
    p2 = rng.normal(size=(2, 8, 20, 28)).astype(np.float32)
    corner = rng.uniform(-10, 60, (people, 2))
    boxes = np.concatenate([corner, corner + rng.uniform(0, 90, (people, 2))], 1).astype(np.float32)
    batch_index = rng.integers(0, 2, people)
    feeds = {"p2": p2, "boxes": boxes, "batch_index": batch_index}
    (keypoints,) = session(exported.folder / "pose.onnx").run(None, feeds)
    with torch.inference_mode():
        expected = exported.model.pose(*(torch.from_numpy(value) for value in feeds.values())).numpy()
    assert keypoints.shape == (people, 17, 3)
    np.testing.assert_allclose(keypoints[..., 2], expected[..., 2], atol=1e-5)
    assert (np.abs(keypoints - expected).max(-1) < 1e-2).mean() > 0.98


def tamper(path: Path, prefix: str) -> None:
    """Shift the largest tensor whose name contains `prefix`, as a fault of the exporter might."""
    model = onnx.load(path)
    named = [tensor for tensor in model.graph.initializer if prefix in tensor.name]
    tensor = max(named, key=lambda candidate: len(candidate.raw_data))
    values = onnx.numpy_helper.to_array(tensor) + np.float32(0.3)
    tensor.CopyFrom(onnx.numpy_helper.from_array(values, tensor.name))
    onnx.save(model, path)


@pytest.mark.parametrize(
    ("graph", "weights", "stage"),
    [("detector", "neck.output", "p2"), ("detector", "box_head.fc1", "boxes"), ("pose", "keypoint_head", "keypoints")],
)
def test_a_model_that_disagrees_is_not_written(
    tiny: Any,
    tmp_path: Path,
    frames: Any,
    monkeypatch: pytest.MonkeyPatch,
    exported: Any,
    graph: str,
    weights: str,
    stage: str,
) -> None:
    def copy_tampered(model: Any, folder: Path, *rest: Any) -> None:
        for name in ("detector", "pose"):
            (folder / f"{name}.onnx").write_bytes((exported.folder / f"{name}.onnx").read_bytes())
        tamper(folder / f"{graph}.onnx", weights)

    monkeypatch.setattr(exporter_module, "_write_graphs", copy_tampered)
    before = tmp_path / "detector.onnx"
    before.write_bytes(b"an older model")
    lines: list[str] = []
    with pytest.raises(GcposeError, match=rf"disagrees with PyTorch in .*{stage}.*nothing was written"):
        export_model(tiny, tmp_path, images=frames, progress=lines.append)
    assert "DISAGREES" in lines[-1]
    assert [path.name for path in tmp_path.iterdir()] == ["detector.onnx"]
    assert before.read_bytes() == b"an older model"


def test_a_failing_trace_leaves_nothing_behind(
    tiny: Any, tmp_path: Path, frames: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(exporter_module, "trace_pose", fail)
    monkeypatch.setattr(exporter_module, "trace_detector", lambda *_: onnx.ModelProto())
    with pytest.raises(KeyboardInterrupt):
        export_model(tiny, tmp_path / "a" / "b", images=frames, max_people=4)
    assert list(tmp_path.iterdir()) == []
    assert tiny.box_head.config.max_people == 10


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"size": (100, 128)}, "multiples of 32"),
        ({"size": (0, 32)}, "out of range"),
        ({"max_people": 0}, "from 1 to"),
        ({"max_people": 100000}, "from 1 to"),
        ({"opset": 16}, "from 18 to 21"),
        ({"opset": 22}, "from 18 to 21"),
    ],
)
def test_options_out_of_range(options: dict[str, Any], message: str) -> None:
    with pytest.raises(GcposeError, match=message):
        check_options(**{"size": None, "max_people": None, "opset": 18, **options})


def test_no_images(tiny: Any, tmp_path: Path) -> None:
    with pytest.raises(GcposeError, match="no images to check"):
        export_model(tiny, tmp_path / "out", images=[])
    assert list(tmp_path.iterdir()) == []
