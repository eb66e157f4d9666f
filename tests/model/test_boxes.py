"""Boxes and their regression targets."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from gcpose_trt.model.box_coder import MAX_LOG_RATIO, decode_boxes, encode_boxes
from gcpose_trt.model.boxes import box_area, box_intersection, box_iou, clip_boxes, enlarge_boxes

place, side = st.floats(-100, 900, width=32), st.floats(1, 500, width=32)
box = st.tuples(place, place, side, side).map(lambda v: [v[0], v[1], v[0] + v[2], v[1] + v[3]])


@settings(max_examples=60, deadline=None)
@given(target=box, reference=box, weights=st.sampled_from([(1.0, 1.0, 1.0, 1.0), (10.0, 10.0, 5.0, 5.0)]))
def test_decoding_undoes_encoding(
    target: list[float], reference: list[float], weights: tuple[float, float, float, float]
) -> None:
    # Ratios above 62.5 are clamped on purpose.
    boxes, references = torch.tensor([target]), torch.tensor([reference])
    deltas = encode_boxes(boxes, references, weights)
    decoded = decode_boxes(deltas, references, weights)
    ratio = (boxes[0, 2:] - boxes[0, :2]) / (references[0, 2:] - references[0, :2])
    if ratio.max() < 62:
        assert torch.allclose(decoded, boxes, atol=2e-2, rtol=1e-4)


def test_deltas_in_numbers() -> None:
    reference = torch.tensor([[10.0, 20.0, 30.0, 60.0]])
    decoded = decode_boxes(torch.tensor([[1.0, -2.0, 5 * math.log(2), 0.0]]), reference, (10.0, 10.0, 5.0, 5.0))
    # Centre (20, 40) moves by a tenth of the width and minus a fifth of the height, the width doubles.
    assert torch.allclose(decoded, torch.tensor([[2.0, 12.0, 42.0, 52.0]]))


def test_growth_is_limited() -> None:
    decoded = decode_boxes(torch.tensor([[0.0, 0.0, 99.0, 99.0]]), torch.tensor([[0.0, 0.0, 1.0, 1.0]]), (1, 1, 1, 1))
    assert torch.isfinite(decoded).all()
    assert decoded[0, 2] - decoded[0, 0] == pytest.approx(math.exp(MAX_LOG_RATIO), rel=1e-5)


def test_overlaps() -> None:
    a = torch.tensor([[0.0, 0.0, 4.0, 2.0], [5.0, 5.0, 5.0, 5.0], [3.0, 3.0, 1.0, 1.0]])
    b = torch.tensor([[2.0, 1.0, 6.0, 3.0], [0.0, 0.0, 4.0, 2.0], [5.0, 5.0, 5.0, 5.0]])
    assert box_area(a).tolist() == [8.0, 0.0, 0.0]
    assert box_intersection(a, b)[0].tolist() == [2.0, 8.0, 0.0]
    expected = torch.tensor([[2 / 14, 1.0, 0.0], [0.0, 0.0, 0.0], [0.0, 0.0, 0.0]])
    assert torch.allclose(box_iou(a, b), expected)


def test_clipping_is_per_image() -> None:
    boxes = torch.tensor([[[-5.0, -5.0, 50.0, 50.0]], [[-5.0, 3.0, 50.0, 9.0]]])
    clipped = clip_boxes(boxes, torch.tensor([[10, 20], [40, 30]]))
    assert clipped.tolist() == [[[0.0, 0.0, 20.0, 10.0]], [[0.0, 3.0, 30.0, 9.0]]]


def test_enlarging_keeps_the_centre() -> None:
    grown = enlarge_boxes(torch.tensor([[10.0, 20.0, 30.0, 60.0]]), 1.3)
    assert torch.allclose(grown, torch.tensor([[7.0, 14.0, 33.0, 66.0]]))
