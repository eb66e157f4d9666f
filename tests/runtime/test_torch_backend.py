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

pytest.importorskip("torch", reason="torch is not installed; pip install 'gcpose-trt[export]'")

import torch

from gcpose_trt.runtime.backends.torch_backend import TorchBackend


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


def _people(network: Any, **options: Any) -> tuple[Any, Any, Any]:
    """Return detections, keypoints and info of a backend on a frame of the sample clip."""
    from gcpose_trt.runtime.preprocess import SizeRule, fit, place
    from gcpose_trt.video.sampling import read_frames

    frame = read_frames(wanted=1)[0]
    box = fit((frame.shape[0], frame.shape[1]), SizeRule(long=256))
    backend = TorchBackend(network, **options)
    found = backend.detect(place(frame, box)[None], np.array([box.content], np.int64))
    rows = found.scores[0] > 0.5
    keypoints = backend.pose(found.p2, found.boxes[0, rows], np.zeros(int(rows.sum()), np.int64))
    return found, keypoints, backend


@pytest.fixture(scope="module")
def trained() -> Any:
    from gcpose_trt.model import load_model

    return load_model("mobile")


def test_half_precision_finds_the_same_people(trained: Any) -> None:
    full, full_joints, _ = _people(trained)
    half, half_joints, backend = _people(trained, half=True)
    assert backend.half
    assert len(full_joints) == len(half_joints) >= 1
    for array in (half.boxes, half.scores, half_joints):
        assert array.dtype == np.float32
    moved = np.hypot(*np.moveaxis(full_joints[..., :2] - half_joints[..., :2], -1, 0))
    assert 0 < np.median(moved) < 0.1
    assert 0 < np.abs(full.boxes[0, : len(full_joints)] - half.boxes[0, : len(half_joints)]).max() < 0.5
    assert half.p2.dtype == torch.float32, "the prior's joints are places, and stay float32"


def test_half_precision_computes_in_half_precision_and_leaves_the_callers_module_alone(trained: Any) -> None:
    _, _, backend = _people(trained, half=True)
    types = {type(layer).__name__: layer.weight.dtype for layer in backend.module.modules() if hasattr(layer, "weight")}
    assert types["Conv2d"] == types["Linear"] == types["ConvTranspose2d"] == torch.float16
    assert types["BatchNorm2d"] == torch.float32
    assert {parameter.dtype for parameter in trained.parameters()} == {torch.float32}
    seen: list[Any] = []
    head = backend.module.keypoint_head
    head.deconv.register_forward_hook(lambda module, inputs, output: seen.append(output.dtype))
    with backend.inference():
        head.logits(torch.ones(1, head.reduce.in_channels, 14, 14))
    assert seen == [torch.float16]


def test_a_module_keeps_its_own_precision_where_it_lies(trained: Any) -> None:
    backend = TorchBackend(trained)
    assert backend.module is trained
    assert not backend.half
    assert backend.device == torch.device("cpu")
    asked = TorchBackend(trained, device="cpu")
    assert asked.module is trained
    assert not asked.half, "half precision by default is for CUDA"


def test_compiled_parts_give_the_same(trained: Any) -> None:
    calls = []

    def compiler(graph: Any, inputs: Any) -> Any:
        calls.append(len(inputs))
        return graph.forward

    plain, plain_joints, _ = _people(trained)
    compiled, joints, backend = _people(trained, compiled=compiler)
    assert len(calls) >= 2, "features and the keypoint head"
    np.testing.assert_array_equal(plain.boxes, compiled.boxes)
    np.testing.assert_array_equal(plain_joints, joints)
    assert backend.module is not trained
    assert "features" not in vars(trained)


def test_what_cannot_be_compiled_runs_plain(trained: Any) -> None:
    def broken(graph: Any, inputs: Any) -> Any:
        raise ValueError("no compiler here\nsecond line")

    plain, plain_joints, _ = _people(trained)
    with pytest.warns(RuntimeWarning, match=r"torch.compile failed on .*it runs without") as caught:
        found, joints, backend = _people(trained, compiled=broken)
    ours = [str(warning.message) for warning in caught if "torch.compile failed" in str(warning.message)]
    assert len(ours) == 2
    assert all("\n" not in message for message in ours)
    np.testing.assert_array_equal(plain.boxes, found.boxes)
    np.testing.assert_array_equal(plain_joints, joints)
    backend.pose(found.p2, found.boxes[0, :1], np.zeros(1, np.int64))  # no second warning: that would be an error here


