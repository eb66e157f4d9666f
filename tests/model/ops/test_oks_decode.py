"""Decoding by expected similarity, against the same expectation summed up cell by cell in double precision."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from torch import Tensor

from gcpose_trt.model.config import CONFIGS
from gcpose_trt.model.ops import keypoint_decode, oks_decode

SIZE = 56
SPREAD = CONFIGS["mobile"].keypoint.spread
NOSE, HIP = SPREAD[0], SPREAD[11]  # the sharpest kernels but for the eyes', and the widest
FEW = settings(max_examples=25, deadline=None, derandomize=True)
Array = NDArray[np.float64]


def box(x: float, y: float, width: float, height: float) -> Tensor:
    return torch.tensor([[x, y, x + width, y + height]])


def gaussian(x: float, y: float, deviation: float, size: int = SIZE) -> Array:
    """Mass (S, S) of a Gaussian around a place in cells from the map's corner, not normalised."""
    cell = np.arange(size) + 0.5
    squared = (cell[:, None] - y) ** 2 + (cell[None] - x) ** 2
    return np.asarray(np.exp(-squared / (2 * deviation**2)))


def as_logits(*masses: Array) -> Tensor:
    """Logits (1, K, S, S) of maps of mass."""
    return torch.from_numpy(np.log(np.stack(masses)[None] + 1e-30)).float()


def cells_of(keypoints: Tensor, region: Tensor, size: int = SIZE) -> Array:
    """Places (K, 2) x, y of the first person, in cells from the map's corner."""
    side = (region[0, 2:] - region[0, :2]).clamp(min=1)
    return np.asarray(((keypoints[0, :, :2] - region[0, :2]) / side * size).double())


def expected_at(logits: Tensor, x: float, y: float, width: float, height: float, spread: float) -> float:
    """Similarity that a guess at (x, y) in cells is expected to get, by COCO's formula for every cell (S, S)."""
    size = logits.shape[-1]
    values = logits.double().numpy()
    mass = np.exp(values - values.max())
    mass /= mass.sum()
    total = 0.0
    for row in range(size):
        for column in range(size):
            apart = ((x - column - 0.5) * width / size) ** 2 + ((y - row - 0.5) * height / size) ** 2
            total += mass[row, column] * math.exp(-apart / (2 * spread**2 * width * height))
    return total


coordinate = st.floats(-50, 600)
side = st.floats(2, 700)
seeds = st.integers(0, 1000)


@FEW
@given(x=st.floats(10, 46), y=st.floats(10, 46), left=coordinate, top=coordinate, width=side, height=side)
def test_a_gaussian_is_found_wherever_it_is(
    x: float, y: float, left: float, top: float, width: float, height: float
) -> None:
    # The kernel's tails beyond the map are missed where it is wide, so that of the nose, on boxes up to 3:1.
    height = min(max(height, width / 3), width * 3)
    region = box(left, top, width, height)
    masses = [gaussian(x, y, deviation) for deviation in (0.8, 1.5, 2.5)]
    found = cells_of(oks_decode(as_logits(*masses), region, spread=[NOSE] * 3), region)
    coarse = 56 * 2**-24 * max(abs(left), abs(top), 1.0) / min(width, height)  # what float32 leaves of coordinates
    np.testing.assert_allclose(found, [[x, y]] * 3, atol=0.05 + 4 * coarse)


@FEW
@given(seed=seeds, width=st.floats(1, 700), height=st.floats(1, 700), spread=st.sampled_from(SPREAD))
def test_the_score_is_the_expected_similarity(seed: int, width: float, height: float, spread: float) -> None:
    logits = 3 * torch.randn(1, 1, 14, 14, generator=torch.Generator().manual_seed(seed))
    region = box(0, 0, width, height)
    keypoints = oks_decode(logits, region, spread=[spread])
    plane = logits[0, 0]
    everywhere = np.array(
        [[expected_at(plane, x + 0.5, y + 0.5, width, height, spread) for x in range(14)] for y in range(14)]
    )
    assert keypoints[0, 0, 2].item() == pytest.approx(everywhere.max(), rel=1e-4)
    # The place is inside a best cell.
    x, y = np.clip(np.round(cells_of(keypoints, region, 14)[0] - 0.5), 0, 13).astype(int)
    around = everywhere[max(y - 1, 0) : y + 2, max(x - 1, 0) : x + 2]
    assert around.max() == pytest.approx(everywhere.max(), rel=1e-5)


