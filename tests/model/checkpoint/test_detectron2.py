"""Checkpoints in detectron2's names: the authors', the model zoo's and ImageNet's."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from gcpose_trt.model import GCPoseRCNN, LoadReport, build_model, load_checkpoint
from gcpose_trt.model.checkpoint import CheckpointError

KEYPOINT_HEAD = "roi_heads.keypoint_head."
BOTTOM_UP = "backbone.bottom_up."


def zoo_arrays(authors: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Return the authors' arrays with the keypoint branch of detectron2's model zoo."""
    arrays = {
        name: array
        for name, array in authors.items()
        if "MHSA" not in name and not name.startswith(f"{KEYPOINT_HEAD}conv_channel")
    }
    arrays[f"{KEYPOINT_HEAD}conv_fcn1.weight"] = np.zeros((512, 256, 3, 3), np.float32)
    return arrays


def test_the_authors_checkpoint_is_used_entire(
    seeded: tuple[GCPoseRCNN, LoadReport], authors_arrays: dict[str, Any]
) -> None:
    model, report = seeded
    assert set(report.loaded) == set(model.state_dict())
    assert report.initialised == () and report.ignored == ()
    own = model.state_dict()
    pairs = {
        "backbone.c3.0.shortcut.norm.running_var": f"{BOTTOM_UP}res3.0.shortcut.norm.running_var",
        "keypoint_head.stages.0.to_qk.weight": f"{KEYPOINT_HEAD}MHSA_1.MHSA.to_qk.weight",
        "keypoint_head.stages.9.rel_width": f"{KEYPOINT_HEAD}MHSA_5.MHSA.pos_emb.rel_width",
        "keypoint_head.stages.1.weight": f"{KEYPOINT_HEAD}conv_fcn1.weight",
        "keypoint_head.stages.16.bias": f"{KEYPOINT_HEAD}conv_fcn8.bias",
    }
    for ours, theirs in pairs.items():
        np.testing.assert_array_equal(own[ours].numpy(), authors_arrays[theirs])


def test_wrappers_and_constants_are_seen_through(blank_r50: GCPoseRCNN, authors_arrays: dict[str, Any]) -> None:
    wrapped = {f"module.{name}": torch.as_tensor(array) for name, array in authors_arrays.items()}
    wrapped["module.pixel_mean"] = torch.tensor([103.53, 116.28, 123.675])[:, None, None]
    wrapped["module.pixel_std"] = torch.ones(3, 1, 1)
    wrapped["module.proposal_generator.anchor_generator.cell_anchors.0"] = torch.zeros(3, 4)
    report = load_checkpoint(blank_r50, {"model": wrapped, "iteration": 7, "optimizer": {"state": {}}})
    assert report.initialised == ()
    assert len(report.ignored) == 3


def test_another_normalisation_is_refused(blank_r50: GCPoseRCNN, authors_arrays: dict[str, Any]) -> None:
    arrays = {**authors_arrays, "pixel_std": np.array([57.375, 57.12, 58.395], np.float32)}
    with pytest.raises(CheckpointError, match="pixel_std"):
        load_checkpoint(blank_r50, arrays)


def test_model_zoo_leaves_the_keypoint_branch(blank_r50: GCPoseRCNN, authors_arrays: dict[str, Any]) -> None:
    before = blank_r50.keypoint_head.stages[1].weight.clone()
    arrays = zoo_arrays(authors_arrays)
    report = load_checkpoint(blank_r50, {"model": arrays, "__author__": "Detectron2 Model Zoo"})
    assert torch.equal(blank_r50.keypoint_head.stages[1].weight, before)
    own = set(blank_r50.state_dict())
    assert set(report.initialised) == {name for name in own if name.startswith("keypoint_head.")}
    assert set(report.loaded) == own - set(report.initialised)
    assert set(report.ignored) == {name for name in arrays if name.startswith(KEYPOINT_HEAD)}


def test_a_missing_tensor_is_named(blank_r50: GCPoseRCNN, authors_arrays: dict[str, Any]) -> None:
    arrays = dict(authors_arrays)
    del arrays[f"{KEYPOINT_HEAD}MHSA_5.conv_fc.bias"]
    with pytest.raises(CheckpointError, match=r"1 missing \(keypoint_head\.stages\.9\.conv\.bias\)"):
        load_checkpoint(blank_r50, arrays)


def test_a_strange_tensor_is_named(blank_r50: GCPoseRCNN, authors_arrays: dict[str, Any]) -> None:
    arrays = {**authors_arrays, "roi_heads.mask_head.predictor.weight": np.zeros(3, np.float32)}
    with pytest.raises(CheckpointError, match=r"1 of no use \(roi_heads\.mask_head\.predictor\.weight\)"):
        load_checkpoint(blank_r50, arrays)


