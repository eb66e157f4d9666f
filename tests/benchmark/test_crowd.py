"""Crowds of boxes."""

from __future__ import annotations

import numpy as np
import pytest

from gcpose_trt.benchmark.crowd import crowd


@pytest.mark.parametrize("count", [0, 1, 2, 20])
def test_boxes_lie_in_the_picture(count: int) -> None:
    """They are upright, of some size, and the same every time."""
    boxes = crowd(count, 288, 512)
    assert boxes.shape == (count, 4)
    assert boxes.dtype == np.float32
    assert (boxes[:, :2] >= 0).all()
    assert (boxes[:, 2] <= 512).all()
    assert (boxes[:, 3] <= 288).all()
    assert (boxes[:, 2:] - boxes[:, :2] > 10).all()
    assert (crowd(count, 288, 512) == boxes).all()


def test_a_larger_crowd_is_a_smaller_one_with_more_people() -> None:
    """Otherwise two counts would differ by more than the people."""
    assert (crowd(20, 300, 200)[:7] == crowd(7, 300, 200)).all()
