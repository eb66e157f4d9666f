"""The attention of the Global Context Module against loops, and the whole module against the authors' result."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from gcpose_trt.model import GCPoseRCNN
from gcpose_trt.model.gcm import GlobalContextModule
from gcpose_trt.model.ops import gcm_attention


def naive_attention(q: Tensor, k: Tensor, v: Tensor, rel_height: Tensor, rel_width: Tensor, heads: int) -> Tensor:
    """Every query and key, one pair after the other."""
    n, channels, height, width = q.shape
    dim, value_dim = channels // heads, v.shape[1] // heads
    out = torch.zeros_like(v)
    cells = [(i, j) for i in range(height) for j in range(width)]
    for b in range(n):
        for head in range(heads):
            mine = slice(head * dim, (head + 1) * dim)
            values = slice(head * value_dim, (head + 1) * value_dim)
            for i, j in cells:
                query = q[b, mine, i, j] * dim**-0.5
                logits = []
                for m, o in cells:
                    position = rel_width[o - j + width - 1] + rel_height[m - i + height - 1]
                    logits.append(query @ k[b, mine, m, o] + query @ position)
                weight = torch.softmax(torch.stack(logits), 0)
                for share, (m, o) in zip(weight, cells, strict=True):
                    out[b, values, i, j] += share * v[b, values, m, o]
    return out


@pytest.mark.parametrize(
    ("heads", "dim", "value_dim", "height", "width"), [(2, 3, 5, 3, 4), (1, 4, 4, 2, 2), (4, 2, 2, 1, 3)]
)
def test_agrees_with_loops(heads: int, dim: int, value_dim: int, height: int, width: int) -> None:
    torch.manual_seed(0)
    q, k = torch.randn(2, 2, heads * dim, height, width).unbind()
    v = torch.randn(2, heads * value_dim, height, width)
    rel_height, rel_width = torch.randn(2 * height - 1, dim), torch.randn(2 * width - 1, dim)
    ours = gcm_attention(q, k, v, rel_height, rel_width, heads=heads)
    assert torch.allclose(ours, naive_attention(q, k, v, rel_height, rel_width, heads), atol=1e-5)


def test_gradient() -> None:
    torch.manual_seed(0)
    shapes = [(1, 4, 2, 3), (1, 4, 2, 3), (1, 2, 2, 3), (3, 2), (5, 2)]
    tensors = [torch.randn(shape, dtype=torch.float64, requires_grad=True) for shape in shapes]

    def attend(*inputs: Tensor) -> Tensor:
        return gcm_attention(*inputs, heads=2)

    # The softmax is taken in float32 whatever comes in, so finite differences need a wide step.
    assert torch.autograd.gradcheck(attend, tensors, eps=1e-2, atol=2e-3, rtol=1e-2)


def test_nobody() -> None:
    empty = torch.zeros(0, 8, 3, 3)
    assert gcm_attention(empty, empty, empty, torch.zeros(5, 4), torch.zeros(5, 4), heads=2).shape == (0, 8, 3, 3)


def test_the_authors_block(shared: Path, r50: GCPoseRCNN) -> None:
    with np.load(shared / "reference" / "gcm_block_case.npz") as case:
        x, attended, expected = (torch.from_numpy(case[name]) for name in ("x", "mhsa_out", "y"))
    block = r50.keypoint_head.stages[0]
    assert isinstance(block, GlobalContextModule)
    with torch.inference_mode():
        assert (block.attend(x) - attended).abs().max() < 1e-4
        assert (block(x) - expected).abs().max() < 1e-4
