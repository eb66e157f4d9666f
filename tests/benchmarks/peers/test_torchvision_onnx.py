"""torchvision's export: its poses come out in our coordinates, and what is part of the graph cannot be asked for."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings

from benchmarks.peers import torchvision_onnx
from gcpose_trt.benchmark.contender import ContenderSpec
from gcpose_trt.errors import GcposeError
from tests.benchmarks.peers.standins import JOINTS, SCORE, Graph, frame_with, joints_of, scenes

RECORD = {"size": "long side 320", "min_score": "0.05", "weights_sha256": "ab" * 32}


def spec(path: Path | str, **words: object) -> ContenderSpec:
    return ContenderSpec(str(path), peer="torchvision_onnx", backend="", threads=1, **words)  # type: ignore[arg-type]


def standin(path: Path, sides: tuple[int | str, int | str] = ("height", "width"), **record: str) -> str:
    """A graph with the inputs and outputs of torchvision's export, and somebody of another class in it."""
    graph = Graph([3, *sides])
    # It resizes inside: joints are indices of the frame's pixels.
    joints = graph.joints(graph.spots(np.full(2, -0.5), dark=120 / 255))
    joints = graph.add("Concat", joints, graph.constant(np.ones((JOINTS, 1))), axis=1)
    joints = graph.add("Unsqueeze", joints, graph.constant([0], np.int64))
    other = graph.constant(np.zeros((1, JOINTS, 3)))
    outputs = {
        "boxes": (graph.constant([[9, 9, 9, 9], [-5, 0, 20, 1e4]]), ["people", 4]),
        "labels": (graph.constant([2, 1], np.int64), ["people"]),
        "scores": (graph.constant([0.99, SCORE]), ["people"]),
        "keypoints": (graph.add("Concat", other, joints, axis=0), ["people", JOINTS, 3]),
        "keypoints_scores": (graph.constant(np.repeat([[0.0], [2.0]], JOINTS, axis=1)), ["people", JOINTS]),
    }
    return graph.save(path, outputs, RECORD | record)


@settings(max_examples=8, deadline=None, derandomize=True)
@given(scene=scenes())
def test_a_known_pose_comes_back(scene: tuple[int, int, np.ndarray], tmp_path_factory: pytest.TempPathFactory) -> None:
    height, width, shares = scene
    places = shares * [width, height]
    path = standin(tmp_path_factory.mktemp("graph") / "graph.onnx")
    found, stages = torchvision_onnx.open(spec(path)).run(frame_with(height, width, places, 3))
    assert found.scores == pytest.approx([SCORE]), "people only"
    assert np.abs(found.keypoints[0, :, :2] - joints_of(places)).max() < 0.5
    assert found.keypoints[0, 0, 2] == pytest.approx(1 / (1 + np.exp(-2.0)))
    assert found.boxes[0] == pytest.approx([0, 0, 20, height]), "inside the frame"
    assert list(stages) == ["preprocess", "network", "postprocess"]


def test_what_is_part_of_the_export(tmp_path: Path) -> None:
    path = standin(tmp_path / "graph.onnx")
    opened = torchvision_onnx.open(spec(path, size="320", min_score=0.9))
    assert (opened.info.size, opened.info.weights_sha256) == ("long side 320", "ab" * 32)
    assert len(opened.run(np.zeros((64, 64, 3), np.uint8))[0]) == 0, "a higher threshold is kept"
    with pytest.raises(GcposeError, match=r"\(long side 320\), it cannot be 512; export it again with --size 512"):
        torchvision_onnx.open(spec(path, size="512"))
    with pytest.raises(GcposeError, match=r"export it again with --min-score 0\.01"):
        torchvision_onnx.open(spec(path, min_score=0.01))


def test_other_files_are_refused(tmp_path: Path) -> None:
    with pytest.raises(GcposeError, match=r"takes images of 480x640 only, without padding; make it in"):
        torchvision_onnx.open(spec(standin(tmp_path / "fixed.onnx", (480, 640))))
    graph = Graph(["batch", 3, 64, 64])
    other = graph.save(tmp_path / "other.onnx", {"image_again": ("image", ["batch", 3, 64, 64])}, {})
    with pytest.raises(GcposeError, match=r"other\.onnx is of another network than torchvision's"):
        torchvision_onnx.open(spec(other))
    (tmp_path / "torn.onnx").write_bytes(Path(other).read_bytes()[:-20])
    with pytest.raises(GcposeError, match=r"torn\.onnx cannot be opened"):
        torchvision_onnx.open(spec(tmp_path / "torn.onnx"))
    with pytest.raises(
        GcposeError,
        match=r"there is no none\.onnx, .*; make it in a clone .*export_torchvision",
    ):
        torchvision_onnx.open(spec(tmp_path / "none.onnx"))


def test_the_exporter_says_what_is_missing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from benchmarks.peers import export_torchvision

    output = tmp_path / "out.onnx"
    assert export_torchvision.main([str(tmp_path / "none.pth"), str(output)]) == 2
    said = capsys.readouterr().err
    wanted = "there is no none.pth" if importlib.util.find_spec("torchvision") else "is not installed; pip install"
    assert said.count("\n") == 1
    assert wanted in said
    assert not output.exists()
    assert export_torchvision.main([str(tmp_path / "none.pth"), str(output), "--size", "big"]) == 2
    assert "is not a size" in capsys.readouterr().err