def expected_over(logits: Tensor, places: Array, width: float, height: float, spread: float) -> Array:
    """The same at all places (P,) of both axes at once, (P, P): the kernel is a product."""
    size = logits.shape[-1]
    mass = torch.softmax(logits.double().flatten(), 0).unflatten(0, (size, size)).numpy()
    apart = (places - (np.arange(size) + 0.5)[:, None]) ** 2
    twice = 2 * spread**2 * width * height * size**2
    return np.asarray(np.exp(-apart * height**2 / twice).T @ mass @ np.exp(-apart * width**2 / twice))


@FEW
@given(seed=seeds, width=st.floats(20, 400), height=st.floats(20, 400), spread=st.sampled_from(SPREAD))
def test_no_place_is_expected_to_do_better(seed: int, width: float, height: float, spread: float) -> None:
    """Of all places a tenth of a cell apart none is better by more than the parabola's error."""
    coarse = torch.randn(1, 1, 5, 5, generator=torch.Generator().manual_seed(seed))
    logits = 4 * torch.nn.functional.interpolate(coarse, size=(SIZE, SIZE), mode="bicubic")
    height = min(max(height, width / 2), width * 2)
    region = box(0, 0, width, height)
    x, y = cells_of(oks_decode(logits, region, spread=[spread]), region)[0]
    ours = expected_over(logits[0, 0], np.array([x, y]), width, height, spread)[1, 0]
    assert ours == pytest.approx(expected_at(logits[0, 0], x, y, width, height, spread), rel=1e-9)
    best = expected_over(logits[0, 0], np.linspace(0, SIZE, 10 * SIZE + 1), width, height, spread).max()
    assert ours >= 0.998 * best


def test_of_two_humps_the_one_with_the_larger_expected_similarity() -> None:
    """A spike is the largest cell; a broad hump of more probability is worth more where the kernel is wide."""
    spike, broad = gaussian(12.5, 40.5, 0.7), gaussian(40.5, 14.5, 3.0)
    mass = 3 * spike / spike.sum() + 5 * broad / broad.sum()
    assert mass.argmax() == 40 * SIZE + 12
    region = box(0, 0, 100, 100)
    logits = as_logits(mass, mass)
    keypoints = oks_decode(logits, region, spread=[HIP, NOSE / 3])
    for found, place in zip(cells_of(keypoints, region), ([40.5, 14.5], [12.5, 40.5]), strict=True):
        np.testing.assert_allclose(found, place, atol=0.6)
    for spread, score in zip((HIP, NOSE / 3), keypoints[0, :, 2].tolist(), strict=True):
        humps = [expected_at(logits[0, 0], x, y, 100, 100, spread) for x, y in ((40.5, 14.5), (12.5, 40.5))]
        assert score == pytest.approx(max(humps), rel=1e-3)
    found = cells_of(keypoint_decode(logits, region), region)
    np.testing.assert_allclose(found[0], [12.5, 40.5], atol=0.6)


@pytest.mark.parametrize("row", [0, 20, SIZE - 1])
@pytest.mark.parametrize("column", [0, 30, SIZE - 1])
def test_a_certain_cell_at_a_border_is_its_middle(row: int, column: int) -> None:
    logits = torch.full((1, 2, SIZE, SIZE), -30.0)
    logits[:, :, row, column] = 30.0
    region = box(-20, 15, 112, 168)
    keypoints = oks_decode(logits, region, spread=[NOSE, HIP])
    np.testing.assert_allclose(cells_of(keypoints, region), [[column + 0.5, row + 0.5]] * 2, atol=1e-2)
    assert torch.allclose(keypoints[..., 2], torch.ones(2), atol=1e-5)


@FEW
@given(x=st.floats(0, 3), y=st.floats(53, 56), deviation=st.floats(0.5, 3))
def test_at_borders_too_no_place_does_better(x: float, y: float, deviation: float) -> None:
    logits, region = as_logits(gaussian(x, y, deviation)), box(0, 0, 90, 120)
    found = cells_of(oks_decode(logits, region, spread=[NOSE]), region)[0]
    assert (found >= 0.5 - 1e-4).all() and (found <= SIZE - 0.5 + 1e-4).all()
    fine = np.linspace(0, SIZE, 20 * SIZE + 1)
    expected = expected_over(logits[0, 0], fine, 90, 120, NOSE)
    best_row, best_column = np.divmod(expected.argmax(), len(fine))
    np.testing.assert_allclose(found, [fine[best_column], fine[best_row]], atol=0.08)


