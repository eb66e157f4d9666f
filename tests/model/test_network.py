"""The whole network: input, outputs, people at the border, batches."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from gcpose_trt.errors import GcposeError
from gcpose_trt.model import CONFIGS, GCPoseRCNN, build_model
from gcpose_trt.model.config import KeypointConfig
from gcpose_trt.model.keypoint_head import KeypointHead
from gcpose_trt.model.ops import roi_align


@pytest.fixture(scope="module")
def mobile() -> GCPoseRCNN:
    torch.manual_seed(0)
    return build_model("mobile")


def images(count: int, height: int, width: int) -> Tensor:
    generator = torch.Generator().manual_seed(1)
    return torch.randint(0, 256, (count, height, width, 3), dtype=torch.uint8, generator=generator)


def test_names() -> None:
    with pytest.raises(GcposeError, match="no model is called 'r18'; choose one of r50, r101, mobile"):
        build_model("r18")
    with torch.device("meta"):
        model = build_model(CONFIGS["r101"])
    assert model.config.backbone == "resnet101"
    assert not model.training


def test_normalisation_blanks_what_is_no_image(mobile: GCPoseRCNN) -> None:
    image = images(2, 64, 96)
    x = mobile.normalize(image, torch.tensor([[40, 96], [64, 50]]))
    mean, std = (torch.tensor(values) for values in (mobile.config.pixel_mean, mobile.config.pixel_std))
    assert torch.allclose(x[0, :, 3, 5], (image[0, 3, 5] - mean) / std)
    assert x[0, :, 40:].eq(0).all() and x[1, :, :, 50:].eq(0).all()
    assert x[0, :, :40].ne(0).any() and x[1, :, :, :50].ne(0).any()


def test_padding_has_no_say(mobile: GCPoseRCNN) -> None:
    image, size = images(1, 96, 96), torch.tensor([[60, 70]])
    other = image.clone()
    other[:, 60:] = 255
    other[:, :, 70:] = 0
    with torch.inference_mode():
        a, b = mobile.detect(image, size), mobile.detect(other, size)
    assert torch.equal(a.boxes, b.boxes) and torch.equal(a.scores, b.scores)


def test_outputs(mobile: GCPoseRCNN) -> None:
    size = torch.tensor([[96, 128], [50, 60]])
    with torch.inference_mode():
        found, keypoints = mobile(images(2, 96, 128), size)
    people = mobile.config.box.max_people
    assert found.boxes.shape == (2, people, 4) and found.scores.shape == (2, people)
    assert found.p2.shape[2:] == (24, 32)
    assert keypoints.shape == (int(found.count.sum()), 17, 3)
    assert found.count.min() > 0  # random weights: everything is a person
    for boxes, scores, count, (height, width) in zip(found.boxes, found.scores, found.count, size, strict=True):
        used = slice(0, int(count))
        assert scores[used].diff().le(0).all() and scores[used].gt(mobile.config.box.score_threshold).all()
        assert boxes[used, :2].ge(0).all() and boxes[used, 2].le(width).all() and boxes[used, 3].le(height).all()
        assert boxes[int(count) :].eq(0).all() and scores[int(count) :].eq(0).all()
    assert torch.isfinite(keypoints).all()
    assert keypoints[..., 2].ge(0).all() and keypoints[..., 2].le(1.0001).all()


def test_images_of_a_batch_do_not_mix(mobile: GCPoseRCNN) -> None:
    image, size = images(2, 64, 96), torch.tensor([[64, 96], [64, 96]])
    with torch.inference_mode():
        together = mobile.detect(image, size)
        alone = mobile.detect(image[1:], size[1:])
    assert torch.allclose(together.boxes[1], alone.boxes[0], atol=1e-3)
    assert torch.allclose(together.scores[1], alone.scores[0], atol=1e-5)


def test_nobody(mobile: GCPoseRCNN) -> None:
    """Nobody scores above 1."""
    head = mobile.box_head
    before = head.classes.bias.detach().clone()
    try:
        with torch.no_grad():
            head.classes.bias += torch.tensor([-99.0, 99.0])
        with torch.inference_mode():
            found, keypoints = mobile(images(1, 64, 64), torch.tensor([[64, 64]]))
    finally:
        with torch.no_grad():
            head.classes.bias.copy_(before)
    assert found.count.tolist() == [0]
    assert found.boxes.eq(0).all() and keypoints.shape == (0, 17, 3)


def test_keypoint_regions_fade_to_zero_outside_the_image() -> None:
    torch.manual_seed(0)
    with torch.device("meta"):
        head = KeypointHead(KeypointConfig(), 3)
    features = torch.randn(1, 3, 10, 12)
    regions = torch.tensor([[-30.0, -20.0, 30.0, 44.0], [30.0, 25.0, 70.0, 60.0], [8.0, 8.0, 30.0, 30.0]])
    index = torch.zeros(3, dtype=torch.int64)
    ours = head.pool(head.border(features), regions, index, 14)
    # The same image inside a larger one that is black.
    wide = torch.nn.functional.pad(features, (20, 20, 20, 20))
    expected = roi_align(wide, regions + 20 * 4, index, output_size=14, stride=4)
    assert torch.allclose(ours, expected, atol=1e-5)


def test_pose_of_nobody_and_somebody(mobile: GCPoseRCNN) -> None:
    with torch.inference_mode():
        p2 = mobile.detect(images(2, 64, 96), torch.tensor([[64, 96], [64, 96]])).p2
        none = mobile.pose(p2, torch.zeros(0, 4), torch.zeros(0, dtype=torch.int64))
        boxes = torch.tensor([[10.0, 5.0, 40.0, 60.0], [-5.0, -5.0, 20.0, 30.0]])
        some = mobile.pose(p2, boxes, torch.tensor([1, 0]))
        swapped = mobile.pose(p2, boxes.flip(0), torch.tensor([0, 1]))
    assert none.shape == (0, 17, 3)
    assert torch.allclose(some, swapped.flip(0), atol=1e-3)
    regions = mobile.enlarge(boxes)[:, None]
    inside = (some[..., :2] >= regions[..., :2]) & (some[..., :2] <= regions[..., 2:])
    assert inside.all()


def test_metadata_is_plain(mobile: GCPoseRCNN) -> None:
    metadata = mobile.metadata()
    assert metadata["model"] == "mobile"
    assert metadata["resize"] == {"short": None, "long": 512}
    assert metadata["max_people"] == mobile.config.box.max_people
