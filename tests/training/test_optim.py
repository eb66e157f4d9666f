"""Parameter groups, schedules and averages."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import nn

from gcpose_trt.errors import GcposeError
from gcpose_trt.training import optim
from gcpose_trt.training.config import OptimizerConfig, ParamGroupConfig, ScheduleConfig
from gcpose_trt.training.trainer import rescale_schedule


def network() -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4), nn.Sequential(nn.Conv2d(4, 2, 1), nn.BatchNorm2d(2)))


def test_prefixes_freeze_and_scale() -> None:
    groups = (ParamGroupConfig("", 0.5), ParamGroupConfig("0", 0.0), ParamGroupConfig("2.0", 0.1, weight_decay=0.3))
    config = OptimizerConfig(name="adamw", lr=1.0, weight_decay=0.01, decay_bias=False, param_groups=groups)
    model = network()
    optim.freeze(model, config)
    trained = {name for name, parameter in model.named_parameters() if parameter.requires_grad}
    assert trained == {"1.weight", "1.bias", "2.0.weight", "2.0.bias", "2.1.weight", "2.1.bias"}
    optimizer = optim.build_optimizer(model, config)
    settings = {
        id(parameter): (group["lr"], group["weight_decay"])
        for group in optimizer.param_groups
        for parameter in group["params"]
    }
    parameters = dict(model.named_parameters())
    assert settings[id(parameters["1.weight"])] == (0.5, 0.0)
    assert settings[id(parameters["2.0.weight"])] == (0.1, 0.3)
    assert settings[id(parameters["2.0.bias"])] == (0.1, 0.0)
    assert id(parameters["0.weight"]) not in settings
    optim.set_learning_rate(optimizer, 0.2)
    assert sorted({group["lr"] for group in optimizer.param_groups}) == pytest.approx([0.02, 0.1])


def test_frozen_batch_norms_keep_their_statistics() -> None:
    model = network()
    optim.freeze(model, OptimizerConfig(param_groups=(ParamGroupConfig("1", 0.0),)))
    optim.train_mode(model)
    before = [norm.running_mean.clone() for norm in (model[1], model[2][1])]
    model(torch.randn(4, 3, 5, 5))
    assert torch.equal(model[1].running_mean, before[0])
    assert not torch.equal(model[2][1].running_mean, before[1])


def test_prefixes_that_freeze_nothing_or_everything() -> None:
    with pytest.raises(GcposeError, match="no parameter starts with backbone"):
        optim.freeze(network(), OptimizerConfig(param_groups=(ParamGroupConfig("backbone", 0.0),)))
    with pytest.raises(GcposeError, match="freeze every parameter"):
        optim.freeze(network(), OptimizerConfig(param_groups=(ParamGroupConfig("", 0.0),)))


def test_step_schedule_is_the_papers() -> None:
    schedule = ScheduleConfig()
    factors = [optim.learning_rate_factor(schedule, n, n / 270_000) for n in (0, 500, 1000, 209_999, 210_000, 250_000)]
    assert factors == pytest.approx([0.001, 0.5005, 1, 1, 0.1, 0.01])


def test_cosine_ends_at_its_final_factor() -> None:
    schedule = ScheduleConfig(name="cosine", iterations=100, warmup=0, final=0.05)
    assert optim.learning_rate_factor(schedule, 0, 0.0) == 1
    assert optim.learning_rate_factor(schedule, 50, 0.5) == pytest.approx(0.525)
    assert optim.learning_rate_factor(schedule, 100, 1.2) == pytest.approx(0.05)


def test_rescaling_keeps_the_steps_in_proportion() -> None:
    # The authors' run on one GPU: eight times as long as the 3x schedule.
    assert rescale_schedule(ScheduleConfig(), 2_160_000).steps == (1_680_000, 2_000_000)
    short = rescale_schedule(ScheduleConfig(), 10)
    assert (short.steps, short.iterations) == ((8, 9), 10)
    assert short.warmup <= 10


def test_average_starts_fast_and_follows_statistics() -> None:
    model = network()
    average = optim.AveragedWeights(model, 0.9)
    start = model[0].weight.detach().clone()
    with torch.no_grad():
        model[0].weight.add_(1.0)
        model[1].running_mean.add_(1.0)
        model[1].num_batches_tracked.add_(1)
    average.update(model)
    # First update: decay (1 + 1) / (10 + 1).
    torch.testing.assert_close(average.module[0].weight, start + 9 / 11)
    torch.testing.assert_close(average.module[1].running_mean, torch.full((4,), 9 / 11))
    assert int(average.module[1].num_batches_tracked) == 1
    for _ in range(200):
        average.update(model)
    torch.testing.assert_close(average.module[0].weight, model[0].weight.detach())


def test_sgd_decays_norms_only_if_told() -> None:
    model = network()
    config = OptimizerConfig(name="sgd", weight_decay=0.1)
    for decay_norm in (False, True):
        optimizer = optim.build_optimizer(model, replace(config, decay_norm=decay_norm))
        decays = {id(p): group["weight_decay"] for group in optimizer.param_groups for p in group["params"]}
        assert decays[id(model[1].weight)] == (0.1 if decay_norm else 0.0)
        assert decays[id(model[0].bias)] == 0.1
