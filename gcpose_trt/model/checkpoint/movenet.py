"""MoveNet MultiPose Lightning's arrays (TensorFlow names and HWIO layout, batch norm folded) as weights of `mobile`."""

from __future__ import annotations

from collections.abc import Iterable

from torch import Tensor

from gcpose_trt.model.checkpoint.report import Conversion

NECK = "center_net_mobile_net_v2fpn_feature_extractor|model_1|"
BACKBONE = NECK + "model|"
PREFIX = "StatefulPartitionedCall|"
BLOCKS = 17
HEADS = {
    "kpt_heatmap": "heat",
    "center": "centre",
    "box_scale": "size",
    "kpt_regress": "regress",
}


def is_movenet(names: Iterable[str]) -> bool:
    """Tell whether these are MoveNet MultiPose's array names."""
    return f"{PREFIX}{BACKBONE}Conv1|Conv2D_weights" in names


def _backbone_names() -> dict[str, str]:
    names = {
        "Conv1|Conv2D_weights": "backbone.stem.weight",
        "Conv1|Conv2D_bn_offset": "backbone.stem.bias",
        "Conv_1|Conv2D_weights": "backbone.last.weight",
        "Conv_1|Conv2D_bn_offset": "backbone.last.bias",
    }
    for block in range(BLOCKS):
        theirs = "expanded_conv" if block == 0 else f"block_{block}"
        for part, kind in (("expand", "Conv2D"), ("depthwise", "depthwise"), ("project", "Conv2D")):
            if block == 0 and part == "expand":
                continue
            names[f"{theirs}_{part}|{kind}_weights"] = f"backbone.blocks.{block}.{part}.weight"
            names[f"{theirs}_{part}|{kind}_bn_offset"] = f"backbone.blocks.{block}.{part}.bias"
    return {BACKBONE + name: ours for name, ours in names.items()}


def _neck_names() -> dict[str, str]:
    names = {"conv2d|Conv2D|ReadVariableOp": "reduce.weight", "conv2d|BiasAdd|ReadVariableOp": "reduce.bias"}
    for index, level in enumerate((4, 3, 2)):
        lateral, separable = f"conv2d_{index + 1}", "separable_conv2d" + (f"_{index}" if index else "")
        names |= {
            f"{lateral}|Conv2D|ReadVariableOp": f"fuse{level}.lateral.weight",
            f"{lateral}|BiasAdd|ReadVariableOp": f"fuse{level}.lateral.bias",
            f"{separable}|separable_conv2d|ReadVariableOp": f"fuse{level}.depthwise.weight",
            f"{separable}|separable_conv2d_weights": f"fuse{level}.pointwise.weight",
            f"{separable}|separable_conv2d_bn_offset": f"fuse{level}.pointwise.bias",
        }
    return {NECK + name: f"prior.{ours}" for name, ours in names.items()}


def _head_name(name: str) -> str | None:
    head, _, rest = name.partition("_0|")
    if head not in HEADS:
        return None
    kind = "bias" if "BiasAdd" in rest else "weight"
    if not rest.startswith("separable_conv2d"):
        return f"prior.{HEADS[head]}.output.{kind}"
    layer = "depthwise" if rest.endswith("separable_conv2d|ReadVariableOp") else "pointwise"
    return f"prior.{HEADS[head]}.{layer}.{kind}"


def _relayout(array: Tensor, name: str) -> Tensor:
    array = array.float()
    if name == "backbone.stem.weight":
        array = array.flip(2)  # MoveNet sees RGB, all models here BGR
    if array.dim() == 4:
        # HWIO to OIHW; depthwise kernels come as (H, W, C, 1), which is (C, 1, H, W) here.
        array = array.permute(2, 3, 0, 1) if name.endswith("depthwise.weight") else array.permute(3, 2, 0, 1)
    return array.contiguous()


def convert_movenet(arrays: dict[str, Tensor]) -> Conversion:
    """Return backbone and pose prior of `mobile`; its own branches keep their initial weights.

    The heads that place MoveNet's peaks inside their cells and the constants of its post-processing have no place here.
    """
    table = _backbone_names() | _neck_names()
    result = Conversion(
        "MoveNet MultiPose", "mobilenet_v2", initialised=("neck.", "rpn.", "box_head.", "keypoint_head.")
    )
    for full_name, array in arrays.items():
        name = full_name.removeprefix(PREFIX)
        ours = table.get(name) or _head_name(name)
        if ours is not None:
            result.weights[ours] = _relayout(array, ours)
        elif name.startswith((NECK, *HEADS)) and array.numel() > 2 and "strided_slice" not in name:
            result.unknown.append(full_name)
        else:
            result.ignored.append(full_name)
    return result
