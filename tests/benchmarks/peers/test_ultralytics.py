"""YOLO pose through ultralytics, on a graph with its input and outputs; skipped where ultralytics is not installed."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings

from benchmarks.peers import ultralytics as peer
from gcpose_trt.benchmark.contender import ContenderSpec
from gcpose_trt.errors import GcposeError
from tests.benchmarks.peers.standins import DARK, JOINTS, SCORE, Graph, frame_with, joints_of, scenes

SIDE = 320
RECORD = {
    "stride": "32",
    "task": "pose",
    "batch": "1",
    "imgsz": f"[{SIDE}, {SIDE}]",
    "names": "{0: 'person'}",
    "kpt_shape": f"[{JOINTS}, 3]",
}


def spec(path: Path | str, **words: object) -> ContenderSpec:
    return ContenderSpec(str(path), peer="ultralytics", backend="", threads=1, **words)  # type: ignore[arg-type]


@pytest.fixture(autouse=True)
def installed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    if reason := peer.missing(spec(__file__)):
        pytest.skip(reason)
    monkeypatch.setenv("YOLO_CONFIG_DIR", str(tmp_path))


def yolo(path: Path, scale: np.ndarray, **record: str) -> str:
    """A graph with a YOLO pose network's input and output: the person with the spots, and two that do not count."""
    graph = Graph([1, 3, SIDE, SIDE])
    joints = graph.joints(graph.spots(-0.5 * scale, "rgb", DARK / 255))
    joints = graph.add("Concat", joints, graph.constant(np.full((JOINTS, 1), 0.5)), axis=1)
    joints = graph.add("Reshape", joints, graph.constant([1, JOINTS * 3], np.int64))
    person = graph.add("Concat", graph.constant([[160, 160, 40, 20, SCORE]]), joints, axis=1)
    others = np.zeros((2, 5 + JOINTS * 3))
    others[:, :5] = [[30, 30, 10, 10, 0.02], [165, 160, 40, 20, 0.5]]  # too doubtful; suppressed
    people = graph.add("Concat", graph.constant(others), person, axis=0)
    people = graph.add("Unsqueeze", graph.add("Transpose", people, perm=[1, 0]), graph.constant([0], np.int64))
    return graph.save(path, {"output0": (people, [1, 5 + JOINTS * 3, 3])}, RECORD | record)


@settings(max_examples=10, deadline=None, derandomize=True)
@given(scene=scenes())
def test_a_known_pose_comes_back(scene: tuple[int, int, np.ndarray], tmp_path_factory: pytest.TempPathFactory) -> None:
    height, width, shares = scene
    ratio = SIDE / max(height, width)
    scale = np.array([round(width * ratio), round(height * ratio)]) / [width, height]
    places = shares * [width, height]
    path = yolo(tmp_path_factory.mktemp("yolo") / "yolo.onnx", scale)
    opened = peer.open(spec(path, min_score=0.05))
    found, stages = opened.run(frame_with(height, width, places, 3 / min(scale.min(), 1)))
    assert found.scores == pytest.approx([SCORE])
    assert np.abs(found.keypoints[0, :, :2] - joints_of(places)).max() < 0.5
    centre = (found.boxes[0, :2] + found.boxes[0, 2:]) / 2
    assert centre == pytest.approx([width / 2, height / 2], abs=1 / ratio), "the letterbox is centred"
    assert list(stages) == ["preprocess", "network", "postprocess"]


def test_a_file_of_weights(tmp_path: Path) -> None:
    from ultralytics import YOLO

    YOLO("yolo11n-pose.yaml").save(tmp_path / "yolo.pt")
    opened = peer.open(spec(tmp_path / "yolo.pt", size="64", min_score=0.0))
    found, stages = opened.run(np.random.default_rng(0).integers(0, 256, (48, 80, 3), np.uint8))
    assert found.keypoints.shape[1:] == (JOINTS, 3)
    assert (opened.info.backend, opened.info.size) == ("torch", "long side 64")
    assert "AGPL-3.0" in opened.info.licence
    assert min(stages.values()) >= 0
    opened.close()


def test_other_files_are_refused(tmp_path: Path) -> None:
    path = yolo(tmp_path / "yolo.onnx", np.ones(2))
    with pytest.raises(GcposeError, match="takes 320x320 only, not 640"):
        peer.open(spec(path, size="640"))
    with pytest.raises(GcposeError, match="a multiple of 32"):
        peer.open(spec(path, size="100"))
    with pytest.raises(GcposeError, match="has no backend 'torch'; choose backend onnxruntime"):
        peer.open(ContenderSpec(path, peer="ultralytics", backend="torch"))
    with pytest.raises(GcposeError, match="has no 17 joints with confidences"):
        peer.open(spec(yolo(tmp_path / "two.onnx", np.ones(2), kpt_shape="[17, 2]")))
    (tmp_path / "torn.pt").write_bytes(b"no weights")
    with pytest.raises(GcposeError, match=r"torn\.pt cannot be opened"):
        peer.open(spec(tmp_path / "torn.pt"))
    with pytest.raises(GcposeError, match=r"no gone\.pt, a \.pt or \.onnx file of a YOLO pose network; give a file"):
        peer.open(spec(tmp_path / "gone.pt"))


def test_it_keeps_to_its_threads(tmp_path: Path) -> None:
    opened = peer.open(spec(yolo(tmp_path / "yolo.onnx", np.ones(2))))
    network = opened._predictor.model
    session = getattr(network, "session", None) or network.backend.session
    assert session.get_session_options().intra_op_num_threads == 1
