"""The PyTorch backend: modules, checkpoints and names, against a stand-in and against the real network."""

from __future__ import annotations

import builtins
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gcpose_trt import PoseEstimator
from gcpose_trt.errors import GcposeError, MissingDependencyError
from tests.support.bundles import metadata

torch = pytest.importorskip("torch", reason="torch is not installed; pip install 'gcpose-trt[export]'")


@dataclass
class Found:
    p2: Any
    boxes: Any
    scores: Any
    count: Any


class StandIn(torch.nn.Module):
    """Finds as many people as the image's brightest value, each with the box of the valid region."""

    def metadata(self) -> dict[str, Any]:
        record = metadata("any")
        return {key: record[key] for key in record if key not in ("format", "graph", "size", "weights_sha256")}

    def detect(self, image: Any, image_size: Any) -> Found:
        assert torch.is_inference_mode_enabled()
        height, width = image_size[:, 0].float(), image_size[:, 1].float()
        box = torch.stack([torch.zeros_like(width), torch.zeros_like(width), width, height], dim=1)
        count = image.flatten(1).amax(1).long().clamp(max=3)
        scores = torch.tensor([[0.9, 0.8, 0.7]]) * (torch.arange(3) < count[:, None])
        return Found(image.float().mean(3)[:, None], box[:, None].repeat(1, 3, 1), scores, count)

    def pose(self, p2: Any, boxes: Any, batch_index: Any) -> Any:
        centre = (boxes[:, :2] + boxes[:, 2:]) / 2
        score = p2[batch_index].amax((1, 2, 3))[:, None]
        return torch.cat([centre, score], dim=1)[:, None].repeat(1, 17, 1)


def test_a_built_module() -> None:
    with PoseEstimator(StandIn()) as estimator:
        assert estimator.backend == "torch"
        estimator.warmup()
        dark, light = np.zeros((60, 120, 3), np.uint8), np.full((90, 30, 3), 2, np.uint8)
        poses = estimator([dark, light])
    assert [len(found) for found in poses] == [0, 2]
    np.testing.assert_allclose(poses[1].boxes, [[0, 0, 30, 90]] * 2, rtol=1e-6)
    np.testing.assert_allclose(poses[1].keypoints[:, :, :2], np.broadcast_to([15, 45], (2, 17, 2)), rtol=1e-6)
    assert poses[1].keypoints[0, 0, 2] == 2, "the joints come from their own row of the batch"


@pytest.fixture(scope="module")
def network() -> Any:
    from gcpose_trt.model import build_model

    torch.manual_seed(0)
    return build_model("mobile")


def test_the_network_of_a_checkpoint_is_the_network(network: Any, tmp_path: Path) -> None:
    path = tmp_path / "model.pth"
    torch.save({"model": network.state_dict(), "config": "mobile"}, path)
    frame = np.random.default_rng(0).integers(0, 256, (48, 64, 3), dtype=np.uint8)
    options: dict[str, Any] = {"size": 64, "min_score": 0.0, "max_people": 3}
    with PoseEstimator(network, **options) as built, PoseEstimator(path, **options) as loaded:
        assert loaded.backend == "torch"
        assert loaded.info.model == "mobile"
        assert built(frame) == loaded(frame)


def test_a_name() -> None:
    with PoseEstimator("mobile", backend="torch", size=64) as estimator:
        assert len(estimator(np.zeros((5, 5, 3), np.uint8)).keypoints) <= estimator.max_people


def test_refusals(tmp_path: Path, network: Any) -> None:
    nameless = tmp_path / "nameless.pth"
    torch.save({"model": network.state_dict()}, nameless)
    other = tmp_path / "other.pth"
    torch.save({"model": {"a.weight": torch.zeros(1)}, "config": "mobile"}, other)
    garbage = tmp_path / "garbage.pt"
    garbage.write_bytes(b"not a checkpoint")
    for model in (nameless, other, garbage, tmp_path / "missing.pth"):
        with pytest.raises(GcposeError) as caught:
            PoseEstimator(model)
        assert "\n" not in str(caught.value)
    with pytest.raises(GcposeError, match="r50"):
        PoseEstimator("resnet", backend="torch")


def test_without_torch(monkeypatch: pytest.MonkeyPatch) -> None:
    importer = builtins.__import__

    def without(name: str, *args: Any, **kwargs: Any) -> Any:
        if name == "torch":
            raise ImportError("No module named 'torch'", name="torch")
        return importer(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(MissingDependencyError, match="pip install"):
        PoseEstimator("mobile", backend="torch")


def test_out_of_memory_is_one_line() -> None:
    class Hungry(StandIn):
        def detect(self, image: Any, image_size: Any) -> Found:
            raise RuntimeError(
                "[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried to allocate 1 EB\nx"
            )

    with PoseEstimator(Hungry()) as estimator, pytest.raises(GcposeError, match=r"out of memory.*smaller size"):
        estimator(np.zeros((5, 5, 3), np.uint8))
