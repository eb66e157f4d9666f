"""MoveNet's poses come out where its numbers say."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings

from benchmarks.common import SAMPLE_CLIP, read_frames
from benchmarks.peers import movenet
from gcpose_trt.benchmark.contender import ContenderSpec
from gcpose_trt.errors import GcposeError
from gcpose_trt.evaluation import evaluate, load_annotations
from gcpose_trt.runtime.preprocess import SizeRule, fit
from tests.benchmarks.peers.standins import JOINTS, SCORE, Graph, frame_with, joints_of, scenes

LONG = 256


def spec(path: Path | str, **words: object) -> ContenderSpec:
    return ContenderSpec(str(path), peer="movenet", backend="", threads=1, **words)  # type: ignore[arg-type]


def standin(path: Path, scale: np.ndarray) -> str:
    """A graph with MoveNet's input and outputs.

    Args:
        path: to write.
        scale: (2,) input pixels per frame pixel: a network trained on COCO's pixel indices, scaled, answers in them.
    """
    graph = Graph([1, "height", "width", 3], onnx_int32())
    joints = graph.joints(graph.spots(-0.5 * scale, last=True))
    sides = graph.add("Concat", graph.side(2), graph.side(1), axis=0)
    joints = graph.add("Div", joints, sides)
    joints = graph.add("Gather", joints, graph.constant([1, 0], np.int64), axis=1)
    joints = graph.add("Concat", joints, graph.constant(np.full((JOINTS, 1), 0.5)), axis=1)
    flat = graph.add("Reshape", joints, graph.constant([1, 51], np.int64))
    person = graph.add("Concat", flat, graph.constant([[0, 0, 1, 1, SCORE]]), axis=1)
    people = graph.add("Concat", graph.constant(np.zeros((5, 56))), person, axis=0)
    people = graph.add("Unsqueeze", people, graph.constant([0], np.int64))
    return graph.save(path, {"people": (people, [1, 6, 56])}, {})


def onnx_int32() -> int:
    from onnx import TensorProto

    return TensorProto.INT32


@settings(max_examples=12, deadline=None, derandomize=True)
@given(scene=scenes())
def test_a_known_pose_comes_back(scene: tuple[int, int, np.ndarray], tmp_path_factory: pytest.TempPathFactory) -> None:
    height, width, shares = scene
    scale = LONG / max(height, width)
    sides = np.array([max(1, round(width * scale)), max(1, round(height * scale))])
    places = shares * [width, height]
    path = standin(tmp_path_factory.mktemp("movenet") / "movenet.onnx", sides / [width, height])
    frame = frame_with(height, width, places, 3 / min(scale, 1))
    found, stages = movenet.open(spec(path, size=str(LONG))).run(frame)
    assert found.scores == pytest.approx([SCORE])
    assert np.abs(found.keypoints[0, :, :2] - joints_of(places)).max() < 0.5
    assert list(stages) == ["preprocess", "network", "postprocess"]


def test_decode() -> None:
    box = fit((200, 400), SizeRule(long=320))  # content 160x320, canvas 160x320
    people = np.zeros((6, 56), np.float32)
    people[1, :51] = np.tile([0.25, 0.5, 0.75], 17)  # y, x, score
    people[1, 51:] = [0.1, 0.2, 0.9, 0.8, 0.6]
    people[4, 55] = 0.9
    frame = movenet.decode(people, box, min_score=0.5)
    assert frame.scores == pytest.approx([0.9, 0.6]), "best first, doubtful ones left out"
    assert frame.boxes[1] == pytest.approx([80, 20, 320, 180])
    assert frame.keypoints[1, 0] == pytest.approx([200.5, 50.5, 0.75])


def test_people_of_a_photograph(shared: Path) -> None:
    peer = movenet.open(spec(shared / "weights/movenet-multipose.onnx", size="256", min_score=0.05))
    annotations = load_annotations(shared / "data/coco/person_keypoints_val.json")
    chosen = annotations.image_ids[:6]
    result = evaluate(lambda frame: peer.run(frame)[0], shared / "data/coco/val", annotations, image_ids=chosen)
    assert result.keypoints["AP"] is not None
    assert result.keypoints["AP"] > 0.1


def test_settings_are_kept(shared: Path) -> None:
    path = shared / "weights/movenet-multipose.onnx"
    (frame,) = read_frames(SAMPLE_CLIP, 1)
    all_of_them = movenet.open(spec(path, size="160x288", min_score=0.0))
    assert all_of_them.info.size == "160x288"
    assert all_of_them.info.to_dict()["bytes"] == path.stat().st_size
    found, _ = all_of_them.run(frame)
    assert len(found) == 6, "the network always answers with six"
    sure, _ = movenet.open(spec(path, size="160x288", min_score=0.1)).run(frame)
    assert 0 < len(sure) == (found.scores >= 0.1).sum() < 6
    all_of_them.close()


def test_another_network_is_refused(tmp_path: Path, shared: Path) -> None:
    with pytest.raises(GcposeError, match=r"there is no none\.onnx, the ONNX file of MoveNet MultiPose; give one"):
        movenet.open(spec(tmp_path / "none.onnx"))
    with pytest.raises(GcposeError, match="is not MoveNet MultiPose"):
        movenet.open(spec(shared / "weights/movenet-thunder.onnx"))


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ({"precision": "int8"}, "runs in fp32 only, not int8"),
        ({"device": "cuda:0"}, "cannot use CUDA|cannot be opened"),
        ({"device": "tpu"}, "does not run on 'tpu'; choose device cpu or cuda"),
        ({"size": "100x100"}, "multiples of 32"),
        ({"options": {"speed": "high"}}, "has no setting 'speed'; leave it out"),
        ({"min_score": 1.5}, "out of range"),
    ],
)
def test_wrong_settings_are_refused(words: dict[str, object], message: str, tmp_path: Path) -> None:
    path = standin(tmp_path / "movenet.onnx", np.ones(2))
    with pytest.raises(GcposeError, match=message):
        movenet.open(spec(path, **words))
