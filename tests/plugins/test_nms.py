"""The suppression kernels on the CPU against PyTorch."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from benchmarks.gpu import calls
from gcpose_trt.errors import GcposeError
from gcpose_trt.model.ops import nms
from gcpose_trt.plugins.kernels import Kernels


def suppress(
    kernels: Kernels,
    boxes: Tensor,
    scores: Tensor,
    groups: Tensor,
    *,
    iou_threshold: float,
    score_threshold: float,
    max_outputs: int,
) -> tuple[Tensor, Tensor]:
    """The kernels' result in memory that held other numbers, as int64."""
    indices = groups.new_full((len(scores), max_outputs), -7)
    count = groups.new_full((len(scores),), -7)
    workspace = calls.nms_workspace(kernels, scores, max_outputs)
    calls.nms(kernels, indices, count, workspace, boxes, scores, groups, iou_threshold, score_threshold)
    return indices.long(), count.long()


def check(
    kernels: Kernels,
    boxes: Tensor,
    scores: Tensor,
    groups: Tensor,
    *,
    iou_threshold: float = 0.5,
    score_threshold: float = -1e30,
    max_outputs: int,
) -> Tensor:
    """Compare with PyTorch; returns the count."""
    options = {"iou_threshold": iou_threshold, "score_threshold": score_threshold, "max_outputs": max_outputs}
    indices, count = suppress(kernels, boxes, scores, groups, **options)
    expected_indices, expected_count = nms(boxes, scores, groups.long(), **options)
    assert torch.equal(count, expected_count)
    assert torch.equal(indices, expected_indices)
    return count


def crowd(seed: int, batch: int, number: int, spread: float, dtype: torch.dtype = torch.int64) -> list[Tensor]:
    """Random boxes over `spread` pixels, scores of few values so that many tie, and three groups."""
    draw = torch.Generator().manual_seed(seed)
    corner = torch.rand(batch, number, 2, generator=draw) * spread
    boxes = torch.cat([corner, corner + 5 + 60 * torch.rand(batch, number, 2, generator=draw)], -1)
    scores = torch.randint(-20, 20, (batch, number), generator=draw) / 8
    return [boxes, scores, torch.randint(-1, 2, (number,), generator=draw).to(dtype)]


# Few corners, so that equal, touching, empty and inverted boxes are common; and numbers that no detector should give.
corner = st.one_of(st.integers(0, 6).map(float), st.sampled_from([math.nan, math.inf, -math.inf, -3.0, 1e30]))
number = st.one_of(
    st.integers(-3, 3).map(lambda value: value / 4),
    st.sampled_from([math.nan, math.inf, -math.inf, -0.0, 1e-45, -1e-45, 3e38, -3e38]),
)


@settings(max_examples=150, deadline=None, derandomize=True)
@given(
    candidates=st.lists(st.tuples(corner, corner, corner, corner, number, st.integers(-2, 1)), min_size=1, max_size=70),
    batch=st.integers(1, 2),
    iou_threshold=st.sampled_from([0.0, 0.3, 0.5, 1.0]),
    score_threshold=st.sampled_from([-5e8, -0.5, 0.0, 0.25, -math.inf]),
    max_outputs=st.integers(1, 80),
    dtype=st.sampled_from([torch.int32, torch.int64]),
)
def test_agrees_with_pytorch(
    cpu_kernels: Kernels,
    candidates: list[tuple[float, float, float, float, float, int]],
    batch: int,
    iou_threshold: float,
    score_threshold: float,
    max_outputs: int,
    dtype: torch.dtype,
) -> None:
    boxes = torch.tensor([c[:4] for c in candidates], dtype=torch.float32)
    scores = torch.tensor([c[4] for c in candidates], dtype=torch.float32)
    # A second image with the same boxes in another order.
    boxes, scores = torch.stack([boxes, boxes.flip(0)])[:batch], torch.stack([scores, scores.flip(0)])[:batch]
    check(
        cpu_kernels,
        boxes.contiguous(),
        scores.contiguous(),
        torch.tensor([c[5] for c in candidates], dtype=dtype),
        iou_threshold=iou_threshold,
        score_threshold=score_threshold,
        max_outputs=max_outputs,
    )


@pytest.mark.parametrize(
    ("boxes", "most"),
    [(31, 31), (32, 5), (33, 64), (64, 64), (65, 10), (1024, 2000), (1025, 1000), (2049, 300), (2500, 2500)],
)
def test_around_the_tiles(cpu_kernels: Kernels, boxes: int, most: int) -> None:
    """Numbers of boxes about a warp, a stage of 1024 and a sorted tile of 2048; several images."""
    check(cpu_kernels, *crowd(boxes, 2 if boxes < 1000 else 1, boxes, 150.0, torch.int32), max_outputs=most)


