"""Decoding: the exhaustive form against OpenCV's bicubic resize, the two-step form against the exhaustive one."""

from __future__ import annotations

import math
from collections.abc import Callable

import cv2
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from gcpose_trt.model.ops import keypoint_decode, keypoint_decode_exhaustive

SIZE = 56
Decode = Callable[[Tensor, Tensor], Tensor]


def noise(seed: int, people: int = 1, joints: int = 3) -> Tensor:
    return 4 * torch.randn(people, joints, SIZE, SIZE, generator=torch.Generator().manual_seed(seed))


def bumps(seed: int, people: int = 1, joints: int = 3) -> Tensor:
    """Maps as a trained network makes them: a smooth peak anywhere, with its rival at a fifth of the height."""
    generator = torch.Generator().manual_seed(seed)
    centre = torch.rand(2, people, joints, 2, generator=generator) * SIZE
    cell = torch.arange(SIZE) + 0.5
    x = (cell - centre[..., :1])[..., None, :] ** 2
    y = (cell - centre[..., 1:])[..., None] ** 2
    peaks = torch.exp(-(x + y) / (2 * 1.5**2))
    return 10 * peaks[0] + 2 * peaks[1] - 5


def box(x: float, y: float, width: float, height: float) -> Tensor:
    return torch.tensor([[x, y, x + width, y + height]])


def assert_same_place(ours: Tensor, expected: Tensor) -> None:
    assert torch.allclose(ours[..., :2], expected[..., :2], atol=1e-3)
    assert torch.allclose(ours[..., 2], expected[..., 2], rtol=1e-3)


@pytest.mark.parametrize(("width", "height"), [(61.3, 130.8), (300.0, 47.2), (20.5, 20.5)])
def test_exhaustive_is_a_bicubic_resize(width: float, height: float) -> None:
    logits, region = noise(1), box(11.5, -7.25, width, height)
    ours = keypoint_decode_exhaustive(logits, region)[0].numpy()
    columns, rows = int(np.ceil(width)), int(np.ceil(height))
    for joint, plane in enumerate(logits[0].numpy()):
        resized = cv2.resize(plane, (columns, rows), interpolation=cv2.INTER_CUBIC)
        row, column = np.unravel_index(resized.argmax(), resized.shape)
        assert ours[joint, 0] == pytest.approx(11.5 + (column + 0.5) * width / columns, abs=1e-2)
        assert ours[joint, 1] == pytest.approx(-7.25 + (row + 0.5) * height / rows, abs=1e-2)
        score = 1 / np.exp(plane - resized.max()).sum()
        assert ours[joint, 2] == pytest.approx(score, rel=1e-3)


small = st.floats(1, 111)  # up to two pixels a cell there is no second step
place = st.floats(-50, 600)


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 1000), x=place, y=place, width=small, height=small)
def test_two_steps_are_exhaustive_on_small_boxes(seed: int, x: float, y: float, width: float, height: float) -> None:
    logits, region = noise(seed), box(x, y, width, height)
    assert_same_place(keypoint_decode(logits, region), keypoint_decode_exhaustive(logits, region))


large = st.floats(28, 900)  # smaller boxes may miss a peak between their pixels


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 1000), width=large, height=large)
def test_two_steps_find_smooth_peaks_in_any_box(seed: int, width: float, height: float) -> None:
    logits, region = bumps(seed), box(3.0, 4.0, width, height)
    ours, expected = keypoint_decode(logits, region), keypoint_decode_exhaustive(logits, region)
    # On a flat top neighbouring pixels differ by less than float32 resolves; anything further off is another peak.
    pixel = torch.tensor([width, height]) / torch.tensor([width, height]).ceil()
    assert ((ours - expected)[..., :2].abs() <= 1.01 * pixel).all()
    assert torch.allclose(ours[..., 2], expected[..., 2], rtol=1e-3)


def test_boxes_of_all_sizes_together() -> None:
    """The widest box sets the number of samples; the others must not notice."""
    logits = bumps(5, people=4)
    regions = torch.cat([box(0, 0, 30, 40), box(5, 5, 700, 90), box(-20, 9, 112, 500), box(1, 1, 0.5, 0.2)])
    together = keypoint_decode(logits, regions)
    apart = torch.cat([keypoint_decode(logits[n : n + 1], regions[n : n + 1]) for n in range(4)])
    assert_same_place(together, apart)


@pytest.mark.parametrize("decode", [keypoint_decode, keypoint_decode_exhaustive])
def test_degenerate_boxes(decode: Decode) -> None:
    regions = torch.tensor([[5.0, 6.0, 5.0, 6.0], [9.0, 9.0, 2.0, 3.0]])
    keypoints = decode(noise(3, people=2), regions)
    assert torch.isfinite(keypoints).all()
    # A box without size counts as one pixel.
    assert torch.allclose(keypoints[..., :2], (regions[:, :2] + 0.5)[:, None])


@pytest.mark.parametrize("decode", [keypoint_decode, keypoint_decode_exhaustive])
def test_nobody(decode: Decode) -> None:
    assert decode(torch.zeros(0, 17, SIZE, SIZE), torch.zeros(0, 4)).shape == (0, 17, 3)


def test_score_radius_counts_the_probability_around_the_joint() -> None:
    logits = torch.full((1, 1, 56, 56), -20.0)
    logits[0, 0, 20, 30] = 5.0
    logits[0, 0, 20, 33] = 5.0 - math.log(2)  # half as likely, three cells away
    region = torch.tensor([[0.0, 0.0, 56.0, 56.0]])
    peak = keypoint_decode(logits, region)[0, 0, 2]
    near = keypoint_decode(logits, region, score_radius=2.5)[0, 0, 2]
    far = keypoint_decode(logits, region, score_radius=3.5)[0, 0, 2]
    torch.testing.assert_close(torch.stack([peak, near, far]), torch.tensor([2 / 3, 2 / 3, 1.0]), atol=1e-4, rtol=0)
