"""Similarities of boxes and of joints."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gcpose_trt.pose import COCO17
from gcpose_trt.pose.tracking.similarity import iou, oks


def poses(count: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).uniform(0, 1, (count, 17, 3)) * (100, 200, 1)


def test_iou_of_known_boxes() -> None:
    first = np.array([[0, 0, 10, 10], [5, 5, 5, 9]])
    second = np.array([[0, 0, 10, 10], [5, 0, 15, 10], [20, 20, 30, 30], [10, 10, 0, 0], [np.nan] * 4])
    expected = [[1, 50 / 150, 0, 0, 0], [0] * 5]
    np.testing.assert_allclose(iou(first, second), expected)


def one_by_one(a: np.ndarray, b: np.ndarray, area: float, blur: float) -> float:
    top = bottom = 0.0
    for joint, sigma in enumerate(COCO17.sigmas):
        weight = math.sqrt(a[joint, 2] * b[joint, 2])
        squared = (a[joint, 0] - b[joint, 0]) ** 2 + (a[joint, 1] - b[joint, 1]) ** 2
        top += weight * math.exp(-squared / (2 * (area * (2 * sigma) ** 2 + blur)))
        bottom += weight
    return top / bottom


@settings(deadline=None, max_examples=30, derandomize=True)
@given(seed=st.integers(0, 2**32 - 1), blur=st.floats(0, 500))
def test_oks_is_the_sum_over_joints(seed: int, blur: float) -> None:
    a, b = poses(3, seed), poses(2, seed + 1)
    area = np.array([2e4, 1e4, 3e3])
    similarity, weight = oks(a, b, area, blur)
    expected = [[one_by_one(x, y, size, blur) for y in b] for x, size in zip(a, area, strict=True)]
    np.testing.assert_allclose(similarity, expected, rtol=1e-9)
    assert ((weight > 0) & (weight <= 1)).all()


def test_oks_of_the_same_and_of_the_far() -> None:
    a = poses(2)
    far = a + np.array([1e4, 0, 0])
    similarity, _ = oks(a, np.concatenate([a, far]), np.full(2, 2e4))
    np.testing.assert_allclose(np.diag(similarity), 1)
    np.testing.assert_allclose(similarity[:, 2:], 0, atol=1e-12)


def test_joints_that_nobody_is_certain_of_do_not_count() -> None:
    a = poses(1)
    b = a.copy()
    b[0, 9, :] = (1e5, 1e5, 0)
    similarity, _ = oks(a, b, np.array([2e4]))
    assert similarity[0, 0] == pytest.approx(1)
    b[0, :, 2] = 0
    similarity, weight = oks(a, b, np.array([2e4]))
    assert similarity[0, 0] == weight[0, 0] == 0


def test_what_is_not_a_number_is_not_alike() -> None:
    broken = np.full((1, 17, 3), np.nan)
    similarity, weight = oks(poses(1), broken, np.array([1e4]))
    assert similarity[0, 0] == weight[0, 0] == 0
    half = poses(1)
    half[0, :8, :2] = np.inf
    assert 0 < oks(poses(1), half, np.array([1e4]))[0][0, 0] < 1
