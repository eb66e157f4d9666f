"""torchvision's network in PyTorch; where it is installed it runs, with random weights."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from benchmarks.peers import torchvision as peer
from gcpose_trt.benchmark.contender import ContenderSpec
from gcpose_trt.errors import GcposeError


def spec(path: Path | str, **words: object) -> ContenderSpec:
    return ContenderSpec(str(path), peer="torchvision", backend="", threads=1, **words)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file in the layout of the published one; skips where torchvision cannot be used."""
    if (reason := peer.missing(spec("random"))) and "not installed" in reason:
        pytest.skip(reason)
    import torch
    from torchvision.models.detection import keypointrcnn_resnet50_fpn

    torch.manual_seed(0)
    state = keypointrcnn_resnet50_fpn(weights=None, weights_backbone=None).state_dict()
    path = tmp_path_factory.mktemp("torchvision") / "random.pth"
    torch.save({name: value for name, value in state.items() if not name.endswith("num_batches_tracked")}, path)
    return path


def test_people() -> None:
    found = {
        "boxes": np.array([[0, 0, 10, 10], [2, 3, 900, 20], [0, 0, 5, 5], [1, 1, 2, 2]], np.float32),
        "labels": np.array([1, 1, 2, 1]),
        "scores": np.array([0.6, 0.9, 0.99, 0.04], np.float32),
        "keypoints": np.full((4, 17, 3), 7, np.float32),
        "keypoints_scores": np.array([[0.0], [200.0], [0.0], [0.0]], np.float32).repeat(17, 1),
    }
    poses = peer.people(found, (100, 200, 3), min_score=0.05)
    assert poses.scores == pytest.approx([0.9, 0.6]), "people only, best first, doubtful ones left out"
    assert poses.boxes[0] == pytest.approx([2, 3, 200, 20])
    assert poses.keypoints[:, 0] == pytest.approx(np.array([[7.5, 7.5, 1], [7.5, 7.5, 0.5]]))
    assert found["keypoints"][0, 0, 0] == 7, "what torchvision returned stays as it is"


def test_nothing_is_measured_with_random_weights() -> None:
    reason = peer.missing(spec("random"))
    assert reason is not None
    assert "give the published" in reason or "is not installed; pip install torch torchvision" in reason
    with pytest.raises(GcposeError):
        peer.open(spec("random"))


@pytest.mark.slow
def test_it_is_torchvisions_own_answer(weights: Path) -> None:
    import torch
    from torchvision.models.detection import keypointrcnn_resnet50_fpn

    network = keypointrcnn_resnet50_fpn(
        weights=None, weights_backbone=None, min_size=128, max_size=128, box_score_thresh=0.3
    )
    network.load_state_dict(torch.load(weights), strict=False)
    frame = np.random.default_rng(0).integers(0, 256, (150, 200, 3), np.uint8)
    with torch.inference_mode():
        (plain,) = network.eval()([torch.from_numpy(frame[..., ::-1].copy()).permute(2, 0, 1) / 255])
    people = (plain["labels"] == 1).numpy()
    assert people.any()

    opened = peer.open(spec(weights, size="128", min_score=0.3))
    found, stages = opened.run(frame)
    assert found.scores == pytest.approx(plain["scores"].numpy()[people], abs=1e-4)
    assert found.keypoints[..., :2] == pytest.approx(plain["keypoints"].numpy()[people][..., :2] + 0.5, abs=0.05)
    assert list(stages) == ["preprocess", "detector", "pose", "postprocess"]
    assert min(stages.values()) >= 0
    assert opened.info.size == "long side 128"
    opened.close()


@pytest.mark.slow
def test_the_export_answers_alike(weights: Path, tmp_path: Path) -> None:
    from benchmarks.peers import export_torchvision, torchvision_onnx

    output = tmp_path / "network.onnx"
    assert export_torchvision.main([str(weights), str(output), "--size", "128", "--min-score", "0.3"]) == 0
    frame = np.random.default_rng(0).integers(0, 256, (150, 200, 3), np.uint8)
    ours, _ = peer.open(spec(weights, size="128", min_score=0.3)).run(frame)
    graph = torchvision_onnx.open(spec(output, size="128", min_score=0.3))
    theirs, _ = graph.run(frame)
    assert len(ours) > 0
    assert theirs.scores == pytest.approx(ours.scores, abs=1e-4)
    assert theirs.keypoints == pytest.approx(ours.keypoints, abs=0.05)
    assert graph.info.weights_sha256 == peer.open(spec(weights)).info.weights_sha256


def test_other_files_are_refused(weights: Path, tmp_path: Path) -> None:
    import torch

    (tmp_path / "text.pth").write_text("no weights")
    with pytest.raises(GcposeError, match=r"text\.pth is not a file of PyTorch weights"):
        peer.open(spec(tmp_path / "text.pth"))
    torch.save({"layer.weight": torch.zeros(3)}, tmp_path / "other.pth")
    with pytest.raises(GcposeError, match="of another network than keypointrcnn_resnet50_fpn"):
        peer.open(spec(tmp_path / "other.pth"))
    state = torch.load(weights)
    torch.save({"model": {k: v for k, v in state.items() if "fpn" not in k}}, tmp_path / "half.pth")
    with pytest.raises(GcposeError, match=r"half\.pth does not fit keypointrcnn_resnet50_fpn"):
        peer.open(spec(tmp_path / "half.pth"))
    with pytest.raises(GcposeError, match="cannot take size 128x128; give one number"):
        peer.open(spec(weights, size="128x128"))
    with pytest.raises(GcposeError, match="eps 'small' is no number"):
        peer.open(spec(weights, options={"eps": "small"}))
