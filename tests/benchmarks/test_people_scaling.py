"""Crowds of boxes."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.people_scaling import PEOPLE, crowd


@pytest.mark.parametrize("count", PEOPLE)
def test_boxes_lie_in_the_picture(count: int) -> None:
    boxes = crowd(count, 288, 512)
    assert boxes.shape == (count, 4)
    assert boxes.dtype == np.float32
    assert (boxes[:, :2] >= 0).all()
    assert (boxes[:, 2] <= 512).all()
    assert (boxes[:, 3] <= 288).all()
    assert (boxes[:, 2:] - boxes[:, :2] > 10).all()
    assert (crowd(count, 288, 512) == boxes).all()
