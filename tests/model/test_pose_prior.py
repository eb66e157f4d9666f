"""MoveNet's dense maps: proposals from centres, and the maps of the half-size image in the units of the image's own."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch", reason="torch is not installed; pip install 'gcpose-trt[export]'")

import torch.nn.functional as F  # noqa: E402
from hypothesis import given, settings  # noqa: E402
from hypothesis import strategies as st  # noqa: E402
from torch import Tensor  # noqa: E402

from gcpose_trt.model import GCPoseRCNN, build_model  # noqa: E402
from gcpose_trt.model.network import CENTRE_PROPOSALS, HALF_PROPOSALS  # noqa: E402
from gcpose_trt.model.pose_prior import STRIDE, PriorMaps, centre_proposals, crop, halve, to_fine  # noqa: E402

FEW = settings(max_examples=6, deadline=None, derandomize=True)
multiple_of_32 = st.integers(1, 7).map(lambda count: 32 * count)


def maps(rows: int, columns: int, **changes: Tensor) -> PriorMaps:
    """Maps of an empty scene."""
    channels = {"m4": 32, "m3": 24, "m2": 24, "hidden": 96, "heat": 17, "centre": 1, "size": 2, "regress": 34}
    parts = {name: torch.zeros(1, count, rows, columns) for name, count in channels.items()}
    parts["centre"] -= 8
    return PriorMaps(**(parts | changes))


def regression_to(rows: int, columns: int, row: float, column: float) -> Tensor:
    """Regression (1, 34, rows, columns) that puts all joints at one place, in cells, seen from any cell's corner."""
    vertical = (row - torch.arange(rows))[:, None].expand(rows, columns)
    horizontal = (column - torch.arange(columns)).expand(rows, columns)
    return torch.stack([vertical, horizontal]).repeat(17, 1, 1)[None].float()


def test_centres_become_boxes_best_first() -> None:
    centre, size = torch.full((1, 1, 48, 64), -8.0), torch.zeros(1, 2, 48, 64)
    centre[0, 0, 10, 12], centre[0, 0, 10, 13], centre[0, 0, 30, 40] = 2.0, 1.0, 3.0  # the second is no peak
    size[0, :, 10, 12], size[0, :, 30, 40] = torch.tensor([10.0, 4.0]), torch.tensor([6.0, 8.0])  # height, width
    scene = maps(48, 64, centre=centre, size=size)
    boxes, logits = centre_proposals(scene, 5)
    assert logits[0, :2].tolist() == [3.0, 2.0]
    assert (logits[0, 2:] <= -8).all()
    assert boxes[0, :2].tolist() == [[146.0, 110.0, 178.0, 134.0], [42.0, 22.0, 58.0, 62.0]]
    coarse, same = centre_proposals(scene, 5, 2 * STRIDE)
    assert torch.equal(coarse, 2 * boxes) and torch.equal(same, logits)


def test_more_proposals_than_cells() -> None:
    tiny = PriorMaps(*(torch.zeros(1, n, 2, 2) for n in (32, 24, 24, 96, 17, 1, 2, 34)))
    boxes, logits = centre_proposals(tiny, 30)
    assert boxes.shape == (1, 30, 4)
    assert (logits[0, 4:] == -30).all()


