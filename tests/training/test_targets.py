"""Matching and sampling, against plain loops and by hand."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from gcpose_trt.model.boxes import box_iou
from gcpose_trt.training import targets
from gcpose_trt.training.config import BoxConfig, RpnConfig


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def random_boxes(count: int, seed: int) -> Tensor:
    corner = torch.rand(count, 2, generator=generator(seed)) * 80
    return torch.cat([corner, corner + 5 + torch.rand(count, 2, generator=generator(seed + 1)) * 40], 1)


def plain_labels(anchors: Tensor, boxes: Tensor, config: RpnConfig) -> list[int]:
    """The rules, one anchor at a time."""
    overlaps = box_iou(anchors, boxes)
    labels = []
    for row in overlaps:
        best = float(row.max())
        label = 1 if best >= config.positive_iou else 0 if best < config.negative_iou else -1
        for person, value in enumerate(row):
            if value > 0 and value == overlaps[:, person].max():
                label = 1
        labels.append(label)
    return labels


def test_anchor_labels_follow_the_rules() -> None:
    config = RpnConfig(positive_iou=0.5, negative_iou=0.2)
    anchors, boxes = random_boxes(300, 1), random_boxes(5, 7)
    labels, matched = targets.match_anchors(anchors, boxes, torch.zeros(0, 4), config)
    assert labels.tolist() == plain_labels(anchors, boxes, config)
    assert torch.equal(matched, box_iou(anchors, boxes).argmax(1))


def test_images_without_people_are_all_background() -> None:
    labels, _ = targets.match_anchors(random_boxes(10, 1), torch.zeros(0, 4), torch.zeros(0, 4), RpnConfig())
    assert labels.tolist() == [0] * 10


def test_anchors_in_crowds_are_not_background_but_may_be_people() -> None:
    anchors = torch.tensor([[0.0, 0, 10, 10], [2, 2, 8, 8], [50, 50, 60, 60]])
    crowd = torch.tensor([[0.0, 0, 20, 20]])
    labels, _ = targets.match_anchors(anchors, anchors[:1], crowd, RpnConfig())
    assert labels.tolist() == [targets.POSITIVE, targets.IGNORED, targets.NEGATIVE]


def test_anchor_sampling_fills_up_with_background() -> None:
    labels = torch.tensor([1] * 3 + [0] * 50 + [-1] * 10, dtype=torch.int8)
    positive, negative = targets.sample_anchors(labels, RpnConfig(samples=16), generator())
    assert positive.tolist() == [0, 1, 2]
    assert len(negative.unique()) == 13
    assert bool((labels[negative] == 0).all())
    labels[:30] = 1
    positive, negative = targets.sample_anchors(labels, RpnConfig(samples=16), generator())
    assert (len(positive.unique()), len(negative)) == (8, 8)


def test_choose_is_deterministic_and_covers_everything() -> None:
    candidates = torch.arange(100, 120)
    first = targets.choose(candidates, 5, generator(3))
    assert torch.equal(first, targets.choose(candidates, 5, generator(3)))
    seen = torch.cat([targets.choose(candidates, 5, generator(n)) for n in range(40)]).unique()
    assert torch.equal(seen, candidates)


def test_regions_hold_the_people_and_obey_the_quota() -> None:
    boxes = random_boxes(3, 5)
    proposals = torch.cat([boxes + 1, random_boxes(200, 9)])
    config = BoxConfig(samples=32, positive_fraction=0.25)
    regions, matched = targets.sample_regions(proposals, boxes, torch.zeros(0, 4), config, generator())
    assert len(regions) == 32
    positive = matched >= 0
    assert 3 <= int(positive.sum()) <= 8
    overlaps = box_iou(regions, boxes)
    assert torch.equal(overlaps[positive].argmax(1), matched[positive])
    assert bool((overlaps[positive].amax(1) >= 0.5).all())
    assert bool((overlaps[~positive].amax(1) < 0.5).all())


def test_people_are_found_without_any_proposal() -> None:
    boxes = random_boxes(2, 5)
    regions, matched = targets.sample_regions(torch.zeros(0, 4), boxes, torch.zeros(0, 4), BoxConfig(), generator())
    assert torch.equal(regions, boxes)
    assert matched.tolist() == [0, 1]


def test_no_people_and_no_proposals_give_no_regions() -> None:
    empty = torch.zeros(0, 4)
    regions, matched = targets.sample_regions(empty, empty, empty, BoxConfig(), generator())
    assert regions.shape == (0, 4)
    assert matched.shape == (0,)


def test_background_regions_leave_crowds_out() -> None:
    crowd = torch.tensor([[0.0, 0, 100, 100]])
    inside = torch.tensor([[10.0, 10, 30, 30]])
    outside = torch.tensor([[200.0, 200, 230, 230]])
    regions, matched = targets.sample_regions(
        torch.cat([inside, outside]), torch.zeros(0, 4), crowd, BoxConfig(), generator()
    )
    assert torch.equal(regions, outside)
    assert matched.tolist() == [-1]


@pytest.mark.parametrize("amount", [0.0, 0.2])
def test_jitter_stays_within_its_amount(amount: float) -> None:
    boxes = random_boxes(500, 2)
    moved = targets.jitter_boxes(boxes, amount, generator())
    side, new_side = boxes[:, 2:] - boxes[:, :2], moved[:, 2:] - moved[:, :2]
    shift = ((moved[:, 2:] + moved[:, :2]) - (boxes[:, 2:] + boxes[:, :2])) / 2 / side
    assert float(shift.abs().max()) <= amount + 1e-4
    assert float((new_side / side).log().abs().max()) <= amount + 1e-4
    if amount:
        assert float(shift.abs().max()) > 0.9 * amount


def test_keypoint_cells() -> None:
    box = torch.tensor([[10.0, 20.0, 66.0, 132.0]])  # 56 x 112 pixels: cells of 1 x 2
    points = torch.tensor(
        [[[10.0, 20.0, 1], [37.6, 60.0, 0.5], [66.0, 132.0, 1], [9.9, 60, 1], [30, 133, 1], [30, 60, 0]]]
    )
    position, weight = targets.keypoint_cells(points, box, 56)
    assert weight.tolist() == [[1.0, 0.5, 1.0, 0.0, 0.0, 0.0]]
    assert position[0, :3].floor().long().tolist() == [[0, 0], [27, 20], [55, 55]]
