"""Non-maximum suppression against the greedy loop that defines it."""

from __future__ import annotations

import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from gcpose_trt.model.ops import nms


def iou(a: list[float], b: list[float]) -> float:
    width = max(min(a[2], b[2]) - max(a[0], b[0]), 0)
    height = max(min(a[3], b[3]) - max(a[1], b[1]), 0)
    union = (a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - width * height
    return width * height / union if union > 0 else 0.0


def greedy(boxes: Tensor, scores: Tensor, groups: Tensor, threshold: float, lowest: float, most: int) -> list[int]:
    """Take the best box left, drop those of its group that overlap it, and again."""
    left = [i for i in sorted(range(len(boxes)), key=lambda i: (-float(scores[i]), i)) if scores[i] > lowest]
    kept: list[int] = []
    while left and len(kept) < most:
        best = left.pop(0)
        kept.append(best)
        left = [
            i for i in left if groups[i] != groups[best] or iou(boxes[i].tolist(), boxes[best].tolist()) <= threshold
        ]
    return kept


# Few different corners and scores, so that equal boxes, touching boxes and ties are common.
corner = st.integers(0, 6)
box = st.tuples(corner, corner, st.integers(0, 5), st.integers(0, 5)).map(
    lambda v: [float(v[0]), float(v[1]), float(v[0] + v[2]), float(v[1] + v[3])]
)
candidate = st.tuples(box, st.integers(0, 5), st.integers(0, 2))


@settings(max_examples=150, deadline=None)
@given(
    candidates=st.lists(candidate, min_size=1, max_size=30),
    threshold=st.sampled_from([0.0, 0.3, 0.5, 0.7, 1.0]),
    lowest=st.sampled_from([-1.0, 0.0, 0.2]),
    most=st.integers(1, 12),
)
def test_agrees_with_the_greedy_loop(
    candidates: list[tuple[list[float], int, int]], threshold: float, lowest: float, most: int
) -> None:
    boxes = torch.tensor([c[0] for c in candidates])
    scores = torch.tensor([c[1] / 10 for c in candidates])
    groups = torch.tensor([c[2] for c in candidates])
    index, count = nms(
        boxes[None],
        scores[None],
        groups,
        iou_threshold=threshold + 1e-6,  # so that both agree on what equals the threshold
        score_threshold=lowest,
        max_outputs=most,
    )
    expected = greedy(boxes, scores, groups, threshold + 1e-6, lowest, most)
    assert index.shape == (1, most)
    assert index[0, : int(count)].tolist() == expected
    assert index[0, int(count) :].eq(0).all()


def test_images_do_not_mix() -> None:
    one = [[0.0, 0.0, 10.0, 10.0], [0.0, 0.0, 10.0, 9.0], [20.0, 20.0, 30.0, 30.0]]
    boxes = torch.tensor([one, one])
    scores = torch.tensor([[0.9, 0.8, 0.1], [0.2, 0.3, 0.01]])
    index, count = nms(
        boxes, scores, torch.zeros(3, dtype=torch.int64), iou_threshold=0.5, score_threshold=0.05, max_outputs=3
    )
    assert count.tolist() == [2, 1]
    assert index.tolist() == [[0, 2, 0], [1, 0, 0]]


def test_a_long_chain_of_overlaps() -> None:
    """Each box overlaps the next only, so every other one stays: the slowest case of the fixed-point form."""
    start = torch.arange(64.0)
    boxes = torch.stack([start, torch.zeros(64), start + 1.5, torch.ones(64)], 1)[None]
    scores = torch.linspace(1, 0.1, 64)[None]
    index, count = nms(
        boxes, scores, torch.zeros(64, dtype=torch.int64), iou_threshold=0.1, score_threshold=0.0, max_outputs=64
    )
    assert index[0, : int(count)].tolist() == list(range(0, 64, 2))
