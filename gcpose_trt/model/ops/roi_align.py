"""RoIAlign over one or several feature levels.

RoIAlign averages bilinear samples on a regular grid inside each bin (He et al., Mask R-CNN, section 3). Grid and
bilinear weights are both products of a row part and a column part, so pooling one region is two small matrix products,
`rows @ features @ columns.T`. That form is exact, differentiable, needs no gather, and is what runs here.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from gcpose_trt.model.ops import native


def _axis_weights(
    start: Tensor, extent: Tensor, bins: int, length: int, sampling_ratio: int
) -> tuple[Tensor, Tensor, Tensor]:
    """Return the pooling weights along one axis, restricted to the cells that a region touches.

    Args:
        start, extent: (N,) float32, first coordinate and size of each region in cells.
        bins: number of output bins.
        length: number of cells along the axis.
        sampling_ratio: samples a bin; 0 means ceil(extent / bins).

    Returns:
        weights (N, bins, V) float32 where V is the widest window, first (N,) int64, the cell that weight 0 belongs to,
        and count (N,) int64, how many of the V weights are in use.
    """
    samples = (extent / bins).ceil() if sampling_ratio == 0 else torch.full_like(extent, sampling_ratio)
    samples = samples.clamp(min=0)
    steps = torch.arange(max(int(samples.max()), 1), device=start.device, dtype=start.dtype)
    bin_index = torch.arange(bins, device=start.device, dtype=start.dtype)
    inside_bin = (steps + 0.5) / samples.clamp(min=1)[:, None]  # (N, G)
    bin_size = (extent / bins)[:, None, None]
    position = start[:, None, None] + (bin_index[None, :, None] + inside_bin[:, None, :]) * bin_size
    # Samples more than one cell outside read zero; those within one cell read the border cell.
    valid = (position >= -1) & (position <= length) & (steps < samples[:, None])[:, None, :]
    position = position.clamp(0, length - 1)
    low = position.floor().long()
    high = (low + 1).clamp(max=length - 1)
    fraction = position - low
    scale = valid / samples.clamp(min=1)[:, None, None]

    first = low.flatten(1).amin(1)
    count = high.flatten(1).amax(1) - first + 1
    weights = start.new_zeros(len(start), bins, int(count.max()))
    weights.scatter_add_(2, low - first[:, None, None], (1 - fraction) * scale)
    weights.scatter_add_(2, high - first[:, None, None], fraction * scale)
    return weights, first, count


class _PoolRegions(torch.autograd.Function):
    """Pool every region with its row and column weights; gradients flow to the features only, as in every RoIAlign.

    Channels come last inside, which makes each region two matrix products with long rows.
    """

    @staticmethod
    def forward(ctx: Any, features: Tensor, rows: Tensor, columns: Tensor, windows: Tensor) -> Tensor:
        ctx.save_for_backward(rows, columns, windows)
        ctx.feature_shape, ctx.feature_dtype = features.shape, features.dtype
        channels = features.shape[1]
        bins = rows.shape[1]
        maps = features.permute(0, 2, 3, 1).float().contiguous()
        out = rows.new_empty(len(rows), bins, bins, channels)
        with torch.autocast(features.device.type, enabled=False):
            for n, (b, top, height, left, width) in enumerate(windows.tolist()):
                window = maps[b, top : top + height, left : left + width].reshape(height, width * channels)
                strips = (rows[n, :, :height] @ window).view(bins, width, channels)
                torch.matmul(columns[n, :, :width], strips, out=out[n])
        return out.permute(0, 3, 1, 2).contiguous()

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None, None, None]:
        rows, columns, windows = ctx.saved_tensors
        batch, channels, height_all, width_all = ctx.feature_shape
        grad = grads[0].permute(0, 2, 3, 1).float().contiguous()
        out = grad.new_zeros(batch, height_all, width_all, channels)
        for n, (b, top, height, left, width) in enumerate(windows.tolist()):
            strips = (columns[n, :, :width].T @ grad[n]).view(rows.shape[1], width * channels)
            spread = (rows[n, :, :height].T @ strips).view(height, width, channels)
            out[b, top : top + height, left : left + width] += spread
        return out.permute(0, 3, 1, 2).to(ctx.feature_dtype), None, None, None


def roi_align(
    features: Tensor,
    rois: Tensor,
    batch_index: Tensor,
    *,
    output_size: int,
    stride: int,
    sampling_ratio: int = 0,
    aligned: bool = True,
) -> Tensor:
    """Pool regions of one feature map.

    Args:
        features: (B, C, H, W) float.
        rois: (N, 4) float32, xyxy in input pixels.
        batch_index: (N,) int64, the image of each region.
        output_size: bins along each side.
        stride: input pixels a cell.
        sampling_ratio: samples a bin and side; 0 takes ceil(region / output_size).
        aligned: cell centres lie at half-integers (detectron2's ROIAlignV2, ONNX's half_pixel).

    Returns:
        (N, C, output_size, output_size) float32.
    """
    if len(rois) == 0:
        return features.new_zeros(0, features.shape[1], output_size, output_size, dtype=torch.float32)
    height, width = features.shape[-2:]
    cells = rois.detach().float() / stride
    corner = cells[:, :2] - (0.5 if aligned else 0.0)
    extent = cells[:, 2:] - cells[:, :2]
    if not aligned:
        extent = extent.clamp(min=1)  # the first RoIAlign forced regions to at least one cell
    rows, top, row_count = _axis_weights(corner[:, 1], extent[:, 1], output_size, height, sampling_ratio)
    columns, left, column_count = _axis_weights(corner[:, 0], extent[:, 0], output_size, width, sampling_ratio)
    windows = torch.stack([batch_index.long(), top, row_count, left, column_count], 1)
    pooled: Tensor = _PoolRegions.apply(features, rows, columns, windows)
    return pooled


def assign_levels(
    rois: Tensor, lowest: int, highest: int, *, canonical_level: int = 4, canonical_size: float = 224.0
) -> Tensor:
    """Return the pyramid level (N,) int64 of each region by its area (Lin et al., FPN, equation 1)."""
    area = (rois[:, 2] - rois[:, 0]).clamp(min=0) * (rois[:, 3] - rois[:, 1]).clamp(min=0)
    level = torch.floor(canonical_level + torch.log2(area.sqrt() / canonical_size + 1e-8))
    return level.clamp(lowest, highest).long()


def multi_level_roi_align(
    features: Sequence[Tensor],
    rois: Tensor,
    batch_index: Tensor,
    *,
    output_size: int,
    strides: Sequence[int],
    sampling_ratio: int = 0,
    aligned: bool = True,
    canonical_level: int = 4,
    canonical_size: float = 224.0,
) -> Tensor:
    """Pool each region from the level that fits its size; with one level, plain RoIAlign.

    Args:
        features: one (B, C, H, W) map a level, finest first.
        rois: (N, 4) float32, xyxy in input pixels.
        batch_index: (N,) int64.
        output_size: bins along each side.
        strides: input pixels a cell, one a level, powers of two.
        sampling_ratio, aligned: see `roi_align`.
        canonical_level, canonical_size: the level that a region of that many pixels a side is pooled from.

    Returns:
        (N, C, output_size, output_size) float32; in the features' type where our kernel runs.
    """
    if torch.onnx.is_in_onnx_export():
        return torch.onnx.ops.symbolic(
            "gcpose::MultiLevelRoiAlign",
            [rois, batch_index, *features],
            {
                "output_size": output_size,
                "strides": list(strides),
                "sampling_ratio": sampling_ratio,
                "aligned": int(aligned),
                "canonical_level": canonical_level,
                "canonical_size": float(canonical_size),
            },
            dtype=features[0].dtype,
            shape=[rois.shape[0], features[0].shape[1], output_size, output_size],
            version=1,
        )
    if len(features) <= native.MOST_LEVELS and native.serves(*features):
        return native.multi_level_roi_align(
            list(features),
            rois,
            batch_index,
            output_size,
            list(strides),
            sampling_ratio,
            aligned,
            canonical_level,
            canonical_size,
        )
    pool: dict[str, Any] = {"output_size": output_size, "sampling_ratio": sampling_ratio, "aligned": aligned}
    if len(features) == 1:
        return roi_align(features[0], rois, batch_index, stride=strides[0], **pool)
    lowest = strides[0].bit_length() - 1
    levels = assign_levels(
        rois, lowest, lowest + len(features) - 1, canonical_level=canonical_level, canonical_size=canonical_size
    )
    out = features[0].new_zeros(len(rois), features[0].shape[1], output_size, output_size, dtype=torch.float32)
    for offset, (level_features, stride) in enumerate(zip(features, strides, strict=True)):
        chosen = torch.nonzero(levels == lowest + offset).flatten()
        pooled = roi_align(level_features, rois[chosen], batch_index[chosen], stride=stride, **pool)
        out = out.index_put((chosen,), pooled)
    return out
