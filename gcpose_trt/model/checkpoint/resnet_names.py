"""The ways others name the convolutions and batch norms of a ResNet.

Each `*_table` maps their names to ours for one depth.
"""

from __future__ import annotations

from collections.abc import Callable, Container

import torch
from torch import Tensor

from gcpose_trt.model.checkpoint.report import Conversion
from gcpose_trt.model.resnet import BLOCKS, WIDTHS

Table = dict[str, str]
NORM = ("weight", "bias", "running_mean", "running_var")
STEM = "backbone.stem.conv.weight"
STRIDE = "backbone._extra_state"
BGR_STD = (0.225, 0.224, 0.229)


def depth(names: Container[str], seventh_block: str) -> str:
    """Return "resnet101" if `names` have `seventh_block` of the third stage, else "resnet50", which has six."""
    return "resnet101" if seventh_block in names else "resnet50"


def _table(backbone: str, name: Callable[[int, int, str], Table]) -> Table:
    """Build a table from `name(stage, block, part)`, which maps one convolution and its norm (stage 2..5, stem 0)."""
    table = {theirs: f"backbone.stem.{leaf}" for theirs, leaf in name(0, 0, "stem").items()}
    for level, blocks in zip(WIDTHS, BLOCKS[backbone], strict=True):
        for block in range(blocks):
            for part in ("shortcut", "conv1", "conv2", "conv3") if block == 0 else ("conv1", "conv2", "conv3"):
                names = name(int(level[1]), block, part)
                table |= {theirs: f"backbone.{level}.{block}.{part}.{leaf}" for theirs, leaf in names.items()}
    return table


def detectron2_table(backbone: str, prefix: str = "") -> Table:
    """`stem.conv1.weight`, `res2.0.conv1.weight`, `res2.0.conv1.norm.bias`, `res2.0.shortcut.weight` ..."""

    def name(stage: int, block: int, part: str) -> Table:
        theirs = prefix + ("stem.conv1" if part == "stem" else f"res{stage}.{block}.{part}")
        return {f"{theirs}.weight": "conv.weight", **{f"{theirs}.norm.{leaf}": f"norm.{leaf}" for leaf in NORM}}

    return _table(backbone, name)


def torchvision_table(backbone: str, prefix: str = "") -> Table:
    """`conv1.weight`, `bn1.bias`, `layer1.0.conv1.weight`, `layer1.0.bn1.bias`, `layer1.0.downsample.0.weight` ..."""

    def name(stage: int, block: int, part: str) -> Table:
        layer = f"layer{stage - 1}.{block}."
        conv, norm = layer + part, layer + part.replace("conv", "bn")
        if part == "stem":
            conv, norm = "conv1", "bn1"
        elif part == "shortcut":
            conv, norm = f"{layer}downsample.0", f"{layer}downsample.1"
        norms = {f"{prefix}{norm}.{leaf}": f"norm.{leaf}" for leaf in NORM}
        return {f"{prefix}{conv}.weight": "conv.weight", **norms}

    return _table(backbone, name)


CAFFE2_PARTS = {"shortcut": "branch1", "conv1": "branch2a", "conv2": "branch2b", "conv3": "branch2c"}
# The files differ in what they call the four vectors of a batch norm; `riv` holds the variance in spite of its name.
CAFFE2_NORM = {
    "s": "weight",
    "gamma": "weight",
    "b": "bias",
    "beta": "bias",
    "rm": "running_mean",
    "running_mean": "running_mean",
    "riv": "running_var",
    "running_var": "running_var",
}


def caffe2_table(backbone: str) -> Table:
    """`conv1_w`, `res_conv1_bn_s`, `res2_0_branch2a_w`, `res2_0_branch2a_bn_s`, `res2_0_branch1_w` ..."""

    def name(stage: int, block: int, part: str) -> Table:
        conv = "conv1" if part == "stem" else f"res{stage}_{block}_{CAFFE2_PARTS[part]}"
        norm = "res_conv1" if part == "stem" else conv
        norms = {f"{norm}_bn_{theirs}": f"norm.{leaf}" for theirs, leaf in CAFFE2_NORM.items()}
        return {f"{conv}_w": "conv.weight", **norms}

    return _table(backbone, name)


def take_torchvision_backbone(conversion: Conversion) -> None:
    """Make torchvision's backbone weights fit our input and say where their stride is.

    Torchvision's ResNets take RGB as (x / 255 - mean) / std, ours take BGR minus the mean. The means are the same
    numbers (123.675 = 255 * 0.485 and so on), so the normalised input is ours divided by 255 * std, channel by channel.
    Turning the stem's kernels round and dividing them by that is exact everywhere, in the zero padding as well.
    The stride of a stage sits on the 3x3 convolution of its first block (their ResNet "v1.5").
    """
    stem = conversion.weights.get(STEM)
    if stem is not None and stem.shape[1:2] == (3,):
        scale = torch.tensor(BGR_STD, dtype=torch.float64)[:, None, None] * 255
        conversion.weights[STEM] = (stem.double().flip(1) / scale).float()
    conversion.weights[STRIDE] = torch.tensor(False)
    conversion.notes.append(
        "torchvision's input scaling is folded into the stem; the strides move to the 3x3 convolutions, where these "
        "weights have them"
    )


def take_msra_backbone(conversion: Conversion) -> None:
    """Say that the strides are on the 1x1 convolutions, and complete batch norms that are a scale and a shift only.

    Detectron's files fold the statistics into scale and shift: mean 0, and a variance such that the norm's
    1 / sqrt(variance + 1e-5) is 1.
    """
    conversion.weights[STRIDE] = torch.tensor(True)
    for name, value in list(conversion.weights.items()):
        if name.startswith("backbone.") and name.endswith(".norm.weight"):
            norm = name.removesuffix("weight")
            if f"{norm}running_mean" not in conversion.weights and f"{norm}running_var" not in conversion.weights:
                conversion.weights[f"{norm}running_mean"] = torch.zeros_like(value)
                conversion.weights[f"{norm}running_var"] = torch.full_like(value, 1 - 1e-5)


def rename(conversion: Conversion, tensors: dict[str, Tensor], table: Table, ignored: tuple[str, ...]) -> None:
    """Sort `tensors` into `conversion`.

    Args:
        conversion: receives them.
        tensors: of the checkpoint.
        table: their name to ours.
        ignored: beginnings of names that have no place in the network. Counters of batches without one are among them.
    """
    for name, value in tensors.items():
        if name in table:
            conversion.weights[table[name]] = value
        elif name.startswith(ignored) or name.endswith("num_batches_tracked"):
            conversion.ignored.append(name)
        else:
            conversion.unknown.append(name)
