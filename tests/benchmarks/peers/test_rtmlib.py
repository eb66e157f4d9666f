"""RTMO and RTMPose through rtmlib, on graphs with their inputs and outputs; skipped where rtmlib is not installed."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings

from benchmarks.peers import rtmlib as peer
from gcpose_trt.benchmark.contender import ContenderSpec
from gcpose_trt.errors import GcposeError
from tests.benchmarks.peers.standins import DARK, JOINTS, SCORE, Graph, frame_with, joints_of, scenes

SIDE = 320
# rtmlib gives RTMPose the mean and deviation of red, green, blue for the channels as they are: blue, green, red.
MEAN, DEVIATION = np.array([123.675, 116.28, 103.53]), np.array([58.395, 57.12, 57.375])


def spec(path: Path | str, **words: object) -> ContenderSpec:
    return ContenderSpec(str(path), peer="rtmlib", backend="", threads=1, **words)  # type: ignore[arg-type]


@pytest.fixture(autouse=True)
def installed() -> None:
    reason = peer.missing(spec(__file__))
    if reason:
        pytest.skip(reason)


def with_scores(graph: Graph, joints: str, score: float = 0.5) -> str:
    """Turn (17, 2) into one person (1, 17, 3)."""
    scored = graph.add("Concat", joints, graph.constant(np.full((JOINTS, 1), score)), axis=1)
    return graph.add("Unsqueeze", scored, graph.constant([0], np.int64))


def rtmo(path: Path, scale: np.ndarray, scores: tuple[float, ...] = (0.02, SCORE)) -> str:
    """A graph with RTMO's input and outputs: the last person has the spots, the others lie elsewhere."""
    graph = Graph([1, 3, "height", "width"])
    person = with_scores(graph, graph.joints(graph.spots(-0.5 * scale, "bgr")))
    others = graph.constant(np.full((max(len(scores) - 1, 0), JOINTS, 3), 0.25))
    joints = graph.add("Concat", others, person, axis=0) if scores else graph.constant(np.zeros((0, JOINTS, 3)))
    boxes = [[100 * row, 0, 100 * row + 40, 30, score] for row, score in enumerate(scores)]
    outputs = {
        "dets": (graph.constant(np.reshape(boxes, (1, -1, 5))), [1, "people", 5]),
        "keypoints": (graph.add("Unsqueeze", joints, graph.constant([0], np.int64)), [1, "people", JOINTS, 3]),
    }
    return graph.save(path, outputs, {})


def detector(path: Path, box: tuple[float, ...]) -> str:
    """A detector that suppresses boxes itself: a dog, a person, and a doubtful one."""
    graph = Graph([1, 3, SIDE, SIDE])
    found = [[*box, 0.95], [*box, SCORE], [1, 2, 30, 40, 0.02]]
    outputs = {
        "dets": (graph.constant([found]), [1, "people", 5]),
        "labels": (graph.constant([[16, 0, 0]], np.int64), [1, "people"]),
    }
    return graph.save(path, outputs, {})


def rtmpose(path: Path) -> str:
    """A graph with RTMPose's input and outputs: two distributions a joint, in steps of half a pixel."""
    graph = Graph(["batch", 3, 256, 192])
    # Crops are cut with pixel indices for coordinates, so a centre is half a pixel before the spot's.
    joints = graph.joints(graph.spots(np.full(2, -0.5), "bgr", (DARK - MEAN) / DEVIATION))
    outputs = {}
    for axis, (name, length) in enumerate((("simcc_x", 384), ("simcc_y", 512))):
        place = graph.add("Gather", joints, graph.constant([axis], np.int64), axis=1)
        away = graph.add("Abs", graph.add("Sub", graph.constant(np.arange(length)[None] / 2), place))
        height = graph.add("Sub", graph.constant(1.0), graph.add("Mul", away, graph.constant(1e-3)))
        outputs[name] = (graph.add("Unsqueeze", height, graph.constant([0], np.int64)), ["batch", JOINTS, length])
    return graph.save(path, outputs, {})


