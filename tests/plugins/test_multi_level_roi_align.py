"""The pooling kernel on the CPU: against the PyTorch operation, torchvision's results, and boxes of every kind."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from gcpose_trt.errors import GcposeError
from gcpose_trt.model.ops import multi_level_roi_align
from gcpose_trt.plugins.kernels import CHANNELS_LAST, FLOAT16, FLOAT32, LINEAR, Kernels

LAYOUTS = list(itertools.product([LINEAR, CHANNELS_LAST], repeat=2))


def to_layout(tensor: Tensor, layout: int) -> Tensor:
    """Lay (N, C, H, W) out as the kernel reads it; padding channels hold NaN, which nothing may read."""
    if layout == LINEAR:
        return tensor.contiguous()
    n, channels, height, width = tensor.shape
    out = torch.full((n, height, width, -(-channels // 8) * 8), float("nan"), dtype=tensor.dtype)
    out[..., :channels] = tensor.permute(0, 2, 3, 1)
    return out


def pool(
    kernels: Kernels,
    features: Sequence[Tensor],
    rois: Tensor,
    batch_index: Tensor,
    *,
    strides: Sequence[int],
    output_size: int,
    sampling_ratio: int = 0,
    aligned: bool = True,
    layouts: tuple[int, int] = (LINEAR, LINEAR),
) -> Tensor:
    """Return (N, C, S, S) as the kernel writes it over NaN; padding channels of the output must be zeros."""
    maps = [to_layout(feature, layouts[0]) for feature in features]
    channels, dtype = features[0].shape[1], features[0].dtype
    shape = (len(rois), output_size, output_size, -(-channels // 8) * 8)
    if layouts[1] == LINEAR:
        shape = (len(rois), channels, output_size, output_size)
    output = torch.full(shape, float("nan"), dtype=dtype)
    arguments: dict[str, Any] = {
        "features": [feature.data_ptr() for feature in maps],
        "heights": [feature.shape[2] for feature in features],
        "widths": [feature.shape[3] for feature in features],
        "strides": strides,
        "batch": features[0].shape[0],
        "channels": channels,
        "rois": rois.data_ptr(),
        "batch_index": batch_index.data_ptr(),
        "index_bytes": batch_index.element_size(),
        "num_rois": len(rois),
        "output_size": output_size,
        "sampling_ratio": sampling_ratio,
        "aligned": aligned,
        "canonical_level": 4,
        "canonical_size": 224.0,
        "type": FLOAT16 if dtype == torch.float16 else FLOAT32,
        "feature_layout": layouts[0],
        "output_layout": layouts[1],
        "output": output.data_ptr(),
    }
    kernels.multi_level_roi_align(**arguments)
    if layouts[1] == LINEAR:
        return output
    assert (output[..., channels:] == 0).all()
    return output[..., :channels].permute(0, 3, 1, 2)


def close(output: Tensor, expected: Tensor, features: Sequence[Tensor]) -> None:
    """Compare; averages differ by their rounding, and coordinates of some hundred cells by theirs."""
    largest = max(float(feature.float().abs().max()) for feature in features)
    rounding = largest * torch.finfo(torch.float16).eps / 2 if output.dtype == torch.float16 else 0.0
    torch.testing.assert_close(output.float(), expected, rtol=0, atol=1e-4 * largest + rounding)


def pyramid(seed: int, levels: int, batch: int, channels: int, dtype: torch.dtype, side: int = 64) -> list[Tensor]:
    generator = torch.Generator().manual_seed(seed)
    sizes = [(max(side >> level, 1), max(side * 3 // 2 >> level, 1)) for level in range(levels)]
    return [torch.randn(batch, channels, *size, generator=generator).to(dtype) for size in sizes]


@pytest.mark.parametrize("size", [7, 14])
@pytest.mark.parametrize("ratio", [0, 2])
@pytest.mark.parametrize("layouts", LAYOUTS)
def test_torchvisions_results(
    cpu_kernels: Kernels, shared: Path, size: int, ratio: int, layouts: tuple[int, int]
) -> None:
    case = np.load(shared / "reference" / "roi_align_cases.npz")
    features = torch.from_numpy(case["features"])
    rois = torch.from_numpy(case["boxes_xyxy"])
    output = pool(
        cpu_kernels,
        [features],
        rois,
        torch.zeros(len(rois), dtype=torch.int64),
        strides=[round(1 / float(case["spatial_scale"]))],
        output_size=size,
        sampling_ratio=ratio,
        layouts=layouts,
    )
    close(output, torch.from_numpy(case[f"pooled_{size}_sampling{ratio}"]), [features])


# Tiny, huge, outside, inverted; coordinates on cell borders as often as not.
coordinate = st.one_of(
    st.integers(-64, 600).map(float), st.floats(-100, 500, width=32), st.sampled_from([-2e4, 3e4, 0.0, 223.99, 224.0])
)


@settings(max_examples=60, deadline=None, derandomize=True)
@given(
    boxes=st.lists(st.tuples(coordinate, coordinate, coordinate, coordinate), min_size=1, max_size=5),
    levels=st.integers(1, 5),
    channels=st.sampled_from([1, 3, 8, 12]),
    size=st.sampled_from([1, 2, 7, 14]),
    ratio=st.sampled_from([0, 0, 1, 2, 5]),
    aligned=st.booleans(),
    dtype=st.sampled_from([torch.float32, torch.float16]),
    index_type=st.sampled_from([torch.int32, torch.int64]),
    layouts=st.sampled_from(LAYOUTS),
)
def test_any_boxes(
    cpu_kernels: Kernels,
    boxes: list[tuple[float, float, float, float]],
    levels: int,
    channels: int,
    size: int,
    ratio: int,
    aligned: bool,
    dtype: torch.dtype,
    index_type: torch.dtype,
    layouts: tuple[int, int],
) -> None:
    features = pyramid(levels + size, levels, 2, channels, dtype)
    rois = torch.tensor(boxes, dtype=torch.float32)
    index = (torch.arange(len(rois)) % 2).to(index_type)
    strides = [4 << level for level in range(levels)]
    options: dict[str, Any] = {
        "strides": strides,
        "output_size": size,
        "sampling_ratio": ratio,
        "aligned": aligned,
    }
    output = pool(cpu_kernels, features, rois, index, layouts=layouts, **options)
    close(output, multi_level_roi_align([f.float() for f in features], rois, index, **options), features)


def test_boxes_that_are_no_boxes(cpu_kernels: Kernels) -> None:
    """NaN, infinity and sizes beyond any image give finite numbers and disturb no other box."""
    nan, inf = float("nan"), float("inf")
    odd = [
        [nan, 0, 10, 10],
        [0, 0, nan, nan],
        [nan] * 4,
        [0, 0, inf, inf],
        [-inf, -inf, inf, inf],
        [inf, inf, inf, inf],
        [-1e30, -1e30, 1e30, 1e30],
        [0, 0, 3e38, 3e38],
        [-3e38, 0, 3e38, 5],
        [1e9, 1e9, 2e9, 2e9],
        [50, 50, 10, 10],
        [1e-40, 1e-40, 2e-40, 2e-40],
    ]
    usual = [3.0, 5.0, 90.0, 70.0]
    rois = torch.tensor([line for box in odd for line in (box, usual)])
    index = torch.zeros(len(rois), dtype=torch.int64)
    features = pyramid(0, 3, 1, 5, torch.float32)
    for ratio, aligned, layout in itertools.product([0, 2], [True, False], [LINEAR, CHANNELS_LAST]):
        options: dict[str, Any] = {"strides": [4, 8, 16], "sampling_ratio": ratio, "aligned": aligned}
        output = pool(cpu_kernels, features, rois, index, output_size=4, layouts=(layout, layout), **options)
        assert output.isfinite().all()
        expected = multi_level_roi_align(features, rois[1:2], index[:1], output_size=4, **options)
        close(output[1::2], expected.expand(len(odd), -1, -1, -1), features)


def test_a_box_that_is_larger_than_the_image_by_far(cpu_kernels: Kernels) -> None:
    """A bin of thousands of samples of which a few lie inside."""
    features = pyramid(1, 1, 1, 2, torch.float32, side=20)
    index = torch.zeros(2, dtype=torch.int64)
    rois = torch.tensor([[-9e4, -200.0, 9e4, 300.0], [-100.0, -7e4, 150.0, 5e4]])
    options: dict[str, Any] = {"strides": [4], "output_size": 7}
    output = pool(cpu_kernels, features, rois, index, **options)
    expected = multi_level_roi_align(features, rois, index, **options)
    assert expected.abs().max() > 0
    close(output, expected, features)


@pytest.mark.parametrize("index_type", [torch.int32, torch.int64])
@pytest.mark.parametrize("layout", [LINEAR, CHANNELS_LAST])
def test_images_that_do_not_exist_pool_to_zeros(cpu_kernels: Kernels, index_type: torch.dtype, layout: int) -> None:
    features = pyramid(2, 2, 2, 6, torch.float32)
    index = torch.tensor([0, -1, 2, 1, 2**31 - 1, -(2**31)], dtype=index_type)
    if index_type == torch.int64:
        index[5] = 2**32  # zero in its lower half
    rois = torch.tensor([[10.0, 10.0, 80.0, 120.0]]).repeat(len(index), 1)
    options: dict[str, Any] = {"strides": [4, 8], "output_size": 5}
    output = pool(cpu_kernels, features, rois, index, layouts=(layout, layout), **options)
    assert (output[[1, 2, 4, 5]] == 0).all()
    close(output[[0, 3]], multi_level_roi_align(features, rois[[0, 3]], torch.tensor([0, 1]), **options), features)


def test_levels_change_where_the_reference_changes_them(cpu_kernels: Kernels) -> None:
    """Each level holds its number: the output is the level. Sides about the thresholds, and strides that repeat."""
    features = [torch.full((1, 1, 200 >> level, 200 >> level), float(level)) for level in range(4)]
    sides = torch.tensor([1, 111.9, 112, 112.1, 223.9, 224, 224.1, 447.5, 448, 449, 700])
    rois = torch.stack([sides * 0 + 40, sides * 0 + 40, sides + 40, sides + 40], 1)
    index = torch.zeros(len(sides), dtype=torch.int64)
    output = pool(cpu_kernels, features, rois, index, strides=[4, 8, 16, 32], output_size=1)
    assert output.flatten().round().tolist() == [0, 0, 1, 1, 1, 2, 2, 2, 3, 3, 3]
    repeated = pool(cpu_kernels, [features[1]] * 4, rois, index, strides=[8] * 4, output_size=2)
    close(repeated, pool(cpu_kernels, features[1:2], rois, index, strides=[8], output_size=2), features)


def test_float16_is_pooled_in_float32(cpu_kernels: Kernels) -> None:
    """Half a cell at x = 2000 and sums of many samples would be lost in half precision."""
    features = [torch.randn(1, 8, 8, 600, generator=torch.Generator().manual_seed(3)).half()]
    rois = torch.tensor([[1990.3, 1.7, 2151.9, 30.2], [1000.2, 0.0, 2399.0, 31.0]])
    index = torch.zeros(2, dtype=torch.int32)
    for layout in (LINEAR, CHANNELS_LAST):
        output = pool(cpu_kernels, features, rois, index, strides=[4], output_size=7, layouts=(layout, layout))
        expected = multi_level_roi_align([features[0].float()], rois, index, strides=[4], output_size=7)
        assert (output.float() - expected).abs().max() <= expected.abs().max() * 2**-11 + 1e-4


def test_work_is_cut_the_same_for_few_and_many_boxes(cpu_kernels: Kernels) -> None:
    """One box is spread over blocks by rows and channels, many are not: the results are the same bits."""
    features = pyramid(4, 1, 1, 136, torch.float32, side=16)
    rois = torch.tensor([[5.0, 6.0, 50.0, 40.0]])
    for layout in (LINEAR, CHANNELS_LAST):
        options: dict[str, Any] = {"strides": [4], "output_size": 3, "layouts": (layout, layout)}
        one = pool(cpu_kernels, features, rois, torch.zeros(1, dtype=torch.int32), **options)
        many = pool(cpu_kernels, features, rois.repeat(300, 1), torch.zeros(300, dtype=torch.int32), **options)
        assert torch.equal(many, one.expand_as(many))


def test_no_boxes(cpu_kernels: Kernels) -> None:
    output = pool(
        cpu_kernels,
        pyramid(0, 1, 1, 4, torch.float32),
        torch.zeros(0, 4),
        torch.zeros(0, dtype=torch.int64),
        strides=[4],
        output_size=7,
    )
    assert output.shape == (0, 4, 7, 7)


@pytest.mark.parametrize(
    "changes",
    [
        {"output_size": 0},
        {"output_size": 129},
        {"sampling_ratio": -1},
        {"sampling_ratio": 65},
        {"index_bytes": 2},
        {"type": 2},
        {"feature_layout": 2},
        {"channels": 0},
        {"canonical_size": 0.0},
        {"rois": 0},
        {"output": 0},
        {"features": [0]},
        {"strides": [0]},
        {"heights": [0]},
        {"num_rois": -1},
    ],
    ids=lambda changes: "-".join(f"{name}={value}" for name, value in changes.items()),
)
def test_refuses(cpu_kernels: Kernels, changes: dict[str, Any]) -> None:
    base: dict[str, Any] = {"strides": [4], "output_size": 2}
    features = pyramid(0, 1, 1, 4, torch.float32)
    arguments = {"rois": torch.zeros(1, 4), "batch_index": torch.zeros(1, dtype=torch.int64)}
    fixed = [features, arguments["rois"], arguments["batch_index"]]

    class Changed:
        """Passes the kernel's arguments on with some of them changed."""

        def multi_level_roi_align(self, **values: Any) -> None:
            cpu_kernels.multi_level_roi_align(**{**values, **changes})

    with pytest.raises(GcposeError, match="multi_level_roi_align was refused"):
        pool(Changed(), *fixed, **base)  # type: ignore[arg-type]


def test_refuses_lists_that_do_not_fit(cpu_kernels: Kernels) -> None:
    features = pyramid(0, 2, 1, 4, torch.float32)
    rois, index = torch.zeros(1, 4), torch.zeros(1, dtype=torch.int64)
    with pytest.raises(GcposeError, match="2 features with 2 heights, 2 widths and 1 strides"):
        pool(cpu_kernels, features, rois, index, strides=[4], output_size=2)
