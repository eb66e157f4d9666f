"""RoIAlign: against torchvision's results, against a loop written from the definition, and its gradient."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from gcpose_trt.model.ops import assign_levels, multi_level_roi_align, roi_align


def bilinear(plane: np.ndarray, y: float, x: float) -> float:
    """Read one sample: zero beyond one cell outside, the border cell up to there."""
    height, width = plane.shape
    if y < -1 or y > height or x < -1 or x > width:
        return 0.0
    y, x = min(max(y, 0), height - 1), min(max(x, 0), width - 1)
    top, left = int(y), int(x)
    bottom, right = min(top + 1, height - 1), min(left + 1, width - 1)
    v, u = y - top, x - left
    upper = plane[top, left] * (1 - u) + plane[top, right] * u
    lower = plane[bottom, left] * (1 - u) + plane[bottom, right] * u
    return float(upper * (1 - v) + lower * v)


def naive_roi_align(
    plane: np.ndarray, roi: list[float], bins: int, stride: int, ratio: int, aligned: bool
) -> np.ndarray:
    """Average the samples of each bin, one after the other."""
    shift = 0.5 if aligned else 0.0
    x1, y1, x2, y2 = (side / stride for side in roi)
    width, height = x2 - x1, y2 - y1
    if not aligned:
        width, height = max(width, 1.0), max(height, 1.0)
    x1, y1 = x1 - shift, y1 - shift
    across = ratio or math.ceil(width / bins)
    down = ratio or math.ceil(height / bins)
    out = np.zeros((bins, bins))
    for row in range(bins):
        for column in range(bins):
            for i in range(down):
                for j in range(across):
                    y = y1 + (row + (i + 0.5) / down) * height / bins
                    x = x1 + (column + (j + 0.5) / across) * width / bins
                    out[row, column] += bilinear(plane, y, x) / (down * across)
    return out


coordinate = st.floats(-40, 90, width=32)


@settings(max_examples=60, deadline=None)
@given(
    roi=st.lists(coordinate, min_size=4, max_size=4),
    ratio=st.sampled_from([0, 2]),
    aligned=st.booleans(),
    seed=st.integers(0, 9),
)
def test_any_box_agrees_with_the_definition(roi: list[float], ratio: int, aligned: bool, seed: int) -> None:
    features = np.random.default_rng(seed).standard_normal((2, 3, 9, 13)).astype(np.float32)
    box = torch.tensor([roi])
    ours = roi_align(
        torch.from_numpy(features),
        box,
        torch.tensor([1]),
        output_size=3,
        stride=4,
        sampling_ratio=ratio,
        aligned=aligned,
    )
    expected = [naive_roi_align(plane, box[0].tolist(), 3, 4, ratio, aligned) for plane in features[1]]
    np.testing.assert_allclose(ours[0].numpy(), expected, atol=2e-5)


@pytest.mark.parametrize(
    "roi",
    [
        [8.0, 8.0, 8.0, 8.0],  # no size
        [30.0, 20.0, 10.0, 5.0],  # inside out
        [-500.0, -500.0, -400.0, -400.0],  # far outside
        [-1000.0, -1000.0, 2000.0, 2000.0],  # huge
        [50.0, 30.0, 56.0, 40.0],  # over the corner
    ],
)
def test_odd_boxes(roi: list[float]) -> None:
    features = torch.arange(2 * 9 * 13, dtype=torch.float32).reshape(1, 2, 9, 13)
    ours = roi_align(features, torch.tensor([roi]), torch.tensor([0]), output_size=7, stride=4)
    expected = [naive_roi_align(plane, roi, 7, 4, 0, True) for plane in features[0].numpy()]
    np.testing.assert_allclose(ours[0].numpy(), expected, rtol=1e-5, atol=1e-4)


@pytest.mark.parametrize("bins", [7, 14])
@pytest.mark.parametrize("ratio", [0, 2])
def test_torchvision(shared: Path, bins: int, ratio: int) -> None:
    with np.load(shared / "reference" / "roi_align_cases.npz") as cases:
        features = torch.from_numpy(cases["features"])
        boxes = torch.from_numpy(cases["boxes_xyxy"])
        stride = round(1 / float(cases["spatial_scale"]))
        expected = cases[f"pooled_{bins}_sampling{ratio}"]
    batch = torch.zeros(len(boxes), dtype=torch.int64)
    ours = roi_align(features, boxes, batch, output_size=bins, stride=stride, sampling_ratio=ratio)
    assert np.abs(ours.numpy() - expected).max() < 1e-4


def pool_some(features: Tensor) -> Tensor:
    rois = torch.tensor(
        [[3.0, 2.0, 33.0, 30.0], [-9.0, 10.0, 20.0, 21.0], [5.0, 5.0, 5.0, 5.0], [12.0, 1.0, 50.0, 9.0]]
    )
    return roi_align(features, rois, torch.tensor([0, 1, 0, 1]), output_size=3, stride=4)


def test_gradient() -> None:
    torch.manual_seed(0)
    features = torch.randn(2, 2, 6, 8, requires_grad=True)
    weight = torch.randn(4, 2, 3, 3)
    (pool_some(features) * weight).sum().backward()
    assert features.grad is not None
    # Pooling is linear in the features: the loss of a unit vector is the gradient in its direction, exactly.
    units = torch.eye(features.numel()).reshape(-1, *features.shape)
    expected = torch.stack([(pool_some(unit) * weight).sum() for unit in units]).reshape(features.shape)
    assert torch.allclose(features.grad, expected, atol=1e-5)


def test_half_precision_features_pool_in_float32() -> None:
    features = torch.randn(2, 2, 6, 8).bfloat16().requires_grad_()
    pooled = pool_some(features)
    assert pooled.dtype == torch.float32
    assert torch.allclose(pooled, pool_some(features.detach().float()))
    pooled.sum().backward()
    assert features.grad is not None and features.grad.dtype == torch.bfloat16


def test_no_boxes() -> None:
    none = torch.zeros(0, 4)
    index = torch.zeros(0, dtype=torch.int64)
    assert roi_align(torch.ones(1, 5, 4, 4), none, index, output_size=7, stride=4).shape == (0, 5, 7, 7)
    maps = [torch.ones(1, 5, 4, 4), torch.ones(1, 5, 2, 2)]
    assert multi_level_roi_align(maps, none, index, output_size=7, strides=[4, 8]).shape == (0, 5, 7, 7)


def test_levels() -> None:
    sides = torch.tensor([0.0, 1.0, 111.0, 112.0, 223.0, 224.0, 447.0, 448.0, 5000.0])
    rois = torch.stack([torch.zeros(9), torch.zeros(9), sides, sides], 1)
    assert assign_levels(rois, 2, 5).tolist() == [2, 2, 2, 3, 3, 4, 4, 5, 5]
    inside_out = torch.tensor([[100.0, 100.0, 0.0, 0.0]])
    assert assign_levels(inside_out, 2, 5).tolist() == [2]


def test_each_box_comes_from_its_level() -> None:
    maps = [torch.full((1, 1, 256 // 2**level, 256 // 2**level), float(level)) for level in (2, 3, 4, 5)]
    rois = torch.tensor([[10.0, 10.0, 240.0, 240.0], [5.0, 5.0, 25.0, 25.0], [0.0, 0.0, 150.0, 150.0]])
    pooled = multi_level_roi_align(maps, rois, torch.zeros(3, dtype=torch.int64), output_size=2, strides=[4, 8, 16, 32])
    assert pooled.mean((1, 2, 3)).tolist() == [4.0, 2.0, 3.0]
