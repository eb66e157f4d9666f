"""Shapes and arithmetic of backbones and pyramid."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from gcpose_trt.model.fpn import FeaturePyramid
from gcpose_trt.model.mobilenet import TAPS, MobileNetV2, SameConv2d
from gcpose_trt.model.resnet import WIDTHS, Bottleneck, FrozenBatchNorm2d, ResNet

SHAPE = (1, 3, 64, 96)


@pytest.mark.parametrize(("name", "blocks"), [("resnet50", 16), ("resnet101", 33)])
def test_resnet(name: str, blocks: int) -> None:
    with torch.device("meta"):  # shapes only: no arithmetic, no memory
        model = ResNet(name)
        out = model(torch.empty(SHAPE))
    assert sum(isinstance(module, Bottleneck) for module in model.modules()) == blocks
    for index, (level, width) in enumerate(WIDTHS.items()):
        stride = 4 * 2**index
        assert out[level].shape == (1, width, 64 // stride, 96 // stride)


def test_frozen_batch_norm_is_batch_norm_in_evaluation() -> None:
    norm = FrozenBatchNorm2d(5)
    reference = torch.nn.BatchNorm2d(5).eval()
    for name in ("weight", "bias", "running_mean", "running_var"):
        value = torch.rand(5) + 0.1
        getattr(norm, name).copy_(value)
        getattr(reference, name).data.copy_(value)
    x = torch.randn(2, 5, 3, 4)
    assert torch.allclose(norm(x), reference(x), atol=1e-6)
    assert list(norm.parameters()) == []


@pytest.mark.parametrize("in_1x1", [True, False])
def test_stride_of_a_stage(in_1x1: bool) -> None:
    torch.manual_seed(0)
    block = Bottleneck(8, 4, 16, 2)
    block.place_stride(False)
    block.place_stride(in_1x1)
    assert (block.conv1.conv.stride, block.conv2.conv.stride) == (((2, 2), (1, 1)) if in_1x1 else ((1, 1), (2, 2)))
    x = torch.randn(1, 8, 6, 6)
    thinned = x[:, :, ::2, ::2]
    hidden = block.conv1.conv(x) if in_1x1 else F.conv2d(x, block.conv1.conv.weight)
    assert hidden.shape[-1] == (3 if in_1x1 else 6)
    assert block(x).shape == (1, 16, 3, 3)
    if in_1x1:  # sampling before or after a 1x1 convolution is the same
        assert torch.allclose(hidden, F.conv2d(thinned, block.conv1.conv.weight), atol=1e-6)


def test_mobilenet() -> None:
    with torch.device("meta"):
        out = MobileNetV2()(torch.empty(SHAPE))
    widths = {"c2": 40, "c3": 48, "c4a": 96, "c4": 144, "c5": 480}
    for name, (_, stride) in TAPS.items():
        assert out[name].shape == (1, widths[name], 64 // stride, 96 // stride)
    assert out["last"].shape == (1, 1280, 2, 3)


def test_strided_convolutions_pad_like_tensorflow() -> None:
    """On even sizes nothing above and to the left, one row below, one column to the right."""
    conv = SameConv2d(1, 1, 2)
    torch.nn.init.ones_(conv.weight)
    torch.nn.init.zeros_(conv.bias)
    x = torch.ones(1, 1, 4, 4)
    assert conv(x)[0, 0].tolist() == [[9.0, 6.0], [6.0, 4.0]]


@pytest.mark.parametrize("separable", [False, True])
def test_pyramid(separable: bool) -> None:
    torch.manual_seed(0)
    neck = FeaturePyramid({2: 3, 3: 5}, 4, separable)
    c = {2: torch.randn(1, 3, 8, 12), 3: torch.randn(1, 5, 4, 6)}
    out = neck(c)
    top = neck.lateral["3"](c[3])
    merged = neck.lateral["2"](c[2]) + top.repeat_interleave(2, 2).repeat_interleave(2, 3)
    assert torch.allclose(out["p2"], neck.output["2"](merged), atol=1e-6)
    assert torch.allclose(out["p3"], neck.output["3"](top), atol=1e-6)
    assert torch.equal(out["p4"], out["p3"][:, :, ::2, ::2])
