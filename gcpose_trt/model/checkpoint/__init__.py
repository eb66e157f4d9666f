"""Import of checkpoints: each family of names has one file with explicit tables.

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

from gcpose_trt.model.checkpoint.authors import convert_authors, is_authors
from gcpose_trt.model.checkpoint.detectron2 import convert_detectron2, is_detectron2
from gcpose_trt.model.checkpoint.fitting import fit
from gcpose_trt.model.checkpoint.imagenet import (
    convert_caffe2_resnet,
    convert_detectron2_resnet,
    convert_torchvision_resnet,
    is_caffe2_resnet,
    is_detectron2_resnet,
    is_torchvision_resnet,
)
from gcpose_trt.model.checkpoint.movenet import convert_movenet, is_movenet
from gcpose_trt.model.checkpoint.own import convert_own, is_own
from gcpose_trt.model.checkpoint.reading import read_checkpoint
from gcpose_trt.model.checkpoint.report import CheckpointError, Conversion, LoadReport
from gcpose_trt.model.checkpoint.torchvision import convert_torchvision, is_torchvision
from gcpose_trt.model.network import GCPoseRCNN

__all__ = ["CheckpointError", "LoadReport", "load_checkpoint", "read_checkpoint"]

# The first family that knows the names takes them.
FAMILIES: tuple[tuple[Callable[[Iterable[str]], bool], Callable[[dict[str, Tensor]], Conversion]], ...] = (
    (is_own, convert_own),
    (is_movenet, convert_movenet),
    (is_authors, convert_authors),
    (is_detectron2, convert_detectron2),
    (is_torchvision, convert_torchvision),
    (is_torchvision_resnet, convert_torchvision_resnet),
    (is_caffe2_resnet, convert_caffe2_resnet),
)
NESTS = ("model", "state_dict", "blobs")  # under which the tensors lie in files that hold more than them
WRAPPER = "module."  # what DistributedDataParallel puts before every name


def load_checkpoint(model: GCPoseRCNN, source: Mapping[str, Any] | str | os.PathLike[str]) -> LoadReport:
    """Load weights into `model`, whatever family of names they come with.

    Known are our own checkpoints, those of the paper's authors, detectron2's and torchvision's keypoint R-CNN, ResNets
    trained on ImageNet (torchvision's, detectron2's and Detectron's names) and MoveNet MultiPose.

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
            f"this checkpoint is of the model {name}, not {model.config.name}; choose the other model or another "
            "checkpoint"
        )
    return fit(model, _convert(_tensors(content), str(content.get("__author__", ""))))


def _convert(tensors: dict[str, Tensor], author: str) -> Conversion:
    if is_detectron2_resnet(tensors):  # the only names that stand for two kinds of network
        return convert_detectron2_resnet(tensors, author)
    for belongs, convert in FAMILIES:
        if belongs(tensors):
            return convert(tensors)
    found = f"names such as {next(iter(tensors))}" if tensors else "no tensors"
    raise CheckpointError(
        f"this checkpoint has {found}, which is no family known here; give one of gcpose-trt, of GCPose R-CNN's "
        "authors, detectron2's or torchvision's keypoint R-CNN, an ImageNet ResNet, or MoveNet MultiPose",
        [f"unknown: {name}" for name in tensors],
    )


def _tensors(content: Mapping[str, Any]) -> dict[str, Tensor]:
    """Return the tensors of `content`, from under the name it keeps them."""
    for nest in NESTS:
        if isinstance(content.get(nest), Mapping):
            content = content[nest]
    result: dict[str, Tensor] = {}
    for name, value in content.items():
        if isinstance(value, np.ndarray) and value.dtype != object:
            # A copy: arrays from a file may be read-only, which PyTorch does not know.
            value = torch.from_numpy(np.array(value))
        if isinstance(value, Tensor):
            result[str(name).removeprefix(WRAPPER)] = value.detach()
    return result