def test_other_architectures_are_refused(mobile: GCPoseRCNN, authors_arrays: dict[str, Any]) -> None:
    with pytest.raises(CheckpointError, match=r"for r50 \(resnet50\), not for mobile \(mobilenet_v2\)"):
        load_checkpoint(mobile, authors_arrays)


def test_resnet101_into_r50_is_refused(blank_r50: GCPoseRCNN, authors_arrays: dict[str, Any]) -> None:
    deeper = dict(authors_arrays)
    for block in range(6, 23):
        for name, array in authors_arrays.items():
            if name.startswith(f"{BOTTOM_UP}res4.5."):
                deeper[name.replace("res4.5.", f"res4.{block}.")] = array
    with pytest.raises(CheckpointError, match=r"for r101 \(resnet101\), not for r50"):
        load_checkpoint(blank_r50, deeper)


def test_msra_resnet(blank_r50: GCPoseRCNN, r50: GCPoseRCNN, authors_arrays: dict[str, Any]) -> None:
    arrays = {
        name.removeprefix(BOTTOM_UP): array for name, array in authors_arrays.items() if name.startswith(BOTTOM_UP)
    }
    report = load_checkpoint(blank_r50, {**arrays, "fc.weight": np.zeros((1000, 2048), np.float32)})
    expected = r50.backbone.state_dict()
    assert all(torch.equal(value, expected[name]) for name, value in blank_r50.backbone.state_dict().items())
    assert report.ignored == ("fc.weight",)
    assert not any(name.startswith("backbone.") for name in report.initialised)


CAFFE2_PARTS = {"shortcut": "branch1", "conv1": "branch2a", "conv2": "branch2b", "conv3": "branch2c"}


def test_msra_resnet_in_caffe2_names(blank_r50: GCPoseRCNN, authors_arrays: dict[str, Any]) -> None:
    """Scale and shift only: the statistics are folded into them."""
    blobs: dict[str, Any] = {
        "fc1000_w": np.zeros((1000, 2048)),
        "conv1_b": np.zeros(64),
        "conv1_w_momentum": np.zeros(3),
    }
    for name, array in authors_arrays.items():
        if not name.startswith(BOTTOM_UP) or "running" in name:
            continue
        *place, leaf = name.removeprefix(BOTTOM_UP).split(".")
        if place[0] == "stem":
            theirs = "conv1" if leaf == "weight" and "norm" not in place else "res_conv1"
        else:
            theirs = f"{place[0]}_{place[1]}_{CAFFE2_PARTS[place[2]]}"
        kind = {"weight": "bn_s", "bias": "bn_b"}[leaf] if "norm" in place else "w"
        blobs[f"{theirs}_{kind}"] = array
    report = load_checkpoint(blank_r50, {"blobs": blobs})
    assert set(report.ignored) == {"fc1000_w", "conv1_b", "conv1_w_momentum"}
    norm = blank_r50.backbone.c4[5].conv3.norm
    scale = authors_arrays[f"{BOTTOM_UP}res4.5.conv3.norm.weight"]
    shift = authors_arrays[f"{BOTTOM_UP}res4.5.conv3.norm.bias"]
    x = torch.randn(1, len(scale), 2, 2)
    expected = x * torch.tensor(scale)[:, None, None] + torch.tensor(shift)[:, None, None]
    assert torch.allclose(norm(x), expected, atol=1e-5)


def test_loading_again_puts_the_strides_back(blank_r50: GCPoseRCNN, authors_arrays: dict[str, Any]) -> None:
    blank_r50.backbone.set_extra_state(torch.tensor(False))
    assert blank_r50.backbone.c3[0].conv2.conv.stride == (2, 2)
    load_checkpoint(blank_r50, authors_arrays)
    assert blank_r50.backbone.c3[0].conv1.conv.stride == (2, 2)
    assert blank_r50.backbone.c3[0].conv2.conv.stride == (1, 1)
    assert blank_r50.backbone.c2[0].conv1.conv.stride == (1, 1)


def test_r101_has_room_for_its_checkpoint() -> None:
    with torch.device("meta"):
        names = set(build_model("r101").state_dict())
    from gcpose_trt.model.checkpoint.authors import _keypoint_table
    from gcpose_trt.model.checkpoint.detectron2 import detector_table

    table = {**detector_table("resnet101"), **_keypoint_table()}
    assert set(table.values()) | {"backbone._extra_state"} == names
