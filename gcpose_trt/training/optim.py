"""Parameter groups, the learning rate over the run, and the running average of the weights."""

from __future__ import annotations

import copy
import math

import torch
from torch import Tensor, nn

from gcpose_trt.errors import GcposeError
from gcpose_trt.training.config import OptimizerConfig, ParamGroupConfig, ScheduleConfig


def _settings(name: str, config: OptimizerConfig) -> ParamGroupConfig:
    matching = [group for group in config.param_groups if name.startswith(group.prefix)]
    return max(matching, key=lambda group: len(group.prefix), default=ParamGroupConfig())


def freeze(model: nn.Module, config: OptimizerConfig) -> None:
    """Stop gradients of the parameters whose group has `lr_scale` 0.

    Autograd then records nothing below the first trained layer, which saves most of the time and memory of a frozen
    backbone.

    Raises:
        GcposeError: a prefix that no parameter has.
    """
    names = [name for name, _ in model.named_parameters()]
    for group in config.param_groups:
        if not any(name.startswith(group.prefix) for name in names):
            parts = ", ".join(name for name, _ in model.named_children())
            raise GcposeError(f"optimizer.param_groups: no parameter starts with {group.prefix}; parts are {parts}")
    for name, parameter in model.named_parameters():
        parameter.requires_grad_(_settings(name, config).lr_scale > 0)
    if not any(parameter.requires_grad for parameter in model.parameters()):
        raise GcposeError("optimizer.param_groups freeze every parameter; let one group have lr_scale above 0")


def train_mode(model: nn.Module) -> None:
    """Put `model` in training mode, but for batch norms whose parameters are frozen."""
    model.train()
    for module in model.modules():
        if isinstance(module, nn.modules.batchnorm._BatchNorm):
            module.train(any(parameter.requires_grad for parameter in module.parameters(False)))


def _decays(module: nn.Module, name: str, config: OptimizerConfig) -> bool:
    if isinstance(module, (nn.modules.batchnorm._BatchNorm, nn.LayerNorm, nn.GroupNorm)):
        return config.decay_norm
    return config.decay_bias if name == "bias" else True


def build_optimizer(model: nn.Module, config: OptimizerConfig) -> torch.optim.Optimizer:
    """Return the optimizer of the trained parameters; each group keeps its `lr_scale` under that key."""
    groups: dict[tuple[float, float], list[nn.Parameter]] = {}
    for path, module in model.named_modules():
        for name, parameter in module.named_parameters(recurse=False):
            if not parameter.requires_grad:
                continue
            settings = _settings(f"{path}.{name}" if path else name, config)
            decay = config.weight_decay if settings.weight_decay is None else settings.weight_decay
            if not _decays(module, name, config):
                decay = 0.0
            groups.setdefault((settings.lr_scale, decay), []).append(parameter)
    parameters = [
        {"params": members, "lr": config.lr * scale, "lr_scale": scale, "weight_decay": decay}
        for (scale, decay), members in groups.items()
    ]
    if config.name == "sgd":
        return torch.optim.SGD(parameters, lr=config.lr, momentum=config.momentum)
    return torch.optim.AdamW(parameters, lr=config.lr, betas=config.betas)


def learning_rate_factor(config: ScheduleConfig, iteration: int, progress: float) -> float:
    """Return the factor on the learning rate.

    Args:
        config: the schedule.
        iteration: iterations done, for the warm-up.
        progress: the part of the run that is done, 0..1, by iterations or by the clock.
    """
    if config.name == "step":
        passed = sum(progress >= step / config.iterations for step in config.steps)
        factor = config.gamma**passed
    else:
        factor = config.final + (1 - config.final) * 0.5 * (1 + math.cos(math.pi * min(progress, 1.0)))
    if iteration < config.warmup:
        risen = iteration / config.warmup
        factor *= config.warmup_factor * (1 - risen) + risen
    return factor


def set_learning_rate(optimizer: torch.optim.Optimizer, rate: float) -> None:
    """Set each group's rate to `rate * lr_scale`."""
    for group in optimizer.param_groups:
        group["lr"] = rate * group["lr_scale"]


class AveragedWeights:
    """Exponential moving average of a model's parameters and batch statistics.

    Args:
        model: what to average.
        decay: of each update; the first updates use less, so that the average forgets the start.
    """

    def __init__(self, model: nn.Module, decay: float) -> None:
        self.module = copy.deepcopy(model).eval().requires_grad_(False)
        self.decay = decay
        self.updates = 0

    @torch.no_grad()
    def update(self, model: nn.Module) -> None:
        """Take in the current weights of `model`."""
        self.updates += 1
        decay = min(self.decay, (1 + self.updates) / (10 + self.updates))
        averages: list[Tensor] = []
        values: list[Tensor] = []
        for average, value in zip(self.module.state_dict().values(), model.state_dict().values(), strict=True):
            if average.is_floating_point():
                averages.append(average)
                values.append(value)
            else:
                average.copy_(value)
        torch._foreach_lerp_(averages, values, 1 - decay)