@FEW
@given(height=multiple_of_32, width=multiple_of_32)
def test_half_the_image_in_whole_strides(height: int, width: int) -> None:
    x = torch.randn(1, 3, height, width, generator=torch.Generator().manual_seed(height + width))
    half = halve(x)
    assert half.shape == (1, 3, -(-height // 64) * 32, -(-width // 64) * 32)
    inner = half[:, :, : height // 2, : width // 2]
    torch.testing.assert_close(inner, F.interpolate(x, scale_factor=0.5, mode="bilinear", antialias=False))
    # The padding is zero, which after normalisation is no image.
    assert half[:, :, height // 2 :].eq(0).all() and half[:, :, :, width // 2 :].eq(0).all()


def test_a_frame_of_zeros_stays_one() -> None:
    """What `normalize` blanks at full size, an even number of pixels, is blank at half size."""
    x = torch.zeros(1, 3, 96, 352)
    x[:, :, :50, :100] = 1.0
    half = halve(x)
    assert half.shape == (1, 3, 64, 192)
    assert half[:, :, :25, :50].eq(1).all() and half.sum() == 3 * 25 * 50


@FEW
@given(height=multiple_of_32, width=multiple_of_32)
def test_cropped_coarse_maps_lie_on_the_fine_grid(height: int, width: int) -> None:
    rows, columns = halve(torch.zeros(1, 3, height, width)).shape[-2:]
    coarse = crop(maps(rows // 4, columns // 4), height // 4 // 2, width // 4 // 2)
    assert coarse.hidden is None and coarse.size.shape[-2:] == (height // 8, width // 8)
    for part, channels in zip(to_fine(coarse), (17, 1, 34), strict=True):
        assert part.shape == (1, channels, height // 4, width // 4)


def test_crop_keeps_what_is_of_the_image() -> None:
    numbered = torch.arange(8 * 24.0).view(1, 1, 8, 24)
    cut = crop(maps(8, 24, heat=numbered.repeat(1, 17, 1, 1), centre=numbered), 4, 22)
    assert torch.equal(cut.centre, numbered[:, :, :4, :22])
    assert torch.equal(cut.heat[:, 5:6], numbered[:, :, :4, :22])


@FEW
@given(row=st.floats(-3, 30), column=st.floats(-3, 30))
def test_a_regressed_place_is_the_same_in_fine_units(row: float, column: float) -> None:
    """Pixels of the image that the coarse map names: 8 a cell; those of the fine map: 4."""
    fine = to_fine(maps(12, 16, regress=regression_to(12, 16, row, column))).regress
    corner_row = torch.arange(24.0)[:, None]
    corner_column = torch.arange(32.0)
    rows = STRIDE * (corner_row + fine[0, 0::2])
    columns = STRIDE * (corner_column + fine[0, 1::2])
    # Half a cell from the border on interpolation has but one cell to go by.
    inside = (slice(None), slice(1, -1), slice(1, -1))
    torch.testing.assert_close(rows[inside], torch.full((17, 22, 30), 2 * STRIDE * row), atol=1e-3, rtol=0)
    torch.testing.assert_close(columns[inside], torch.full((17, 22, 30), 2 * STRIDE * column), atol=1e-3, rtol=0)


@FEW
@given(row=st.floats(2, 10), column=st.floats(2, 14))
def test_a_joints_heat_is_at_the_same_place_in_fine_units(row: float, column: float) -> None:
    """The centre of its probability, in pixels."""
    apart = (torch.arange(12.0)[:, None] + 0.5 - row) ** 2 + (torch.arange(16.0) + 0.5 - column) ** 2
    heat = torch.exp(-apart / (2 * 0.6**2)).expand(1, 17, 12, 16)

    def place(values: Tensor, stride: int) -> Tensor:
        cells = [(torch.arange(float(count)) + 0.5) * stride for count in values.shape]
        return torch.stack([values.sum(1) @ cells[0], values.sum(0) @ cells[1]]) / values.sum()

    fine = to_fine(maps(12, 16, heat=heat)).heat
    torch.testing.assert_close(place(fine[0, 4], STRIDE), place(heat[0, 4], 2 * STRIDE), atol=0.1, rtol=0)
    assert fine.max() <= heat.max() + 1e-6  # probabilities stay probabilities
    assert (to_fine(maps(12, 16)).heat == 0).all()


@pytest.fixture(scope="module")
def mobile() -> GCPoseRCNN:
    torch.manual_seed(0)
    return build_model("mobile")


@pytest.mark.parametrize(("height", "width"), [(352, 96), (32, 32), (32, 64)])
def test_odd_sizes_through_the_network(mobile: GCPoseRCNN, height: int, width: int) -> None:
    generator = torch.Generator().manual_seed(3)
    image = torch.randint(0, 256, (1, height, width, 3), dtype=torch.uint8, generator=generator)
    size = torch.tensor([[height, width]])
    with torch.inference_mode():
        features = mobile.features(mobile.normalize(image, size))
        found = mobile.detect(image, size)
        keypoints = mobile.pose(found.p2, found.boxes[0, :2], torch.zeros(2, dtype=torch.int64))
    assert features["pose"].shape[-2:] == (height // 4, width // 4)
    assert features["box_prior"].shape == (1, 36, height // 8, width // 8)
    assert features["extra_boxes"].shape == (1, CENTRE_PROPOSALS + HALF_PROPOSALS, 4)
    assert features["extra_logits"].shape == (1, CENTRE_PROPOSALS + HALF_PROPOSALS)
    assert found.p2.shape[-2:] == (height // 4, width // 4)
    assert int(found.count) >= 2 and torch.isfinite(keypoints).all()  # random weights: everything is a person


def test_the_coarse_maps_are_those_of_the_half_size_image(mobile: GCPoseRCNN) -> None:
    """With 64 pixels a side there is no padding: the network's last 52 channels follow from its own half alone."""
    generator = torch.Generator().manual_seed(4)
    x = torch.randn(1, 3, 64, 128, generator=generator)
    with torch.inference_mode():
        coarse = mobile.features(x)["pose"][:, -52:]
        alone = mobile.prior(mobile.backbone(F.avg_pool2d(x, 2)))
    torch.testing.assert_close(coarse, torch.cat(list(to_fine(alone)), 1), atol=1e-4, rtol=1e-4)