@settings(max_examples=10, deadline=None, derandomize=True)
@given(scene=scenes())
def test_rtmo_finds_a_known_pose(scene: tuple[int, int, np.ndarray], tmp_path_factory: pytest.TempPathFactory) -> None:
    height, width, shares = scene
    ratio = SIDE / max(height, width)
    # It cuts sides to whole pixels and divides by the ratio before that: its joints are off by up to a pixel of the
    # input at the far end. That is the peer's, and stays.
    sides = np.array([int(width * ratio), int(height * ratio)])
    scale = sides / [width, height]
    places = shares * [width, height]
    path = rtmo(tmp_path_factory.mktemp("rtmo") / "rtmo.onnx", scale)
    opened = peer.open(spec(path, size=str(SIDE), min_score=0.05))
    found, stages = opened.run(frame_with(height, width, places, 3 / min(scale.min(), 1)))
    assert found.scores == pytest.approx([SCORE])
    assert np.all(np.abs(found.keypoints[0, :, :2] - joints_of(places)) < 0.5 + joints_of(places) * (1 - scale / ratio))
    assert found.boxes[0] == pytest.approx(
        np.clip(np.array([100, 0, 140, 30]) / ratio, 0, (width, height) * 2), abs=0.01
    )
    assert list(stages) == ["preprocess", "network", "postprocess"]


@pytest.mark.parametrize(("scores", "least", "people"), [((), 0.05, 0), ((0.0, 0.0), 0.0, 0), ((0.5, 0.9), 0.0, 2)])
def test_rtmo_finds_nobody(scores: tuple[float, ...], least: float, people: int, tmp_path: Path) -> None:
    opened = peer.open(spec(rtmo(tmp_path / "rtmo.onnx", np.ones(2), scores), min_score=least))
    assert opened.info.size == "640x640"
    found, _ = opened.run(np.full((640, 640, 3), 200, np.uint8))
    assert len(found) == people


@settings(max_examples=10, deadline=None, derandomize=True)
@given(scene=scenes(largest=160))
def test_rtmpose_finds_a_known_pose(
    scene: tuple[int, int, np.ndarray], tmp_path_factory: pytest.TempPathFactory
) -> None:
    height, width, shares = scene
    ratio = SIDE / max(height, width)
    places = shares * [width, height]
    folder = tmp_path_factory.mktemp("rtmpose")
    boxes = detector(folder / "detector.onnx", (0, 0, width * ratio, height * ratio))
    opened = peer.open(spec(rtmpose(folder / "pose.onnx"), min_score=0.05, options={"detector": boxes}))
    found, stages = opened.run(frame_with(height, width, places, 4))
    assert found.scores == pytest.approx([SCORE]), "people only, and not the doubtful one"
    assert np.abs(found.keypoints[0, :, :2] - joints_of(places)).max() < 0.5
    assert found.boxes[0] == pytest.approx([0, 0, width, height], abs=0.01)
    assert (opened.info.rank, opened.info.size) == ("box*keypoints", f"{SIDE}x{SIDE}")
    assert set(stages) == {"preprocess", "detector", "pose", "postprocess"}


def test_other_files_are_refused(tmp_path: Path) -> None:
    one, pose = rtmo(tmp_path / "rtmo.onnx", np.ones(2)), rtmpose(tmp_path / "pose.onnx")
    boxes = detector(tmp_path / "detector.onnx", (0, 0, 9, 9))
    with pytest.raises(GcposeError, match=r"pose\.onnx returns .*, which is not RTMO's; .*detector=FILE"):
        peer.open(spec(pose))
    with pytest.raises(GcposeError, match=r"rtmo\.onnx returns .*, which is not RTMPose's"):
        peer.open(spec(one, options={"detector": boxes}))
    with pytest.raises(GcposeError, match=r"pose\.onnx returns .*, which is not YOLOX's"):
        peer.open(spec(pose, options={"detector": pose}))
    with pytest.raises(GcposeError, match="takes 320x320 only, not 416"):
        peer.open(spec(pose, size="416", options={"detector": boxes}))
    with pytest.raises(GcposeError, match="no kind of detector is called 'ssd'; choose from yolox, rtmdet"):
        peer.open(spec(pose, options={"detector": boxes, "detector_kind": "ssd"}))
    with pytest.raises(GcposeError, match=r"no gone\.onnx, the ONNX file of the detector"):
        peer.open(spec(pose, options={"detector": str(tmp_path / "gone.onnx")}))
    (tmp_path / "torn.onnx").write_bytes(b"onnx")
    with pytest.raises(GcposeError, match=r"torn\.onnx cannot be opened"):
        peer.open(spec(tmp_path / "torn.onnx"))


def test_it_keeps_to_its_threads(tmp_path: Path) -> None:
    opened = peer.open(spec(rtmo(tmp_path / "rtmo.onnx", np.ones(2))))
    assert opened._tool.session.get_session_options().intra_op_num_threads == 1