@pytest.mark.parametrize(("spread", "iou_threshold"), [(60.0, 0.3), (4000.0, 0.7)])
def test_as_many_as_the_detector(cpu_kernels: Kernels, spread: float, iou_threshold: float) -> None:
    """4780 boxes of five levels: few remain of a heap, and a thousand of a wide field are found early."""
    boxes, scores, _ = crowd(0, 1, 4780, spread)
    groups = torch.arange(4780) // 1000
    count = check(cpu_kernels, boxes, scores, groups, iou_threshold=iou_threshold, max_outputs=1000)
    assert (int(count) == 1000) == (spread > 1000)


@pytest.mark.slow
def test_very_many(cpu_kernels: Kernels) -> None:
    """16384 boxes in eight tiles and sixteen stages, of which a few hundred remain; the reference has no memory for
    more at once, so groups part them."""
    boxes, scores, _ = crowd(1, 1, 16384, 100.0)
    check(cpu_kernels, boxes, scores, torch.arange(16384) % 16, iou_threshold=0.4, max_outputs=600)


def test_a_chain(cpu_kernels: Kernels) -> None:
    """Each box overlaps the next one only: every second one stays, which the last learns from the first."""
    left = torch.arange(200) * 4.0
    boxes = torch.stack([left, torch.zeros(200), left + 6, torch.ones(200)], -1)[None]
    scores = torch.arange(200, 0, -1.0)[None]
    groups = torch.zeros(200, dtype=torch.int64)
    indices, count = suppress(
        cpu_kernels, boxes, scores, groups, iou_threshold=0.1, score_threshold=0.0, max_outputs=200
    )
    assert count.tolist() == [100]
    assert indices[0, :100].tolist() == list(range(0, 200, 2))
    check(cpu_kernels, boxes, scores, groups, iou_threshold=0.1, score_threshold=0.0, max_outputs=200)


def test_groups_may_be_any_number(cpu_kernels: Kernels) -> None:
    boxes = torch.tensor([[[0.0, 0.0, 4.0, 4.0]] * 4])
    groups = torch.tensor([2**40, 2**40 + 2**32, -(2**63), 2**40])  # alike in their lower halves
    indices, count = suppress(
        cpu_kernels,
        boxes,
        torch.tensor([[0.1, 0.2, 0.3, 0.4]]),
        groups,
        iou_threshold=0.5,
        score_threshold=0.0,
        max_outputs=6,
    )
    assert count.tolist() == [3]
    assert indices.tolist() == [[3, 2, 1, 0, 0, 0]]


def test_ties_go_to_the_lower_index(cpu_kernels: Kernels) -> None:
    boxes = torch.arange(40)[:, None].repeat(1, 4).float() * 10 + torch.tensor([0.0, 0.0, 5.0, 5.0])
    scores = torch.zeros(40)
    scores[::2] = -0.0
    indices, count = suppress(
        cpu_kernels,
        boxes[None],
        scores[None],
        torch.zeros(40, dtype=torch.int64),
        iou_threshold=0.5,
        score_threshold=-1.0,
        max_outputs=40,
    )
    assert count.tolist() == [40]
    assert indices[0].tolist() == list(range(40))


@pytest.mark.parametrize("dtype", [torch.int32, torch.int64], ids=str)
def test_nothing_to_choose_from(cpu_kernels: Kernels, dtype: torch.dtype) -> None:
    boxes, scores, groups = crowd(0, 3, 0, 10.0, dtype)
    indices, count = suppress(cpu_kernels, boxes, scores, groups, iou_threshold=0.5, score_threshold=0.0, max_outputs=4)
    assert indices.tolist() == [[0] * 4] * 3
    assert count.tolist() == [0] * 3
    boxes, scores, groups = crowd(0, 2, 50, 10.0, dtype)
    assert check(cpu_kernels, boxes, scores, groups, score_threshold=100.0, max_outputs=5).tolist() == [0, 0]
    assert check(cpu_kernels, boxes[:0], scores[:0], groups, max_outputs=5).tolist() == []


def test_the_same_twice(cpu_kernels: Kernels) -> None:
    case = crowd(7, 2, 300, 100.0)
    options = {"iou_threshold": 0.4, "score_threshold": 0.0, "max_outputs": 100}
    first, second = (suppress(cpu_kernels, *case, **options) for _ in range(2))
    assert torch.equal(first[0], second[0]) and torch.equal(first[1], second[1])


def test_refuses(cpu_kernels: Kernels) -> None:
    boxes, scores, groups = crowd(0, 1, 8, 10.0)
    with pytest.raises(GcposeError):
        suppress(cpu_kernels, boxes, scores, groups.short(), iou_threshold=0.5, score_threshold=0.0, max_outputs=4)