def test_degenerate_boxes_count_as_one_pixel() -> None:
    logits = torch.randn(4, 3, SIZE, SIZE, generator=torch.Generator().manual_seed(0))
    regions = torch.tensor([[5, 6, 5, 6], [9, 9, 2, 3], [1, 1, 1.4, 1.2], [0, 0, 800, 0.5]])
    whole = torch.cat([regions[:3, :2], regions[:3, :2] + 1], 1)
    whole = torch.cat([whole, torch.tensor([[0.0, 0.0, 800.0, 1.0]])])
    ours, expected = (oks_decode(logits, boxes, spread=[NOSE] * 3) for boxes in (regions, whole))
    torch.testing.assert_close(ours, expected, atol=1e-4, rtol=1e-4)
    inside = (ours[..., :2] >= whole[:, None, :2]) & (ours[..., :2] <= whole[:, None, 2:])
    assert inside.all()
    assert ((ours[..., 2] > 0) & (ours[..., 2] <= 1.0001)).all()


@pytest.mark.parametrize("value", [0.0, -1e4, 1e4, 3.4e38])
def test_a_constant_map_is_its_middle(value: float) -> None:
    keypoints = oks_decode(torch.full((1, 1, SIZE, SIZE), value), box(0, 0, 112, 112), spread=[HIP])
    # Around the middle the map is flat to the last bits of float32.
    torch.testing.assert_close(keypoints[0, 0, :2], torch.tensor([56.0, 56.0]), atol=12.0, rtol=0)
    assert keypoints[0, 0, 2].item() == pytest.approx(
        expected_at(torch.zeros(SIZE, SIZE), 28.5, 28.5, 112, 112, HIP), rel=1e-4
    )


@FEW
@given(shift=st.sampled_from([-1e4, 1e4]), seed=seeds)
def test_logits_of_any_height(shift: float, seed: int) -> None:
    """Only differences count, and eighths near ten thousand are exact."""
    logits = (24 * torch.randn(1, 2, SIZE, SIZE, generator=torch.Generator().manual_seed(seed))).round() / 8
    region = box(3, 4, 80, 120)
    ours, expected = (oks_decode(values, region, spread=[NOSE, HIP]) for values in (logits + shift, logits))
    assert torch.equal(ours, expected)


def test_a_cell_far_above_the_others_and_one_far_below() -> None:
    logits = torch.zeros(1, 2, SIZE, SIZE)
    logits[0, 0, 30, 12], logits[0, 1, 30, 12] = 1e4, -1e4
    region = box(0, 0, 56, 56)
    keypoints = oks_decode(logits, region, spread=[NOSE, NOSE])
    torch.testing.assert_close(keypoints[0, 0], torch.tensor([12.5, 30.5, 1.0]), atol=1e-3, rtol=0)
    assert torch.isfinite(keypoints).all() and keypoints[0, 1, 2] < 0.05


@FEW
@given(seed=seeds)
def test_half_precision_logits_are_decoded_in_float32(seed: int) -> None:
    half = (3 * torch.randn(2, 3, SIZE, SIZE, generator=torch.Generator().manual_seed(seed))).half()
    regions = torch.cat([box(1000.25, 3, 90, 120), box(0, 0, 300, 200)])
    ours = oks_decode(half, regions, spread=SPREAD[:3])
    assert ours.dtype == torch.float32
    assert torch.equal(ours, oks_decode(half.float(), regions, spread=SPREAD[:3]))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.equal(ours, oks_decode(half, regions, spread=SPREAD[:3]))


def test_nobody() -> None:
    none = oks_decode(torch.zeros(0, 17, SIZE, SIZE, dtype=torch.float16), torch.zeros(0, 4), spread=SPREAD)
    assert none.shape == (0, 17, 3) and none.dtype == torch.float32


def test_people_do_not_mix() -> None:
    logits = 3 * torch.randn(3, 17, SIZE, SIZE, generator=torch.Generator().manual_seed(2))
    regions = torch.cat([box(0, 0, 30, 40), box(5, 5, 700, 90), box(-20, 9, 112, 500)])
    together = oks_decode(logits, regions, spread=SPREAD)
    apart = torch.cat([oks_decode(logits[n : n + 1], regions[n : n + 1], spread=SPREAD) for n in range(3)])
    torch.testing.assert_close(together, apart, atol=1e-3, rtol=1e-4)


@FEW
@given(x=st.floats(8, 48), y=st.floats(8, 48), width=st.floats(60, 500), height=st.floats(60, 500))
def test_on_sharp_maps_the_largest_cell_is_no_other_place(x: float, y: float, width: float, height: float) -> None:
    height = min(max(height, width / 3), width * 3)
    region = box(3, 4, width, height)
    logits = torch.from_numpy(14 * gaussian(x, y, 1.5) - 7)[None, None].float()
    ours = cells_of(oks_decode(logits, region, spread=[NOSE]), region)
    peak = cells_of(keypoint_decode(logits, region), region)
    pixel = SIZE / np.floor([width, height])  # the other decode answers with whole pixels
    assert (np.abs(ours - peak) <= 0.5 + np.maximum(pixel - 1, 0) / 2).all()
