"""The pose prior: MoveNet's dense maps turned into logits."""

from __future__ import annotations

import copy

import pytest

torch = pytest.importorskip("torch", reason="torch is not installed; pip install 'gcpose-trt[export]'")

from torch import Tensor  # noqa: E402

from gcpose_trt.model.config import CONFIGS  # noqa: E402
from gcpose_trt.model.ops import keypoint_decode  # noqa: E402
from gcpose_trt.model.pose_prior import CoarseMaps, PriorMaps  # noqa: E402
from gcpose_trt.model.prior_head import PRIOR_CHANNELS, PriorKeypointHead, pose_features  # noqa: E402

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


def nothing() -> CoarseMaps:
    return CoarseMaps(*(torch.zeros(1, channels, ROWS, COLUMNS) for channels in (17, 1, 34)))


@torch.no_grad()
def joints(head: PriorKeypointHead, scene: PriorMaps, region: Tensor, coarse: CoarseMaps | None = None) -> Tensor:
    """Places (N, 17, 2); without `coarse` the half-size image says the same as the image."""
    coarse = coarse or CoarseMaps(scene.heat, torch.sigmoid(scene.centre), scene.regress)
    features = pose_features(torch.zeros(1, CHANNELS, ROWS, COLUMNS), scene, coarse)
    assert features.shape[1] == CHANNELS + PRIOR_CHANNELS
    logits = head(features, region, torch.zeros(len(region), dtype=torch.int64))
    return keypoint_decode(logits, region)[..., :2]


def towards(x: float, y: float) -> Tensor:
    """Regression (1, 34, H/4, W/4) that says of all joints, seen from any cell's corner, that they are at (x, y)."""
    rows, columns = torch.arange(ROWS)[:, None].expand(ROWS, COLUMNS), torch.arange(COLUMNS).expand(ROWS, COLUMNS)
    return torch.stack([y / 4 - rows, x / 4 - columns]).repeat(17, 1, 1)[None]


def test_without_heat_joints_lie_where_the_regression_says(head: PriorKeypointHead) -> None:
    found = joints(head, maps(regress=towards(100, 80)), torch.tensor([[60.0, 40.0, 150.0, 160.0]]))
    torch.testing.assert_close(found, torch.tensor([100.0, 80.0]).expand(1, 17, 2), atol=1.5, rtol=0)


def test_heat_moves_a_joint_and_the_regression_tells_two_people_apart(head: PriorKeypointHead) -> None:
    heat = torch.zeros(1, 17, ROWS, COLUMNS)
    heat[:, :, 20, 20] = heat[:, :, 20, 40] = 0.9  # the same joint of two people, 80 pixels apart
    region = torch.tensor([[40.0, 40.0, 200.0, 140.0]])
    for column in (20, 40):
        found = joints(head, maps(heat=heat, regress=towards(4 * column + 2, 82)), region)
        place = torch.tensor([4 * column + 2.0, 82.0]).expand(1, 17, 2)
        torch.testing.assert_close(found, place, atol=2.0, rtol=0)


@torch.no_grad()
def test_a_small_person_is_read_from_the_image_and_a_large_one_from_its_half(head: PriorKeypointHead) -> None:
    sharp = copy.deepcopy(head)
    sharp.gate_size.fill_(6.0)  # 64 pixels, so that both kinds have room in the image
    sharp.gate_slope.fill_(20.0)
    scene, coarse = maps(regress=towards(100, 80)), nothing()._replace(regress=towards(120, 90))
    for side, place in ((40.0, [100.0, 80.0]), (140.0, [120.0, 90.0])):
        region = torch.tensor([[110 - side / 2, 85 - side / 2, 110 + side / 2, 85 + side / 2]])
        found = joints(sharp, scene, region, coarse)
        torch.testing.assert_close(found, torch.tensor(place).expand(1, 17, 2), atol=2.0, rtol=0)


@torch.no_grad()
def test_share_of_the_half_size_image(head: PriorKeypointHead) -> None:
    """It counts half for people of 2 ** gate_size pixels, more for larger ones, whatever the shape of the box."""
    factor = head.config.box_factor
    middle = 2 ** float(head.gate_size) * factor
    sides = middle * torch.tensor([[1, 1], [0.25, 4], [0.5, 0.5], [2, 2], [0, 0], [1e4, 1e4]])
    corner = torch.tensor([37.0, -12.0]).expand(6, 2)
    share = head.coarse_share(torch.cat([corner, corner + sides], 1))
    torch.testing.assert_close(share[:2], torch.tensor([0.5, 0.5]), atol=1e-4, rtol=0)
    slope = float(head.gate_slope)
    octave = torch.sigmoid(torch.tensor([-slope, slope]))
    torch.testing.assert_close(share[2:4], octave, atol=1e-4, rtol=0)
    assert share[4] < 1e-6 and share[5] > 1 - 1e-6
    assert head.coarse_share(torch.tensor([[9.0, 9.0, 2.0, 3.0]])).isfinite().all()


@torch.no_grad()
def test_outside_the_image_there_is_no_joint(head: PriorKeypointHead) -> None:
    """Zeros that pooling reads there mean what an empty map means: the joint is where the map has it, at the border."""
    heat = torch.zeros(1, 17, ROWS, COLUMNS)
    heat[:, :, 20, 0] = 0.9
    for small, side in ((True, 40.0), (False, 900.0)):
        region = torch.tensor([[2.0 - side, 82 - side, 2 + side, 82 + side]])  # half of it outside
        scene, coarse = (maps(heat=heat), nothing()) if small else (maps(), nothing()._replace(heat=heat))
        features = pose_features(torch.zeros(1, CHANNELS, ROWS, COLUMNS), scene, coarse)
        wide = torch.nn.functional.pad(features, (20, 20, 20, 20))
        index = torch.zeros(1, dtype=torch.int64)
        logits, expected = head(features, region, index), head(wide, region + 80, index)
        torch.testing.assert_close(logits, expected, atol=1e-3, rtol=1e-4)
