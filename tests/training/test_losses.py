"""Losses against PyTorch's own and against written-out targets."""

from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F

from gcpose_trt.training import losses


@pytest.mark.parametrize("beta", [0.0, 0.5, 1.0])
def test_smooth_l1_agrees_with_pytorch(beta: float) -> None:
    torch.manual_seed(0)
    a, b = torch.randn(20, 4) * 2, torch.randn(20, 4)
    expected = F.smooth_l1_loss(a, b, beta=beta, reduction="sum")
    torch.testing.assert_close(losses.smooth_l1(a, b, beta), expected)


def test_empty_selections_cost_nothing_but_stay_in_the_graph() -> None:
    logits = torch.zeros(0, requires_grad=True)
    total = losses.objectness_loss(logits, torch.zeros(0)) + losses.smooth_l1(torch.zeros(0, 4), torch.zeros(0, 4), 0.5)
    total = total + losses.class_loss(torch.zeros(0, 2), torch.zeros(0, dtype=torch.bool))
    assert total.item() == 0
    total.backward()


def test_class_zero_is_the_person() -> None:
    logits = torch.tensor([[9.0, -9.0]])
    assert float(losses.class_loss(logits, torch.tensor([False]))) < 1e-6
    assert float(losses.class_loss(logits, torch.tensor([True]))) > 10


def written_out(logits: torch.Tensor, position: torch.Tensor, weight: torch.Tensor, sigma: float) -> float:
    """The keypoint loss with whole target maps."""
    size = logits.shape[-1]
    total = 0.0
    for n in range(logits.shape[0]):
        for k in range(logits.shape[1]):
            x, y = position[n, k].tolist()
            target = torch.zeros(size, size)
            if sigma == 0:
                target[int(y), int(x)] = 1
            else:
                for i in range(size):
                    for j in range(size):
                        target[i, j] = math.exp(-((j + 0.5 - x) ** 2 + (i + 0.5 - y) ** 2) / (2 * sigma**2))
                target /= target.sum()
            log_probability = torch.log_softmax(logits[n, k].flatten(), 0).view(size, size)
            total -= float(weight[n, k]) * float((target * log_probability).sum())
    return total


@pytest.mark.parametrize("sigma", [0.0, 0.8, 2.0])
def test_keypoint_loss_agrees_with_whole_target_maps(sigma: float) -> None:
    torch.manual_seed(1)
    logits = torch.randn(2, 3, 14, 14) * 2
    position = torch.rand(2, 3, 2) * 13.9
    weight = torch.tensor([[1.0, 0.0, 0.5], [0.0, 1.0, 1.0]])
    loss = float(losses.keypoint_loss(logits, position, weight, sigma))
    assert loss == pytest.approx(written_out(logits, position, weight, sigma), rel=1e-4)


def test_unlabelled_joints_get_no_gradient() -> None:
    logits = torch.randn(2, 17, 8, 8, requires_grad=True)
    weight = torch.zeros(2, 17)
    weight[0, 3] = 0.5
    losses.keypoint_loss(logits, torch.full((2, 17, 2), 4.2), weight, 1.0).backward()
    assert logits.grad is not None
    touched = logits.grad.abs().sum((2, 3)) > 0
    assert touched.nonzero().tolist() == [[0, 3]]


def test_the_least_loss_is_where_the_target_is() -> None:
    rows = losses.gaussian_rows(torch.tensor([3.5]), 8, 1.0)
    assert int(rows.argmax()) == 3
    torch.testing.assert_close(rows.sum(), torch.tensor(1.0))
    logits = (rows[0][:, None] * rows[0][None, :]).log()[None, None]
    best = losses.keypoint_loss(logits, torch.tensor([[[3.5, 3.5]]]), torch.ones(1, 1), 1.0)
    off = losses.keypoint_loss(logits, torch.tensor([[[5.5, 3.5]]]), torch.ones(1, 1), 1.0)
    assert float(best) < float(off)
