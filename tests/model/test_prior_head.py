"""The pose prior: MoveNet's dense maps turned into logits."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch", reason="torch is not installed; pip install 'gcpose-trt[export]'")

from torch import Tensor  # noqa: E402

from gcpose_trt.model.config import CONFIGS  # noqa: E402
from gcpose_trt.model.ops import keypoint_decode  # noqa: E402
from gcpose_trt.model.pose_prior import PriorMaps, centre_proposals  # noqa: E402
from gcpose_trt.model.prior_head import PriorKeypointHead, pose_features  # noqa: E402

CHANNELS, ROWS, COLUMNS = 8, 48, 64


def maps(**changes: Tensor) -> PriorMaps:
    """Maps of an empty scene of 192 x 256 pixels."""

    def plain(channels: int, value: float = 0.0) -> Tensor:
        return torch.full((1, channels, ROWS, COLUMNS), value)

    parts = {"m4": plain(32), "m3": plain(24), "m2": plain(24), "hidden": plain(96), "heat": plain(17)}
    parts |= {"centre": plain(1, -8.0), "size": plain(2), "regress": plain(34)}
    return PriorMaps(**(parts | changes))


@pytest.fixture(scope="module")
def head() -> PriorKeypointHead:
    torch.manual_seed(0)
    head = PriorKeypointHead(CONFIGS["mobile"].keypoint, CHANNELS).eval()
    torch.nn.init.zeros_(head.deconv.weight)  # only the prior speaks
    return head


@torch.no_grad()
def joints(head: PriorKeypointHead, scene: PriorMaps, region: Tensor) -> Tensor:
    features = pose_features(torch.zeros(1, CHANNELS, ROWS, COLUMNS), scene)
    logits = head(features, region, torch.zeros(len(region), dtype=torch.int64))
    return keypoint_decode(logits, region)[..., :2]


def test_without_heat_joints_lie_where_the_regression_says(head: PriorKeypointHead) -> None:
    # Seen from the corner of any cell, all joints are at (100, 80): regression minus the cell's own place.
    rows, columns = torch.arange(ROWS)[:, None].expand(ROWS, COLUMNS), torch.arange(COLUMNS).expand(ROWS, COLUMNS)
    offset = torch.stack([80 / 4 - rows, 100 / 4 - columns])
    found = joints(head, maps(regress=offset.repeat(17, 1, 1)[None]), torch.tensor([[60.0, 40.0, 150.0, 160.0]]))
    torch.testing.assert_close(found, torch.tensor([100.0, 80.0]).expand(1, 17, 2), atol=1.5, rtol=0)


def test_heat_moves_a_joint_and_the_regression_tells_two_people_apart(head: PriorKeypointHead) -> None:
    heat = torch.zeros(1, 17, ROWS, COLUMNS)
    heat[:, :, 20, 20] = heat[:, :, 20, 40] = 0.9  # the same joint of two people, 80 pixels apart
    region = torch.tensor([[40.0, 40.0, 200.0, 140.0]])
    for column in (20, 40):
        offset = torch.zeros(1, 34, ROWS, COLUMNS)
        offset[:, 0::2] = 20.5 - torch.arange(ROWS)[:, None]
        offset[:, 1::2] = column + 0.5 - torch.arange(COLUMNS)
        found = joints(head, maps(heat=heat, regress=offset), region)
        place = torch.tensor([4 * column + 2.0, 82.0]).expand(1, 17, 2)
        torch.testing.assert_close(found, place, atol=2.0, rtol=0)


def test_centres_become_boxes_best_first() -> None:
    centre, size = torch.full((1, 1, ROWS, COLUMNS), -8.0), torch.zeros(1, 2, ROWS, COLUMNS)
    centre[0, 0, 10, 12], centre[0, 0, 10, 13], centre[0, 0, 30, 40] = 2.0, 1.0, 3.0  # the second is no peak
    size[0, :, 10, 12], size[0, :, 30, 40] = torch.tensor([10.0, 4.0]), torch.tensor([6.0, 8.0])  # height, width
    boxes, logits = centre_proposals(maps(centre=centre, size=size), 5)
    assert logits[0, :2].tolist() == [3.0, 2.0]
    assert (logits[0, 2:] <= -8).all()
    assert boxes[0, :2].tolist() == [[146.0, 110.0, 178.0, 134.0], [42.0, 22.0, 58.0, 62.0]]


def test_more_proposals_than_cells() -> None:
    tiny = PriorMaps(*(torch.zeros(1, n, 2, 2) for n in (32, 24, 24, 96, 17, 1, 2, 34)))
    boxes, logits = centre_proposals(tiny, 30)
    assert boxes.shape == (1, 30, 4)
    assert (logits[0, 4:] == -30).all()