@pytest.mark.parametrize(
    ("device", "message"),
    [
        ("gpu", "no device is called 'gpu'; choose cpu, cuda or cuda:1"),
        ("cuda:x", "no device is called"),
        ("meta", "device 'meta' is not served"),
    ],
)
def test_no_such_device(device: str, message: str) -> None:
    with pytest.raises(GcposeError, match=message):
        TorchBackend(StandIn(), device=device)


def test_torch_without_cuda(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.version, "cuda", None)
    with pytest.raises(GcposeError, match=r"built without it; install a CUDA build .*pip install.*Jetson") as caught:
        TorchBackend("missing.pth", device="cuda")  # refused before the weights are looked for
    assert "\n" not in str(caught.value)


def test_cuda_without_a_driver(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.version, "cuda", "13.0")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(GcposeError, match=r"driver for CUDA 13\.0.*nvidia-smi") as caught:
        TorchBackend(StandIn(), device="cuda")
    assert "\n" not in str(caught.value)


def test_a_gpu_that_is_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.version, "cuda", "13.0")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    with pytest.raises(GcposeError, match=r"no device 'cuda:7'; choose one of cuda:0, cuda:1"):
        TorchBackend(StandIn(), device="cuda:7")


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB.\nmore"), "out of memory in PyTorch"),
        (RuntimeError("CUDA error: an illegal memory access was encountered\nhint"), r"CUDA failed.*gcpose-trt doctor"),
        (RuntimeError("CUDA driver error: out of memory"), "out of memory in PyTorch"),
    ],
)
def test_faults_of_the_gpu_are_one_line(error: Exception, message: str) -> None:
    class Faulty(StandIn):
        def detect(self, image: Any, image_size: Any) -> Found:
            raise error

    with PoseEstimator(Faulty()) as estimator, pytest.raises(GcposeError, match=message) as caught:
        estimator(np.zeros((5, 5, 3), np.uint8))
    assert "\n" not in str(caught.value)


needs_cuda = pytest.mark.skipif(not torch.cuda.is_available(), reason="PyTorch finds no CUDA device on this machine")


@pytest.mark.gpu
@needs_cuda
@pytest.mark.parametrize("half", [False, True])
def test_cuda_finds_the_same_people(trained: Any, half: bool) -> None:
    full, full_joints, _ = _people(trained)
    found, joints, backend = _people(trained, device="cuda", half=half)
    assert backend.device.type == "cuda"
    assert backend.half is half
    assert found.p2.is_cuda
    assert next(trained.parameters()).device.type == "cpu", "the caller's module stays where it was"
    assert len(joints) == len(full_joints) >= 1
    limit = 0.5 if half else 0.05
    np.testing.assert_allclose(found.boxes[0, : len(joints)], full.boxes[0, : len(joints)], atol=limit)
    moved = np.hypot(*np.moveaxis(full_joints[..., :2] - joints[..., :2], -1, 0))
    assert np.median(moved) < limit


@pytest.mark.gpu
@needs_cuda
def test_cuda_takes_half_precision_and_channels_last_by_default(trained: Any) -> None:
    backend = TorchBackend(trained, device="cuda")
    assert backend.half
    weight = backend.module.keypoint_head.stages[1].weight
    assert weight.is_cuda
    assert weight.dtype == torch.float16
    assert weight.is_contiguous(memory_format=torch.channels_last)


@pytest.mark.gpu
@needs_cuda
def test_more_than_the_gpu_holds_is_one_line(trained: Any) -> None:
    backend = TorchBackend(trained, device="cuda")
    with pytest.raises(GcposeError, match="out of memory"), backend.inference():
        torch.empty(1 << 50, dtype=torch.uint8, device="cuda")
