"""Import of checkpoints: each family of names has one file with one explicit table.

A loader accounts for every tensor of the checkpoint and of the network, or fails with the list of those that did not
match, and then leaves the network as it was.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from gcpose_trt.model.checkpoint.fitting import fit
from gcpose_trt.model.checkpoint.movenet import convert_movenet, is_movenet
from gcpose_trt.model.checkpoint.own import convert_own, is_own
from gcpose_trt.model.checkpoint.reading import read_checkpoint
from gcpose_trt.model.checkpoint.report import CheckpointError, Conversion, LoadReport
from gcpose_trt.model.network import GCPoseRCNN

__all__ = ["CheckpointError", "LoadReport", "load_checkpoint", "read_checkpoint"]

FAMILIES: tuple[tuple[Callable[[Iterable[str]], bool], Callable[[Mapping[str, Tensor]], Conversion]], ...] = (
    (is_own, convert_own),
    (is_movenet, convert_movenet),
)
NESTS = ("model", "state_dict")  # under which the tensors lie in files that hold more than them


def load_checkpoint(model: GCPoseRCNN, source: Mapping[str, Any] | str | os.PathLike[str]) -> LoadReport:
    """Load weights into `model`, whatever family of names they come with.

    Args:
        model: receives the weights in place.
        source: a file, or what is in one: a mapping of names to tensors or arrays, or one that has it under "model".

    Returns:
        What was loaded, left at its initial weights, and ignored.

    Raises:
        GcposeError: the file cannot be read, its names are of no family known here, or it is of another architecture.
    """
    content = source if isinstance(source, Mapping) else read_checkpoint(source)
    name = content.get("config")
    if isinstance(name, str) and name != model.config.name:
        raise CheckpointError(
            f"this checkpoint is of the model {name!r}, not {model.config.name!r}; build that model or choose another "
            "checkpoint"
        )
    tensors = _tensors(content)
    for belongs, convert in FAMILIES:
        if belongs(tensors):
            return fit(model, convert(tensors))
    raise CheckpointError(
        "the names in this checkpoint are of no family known here; give one of ours, MoveNet MultiPose's",
        [f"unknown: {name}" for name in tensors],
    )


def _tensors(content: Mapping[str, Any]) -> dict[str, Tensor]:
    for nest in NESTS:
        if isinstance(content.get(nest), Mapping):
            content = content[nest]
    result = {}
    for name, value in content.items():
        if isinstance(value, np.ndarray):
            value = torch.from_numpy(np.ascontiguousarray(value))
        if isinstance(value, Tensor):
            result[str(name).removeprefix("module.")] = value.detach()
    return result
