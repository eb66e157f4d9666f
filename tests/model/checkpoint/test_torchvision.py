"""Torchvision's networks give the same features and the same answers once imported."""

from __future__ import annotations

import pytest
import torch

from gcpose_trt.model import GCPoseRCNN, build_model, load_checkpoint
from gcpose_trt.model.checkpoint import CheckpointError
from tests.model.checkpoint.torchvision_resnet import TorchvisionResNet, detector_tensors, make_resnet


@pytest.fixture(scope="module")
def resnet() -> TorchvisionResNet:
    return make_resnet()


def assert_same_features(model: GCPoseRCNN, resnet: TorchvisionResNet) -> None:
    generator = torch.Generator().manual_seed(4)
    image = torch.randint(0, 256, (1, 96, 64, 3), dtype=torch.uint8, generator=generator)
    with torch.inference_mode():
        ours = model.backbone(model.normalize(image, torch.tensor([[96, 64]])))
        expected = resnet.stages(image)
    for level, stage in zip(("c2", "c3", "c4", "c5"), expected, strict=True):
        assert ours[level].shape == stage.shape
        assert (ours[level] - stage).abs().max() < 1e-4 * stage.abs().max()


@pytest.mark.parametrize("wrapped", [False, True])
def test_keypoint_rcnn(blank_r50: GCPoseRCNN, resnet: TorchvisionResNet, wrapped: bool) -> None:
    theirs = detector_tensors(resnet, wrapped=wrapped)
    before = blank_r50.keypoint_head.reduce.weight.clone()
    report = load_checkpoint(blank_r50, theirs)

    assert_same_features(blank_r50, resnet)
    own = blank_r50.state_dict()
    inner = ".0" if wrapped else ""
    for index, level in enumerate("2345"):
        assert torch.equal(
            own[f"neck.lateral.{level}.weight"], theirs[f"backbone.fpn.inner_blocks.{index}{inner}.weight"]
        )
        assert torch.equal(own[f"neck.output.{level}.bias"], theirs[f"backbone.fpn.layer_blocks.{index}{inner}.bias"])
    assert torch.equal(own["rpn.deltas.weight"], theirs["rpn.head.bbox_pred.weight"])
    # Person is class 0 here and class 1 there; each has its own four deltas there.
    assert torch.equal(own["box_head.classes.bias"], theirs["roi_heads.box_predictor.cls_score.bias"][[1, 0]])
    assert torch.equal(own["box_head.classes.weight"][0], theirs["roi_heads.box_predictor.cls_score.weight"][1])
    assert torch.equal(own["box_head.deltas.weight"], theirs["roi_heads.box_predictor.bbox_pred.weight"][4:])

    assert torch.equal(blank_r50.keypoint_head.reduce.weight, before)
    assert set(report.loaded) | set(report.initialised) == set(own)
    assert all(name.startswith("keypoint_head.") for name in report.initialised)
    assert all(name.startswith("roi_heads.keypoint_") for name in report.ignored) and len(report.ignored) == 4
    assert "needs training" in report.summary()


def test_imagenet_resnet(blank_r50: GCPoseRCNN, resnet: TorchvisionResNet) -> None:
    report = load_checkpoint(blank_r50, resnet.state_dict())
    assert_same_features(blank_r50, resnet)
    assert all(name.startswith("backbone.") for name in report.loaded)
    assert not any(name.startswith("backbone.") for name in report.initialised)
    assert {"fc.weight", "fc.bias"} <= set(report.ignored)


def test_imagenet_resnet_in_detectron2_names(blank_r50: GCPoseRCNN, resnet: TorchvisionResNet) -> None:
    """As detectron2's own conversion script writes them: other names, arrays, but still torchvision's network."""
    renamed = {}
    for name, value in resnet.state_dict().items():
        if "layer" not in name:
            name = f"stem.{name}"
        for stage in (1, 2, 3, 4):
            name = name.replace(f"layer{stage}", f"res{stage + 1}")
        for index in (1, 2, 3):
            name = name.replace(f"bn{index}", f"conv{index}.norm")
        name = name.replace("downsample.0", "shortcut").replace("downsample.1", "shortcut.norm")
        renamed[name] = value.numpy()
    load_checkpoint(blank_r50, {"model": renamed, "__author__": "torchvision", "matching_heuristics": True})
    assert_same_features(blank_r50, resnet)


def test_strides_travel_with_the_weights(blank_r50: GCPoseRCNN, resnet: TorchvisionResNet) -> None:
    load_checkpoint(blank_r50, resnet.state_dict())
    copy = build_model("r50")
    copy.load_state_dict(blank_r50.state_dict())
    assert_same_features(copy, resnet)


def test_other_classes_are_named(blank_r50: GCPoseRCNN, resnet: TorchvisionResNet) -> None:
    theirs = detector_tensors(resnet, wrapped=True)
    theirs["roi_heads.box_predictor.cls_score.weight"] = torch.zeros(91, 1024)
    with pytest.raises(CheckpointError, match=r"box_head\.classes\.weight is 91x1024, not 2x1024"):
        load_checkpoint(blank_r50, theirs)


def test_every_missing_and_strange_tensor_is_listed(blank_r50: GCPoseRCNN, resnet: TorchvisionResNet) -> None:
    theirs = detector_tensors(resnet, wrapped=False)
    del theirs["rpn.head.bbox_pred.bias"]
    theirs["roi_heads.mask_head.mask_fcn1.weight"] = torch.zeros(1)
    before = {name: value.clone() for name, value in blank_r50.state_dict().items()}
    with pytest.raises(CheckpointError) as caught:
        load_checkpoint(blank_r50, theirs)
    assert set(caught.value.listing) == {
        "missing: rpn.deltas.bias",
        "of no use: roi_heads.mask_head.mask_fcn1.weight",
    }
    assert "\n" not in str(caught.value)
    assert all(torch.equal(value, before[name]) for name, value in blank_r50.state_dict().items())
