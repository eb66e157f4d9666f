"""Anchors and the choice of proposals."""

from __future__ import annotations

import pytest
import torch

from gcpose_trt.model.config import RpnConfig
from gcpose_trt.model.rpn import NO_BOX, RegionProposalNetwork, RpnOutput, cell_anchors, grid_anchors, select


def test_anchors_have_one_area_and_three_shapes() -> None:
    anchors = cell_anchors(32, (0.5, 1.0, 2.0))
    width, height = anchors[:, 2] - anchors[:, 0], anchors[:, 3] - anchors[:, 1]
    assert torch.allclose(width * height, torch.full((3,), 1024.0))
    assert torch.allclose(height / width, torch.tensor([0.5, 1.0, 2.0]))
    assert torch.allclose(anchors[:, :2], -anchors[:, 2:])
    # The numbers of detectron2 for this level, to its printed digits.
    assert torch.allclose(anchors[0], torch.tensor([-22.6274, -11.3137, 22.6274, 11.3137]), atol=1e-4)


def test_anchors_sit_on_multiples_of_the_stride() -> None:
    anchors = grid_anchors(torch.tensor([[-1.0, -2.0, 1.0, 2.0], [-3.0, -1.0, 3.0, 1.0]]), 2, 3, 8)
    centre = (anchors[:, :2] + anchors[:, 2:]) / 2
    assert centre[::2].tolist() == [[0, 0], [8, 0], [16, 0], [0, 8], [8, 8], [16, 8]]
    assert torch.equal(centre[::2], centre[1::2])
    assert anchors[1].tolist() == [-3.0, -1.0, 3.0, 1.0]


@pytest.fixture
def rpn() -> RegionProposalNetwork:
    torch.manual_seed(0)
    return RegionProposalNetwork(RpnConfig(levels=(3, 4), anchor_sizes=(16, 32), pre_nms=20, post_nms=10), 8).eval()


def test_outputs_line_up_with_the_anchors(rpn: RegionProposalNetwork) -> None:
    """The value that the head gives to cell (row 1, column 2), anchor 1, is entry (1 * W + 2) * 3 + 1."""
    features = {"p3": torch.randn(1, 8, 4, 5), "p4": torch.randn(1, 8, 2, 3)}
    with torch.inference_mode():
        output = rpn(features)
        hidden = torch.relu(rpn.conv(features["p3"]))
        index = (1 * 5 + 2) * 3 + 1
        assert output.logits[0][0, index] == rpn.objectness(hidden)[0, 1, 1, 2]
        assert torch.equal(output.deltas[0][0, index], rpn.deltas(hidden)[0, 4:8, 1, 2])
    assert output.anchors[0][index].tolist() == [16 - 8, 8 - 8, 16 + 8, 8 + 8]
    assert [len(a) for a in output.anchors] == [60, 18]


def one_level(boxes: list[list[float]], logits: list[float]) -> RpnOutput:
    """Predictions that leave `boxes` where they are."""
    return RpnOutput([torch.tensor([logits])], [torch.zeros(1, len(boxes), 4)], [torch.tensor(boxes)])


def test_proposals_are_clipped_and_empty_ones_dropped(rpn: RegionProposalNetwork) -> None:
    output = one_level([[-10.0, -10.0, 20.0, 20.0], [70.0, 0.0, 90.0, 10.0], [0.0, 30.0, 40.0, 55.0]], [1.0, 9.0, 2.0])
    boxes, logits, count = rpn.propose(output, torch.tensor([[50, 64]]))
    assert count.tolist() == [2]  # the best one lies outside the image
    assert boxes[0, :2].tolist() == [[0.0, 30.0, 40.0, 50.0], [0.0, 0.0, 20.0, 20.0]]
    assert logits[0, :2].tolist() == [2.0, 1.0]
    assert boxes[0, 2:].eq(0).all() and logits[0, 2:].eq(0).all()


def test_levels_do_not_suppress_each_other(rpn: RegionProposalNetwork) -> None:
    same = [[5.0, 5.0, 30.0, 30.0], [5.0, 5.0, 30.0, 31.0]]
    one = one_level(same, [3.0, 2.0])
    output = RpnOutput(one.logits * 2, one.deltas * 2, one.anchors * 2)
    boxes, _, count = rpn.propose(output, torch.tensor([[64, 64]]))
    assert count.tolist() == [2]
    assert boxes[0, 0].tolist() == boxes[0, 1].tolist() == same[0]


def test_boxes_from_elsewhere_compete(rpn: RegionProposalNetwork) -> None:
    output = one_level([[0.0, 0.0, 10.0, 10.0]], [1.0])
    extra = (torch.tensor([[[20.0, 20.0, 40.0, 40.0], [0.0, 0.0, 10.0, 10.0]]]), torch.tensor([[0.5, 2.0]]))
    boxes, logits, count = rpn.propose(output, torch.tensor([[64, 64]]), extra, post_nms=3)
    assert count.tolist() == [3]
    assert logits[0].tolist() == [2.0, 1.0, 0.5]
    assert boxes[0, 2].tolist() == [20.0, 20.0, 40.0, 40.0]


def test_nothing_to_propose(rpn: RegionProposalNetwork) -> None:
    boxes, _, count = rpn.propose(one_level([[70.0, 0.0, 90.0, 10.0]], [5.0]), torch.tensor([[50, 64]]))
    assert count.tolist() == [0]
    assert boxes.eq(0).all()


def test_select_zeroes_the_rest() -> None:
    values = torch.arange(6.0).reshape(1, 3, 2)
    assert select(values, torch.tensor([[2, 1, 0, 0]]), torch.tensor([2])).tolist() == [
        [[4, 5], [2, 3], [0, 0], [0, 0]]
    ]
    assert NO_BOX < -1e6
