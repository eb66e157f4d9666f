"""MoveNet's arrays in `mobile`: its centres and boxes come out of our network."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import onnxruntime
import pytest
import torch

from gcpose_trt.model import GCPoseRCNN, load_checkpoint
from gcpose_trt.model.checkpoint import CheckpointError
from gcpose_trt.model.pose_prior import PosePrior, centre_proposals

SIDE = 416
IMAGES = ("000000000885.jpg", "000000002299.jpg")


def load_arrays(shared: Path) -> dict[str, np.ndarray]:
    with np.load(shared / "weights" / "movenet-multipose.npz") as arrays:
        return {name: arrays[name] for name in arrays.files}


def test_every_array_is_accounted_for(shared: Path, mobile: GCPoseRCNN) -> None:
    before = mobile.box_head.fc1.weight.clone()
    arrays = load_arrays(shared)
    report = load_checkpoint(mobile, shared / "weights" / "movenet-multipose.npz")
    own = set(mobile.state_dict())
    assert set(report.loaded) == {name for name in own if name.startswith(("backbone.", "prior."))}
    assert set(report.loaded) | set(report.initialised) == own
    assert torch.equal(mobile.box_head.fc1.weight, before)
    # What has no place: the heads for the place inside a cell, and constants of the graph.
    weights = {name for name in report.ignored if arrays[name].ndim == 4 and arrays[name].shape[2:] != (1, 3)}
    assert {name.split("|")[1] for name in weights} == {"kpt_offset_0", "box_offset_0"}
    assert len(report.loaded) + len(report.ignored) == len(arrays)


def test_a_missing_array_is_named(shared: Path, mobile: GCPoseRCNN) -> None:
    arrays = load_arrays(shared)
    del arrays[next(name for name in arrays if name.endswith("block_3_expand|Conv2D_bn_offset"))]
    with pytest.raises(CheckpointError, match=r"1 missing \(backbone\.blocks\.3\.expand\.bias\)"):
        load_checkpoint(mobile, arrays)


@pytest.fixture(scope="module")
def movenet(shared: Path) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    return onnxruntime.InferenceSession(shared / "weights" / "movenet-multipose.onnx", options)


@pytest.mark.parametrize("name", IMAGES)
def test_same_people_as_movenet(
    shared: Path, mobile: GCPoseRCNN, movenet: onnxruntime.InferenceSession, name: str
) -> None:
    load_checkpoint(mobile, shared / "weights" / "movenet-multipose.npz")
    path = next((shared / "data" / "coco").rglob(name))
    image = cv2.resize(cv2.imread(str(path)), (SIDE, SIDE))
    (found,) = movenet.run(None, {movenet.get_inputs()[0].name: image[None, :, :, ::-1].astype(np.int32)})
    people = found[0][found[0, :, 55] > 0.2]
    assert len(people) > 0
    expected = torch.from_numpy(people[:, [52, 51, 54, 53]] * SIDE)

    with torch.inference_mode():
        x = mobile.normalize(torch.from_numpy(image)[None], torch.tensor([[SIDE, SIDE]]))
        assert isinstance(mobile.prior, PosePrior)
        boxes, _ = centre_proposals(mobile.prior(mobile.backbone(x)), 30)
    size = boxes[0, :, 2:] - boxes[0, :, :2]
    centre = (boxes[0, :, 2:] + boxes[0, :, :2]) / 2
    for person in expected:
        distance = (centre - (person[:2] + person[2:]) / 2).abs().amax(1)
        nearest = int(distance.argmin())
        assert distance[nearest] < 2.5  # half a cell: MoveNet refines the place inside it, here the box branch does
        assert (size[nearest] - (person[2:] - person[:2])).abs().max() < 0.01
