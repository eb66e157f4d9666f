"""From keypoint logits to coordinates.

The reference decode (Mask R-CNN's, as in the paper's implementation) resizes the 56x56 logits bicubically to the pixels
of the box and takes the largest. `keypoint_decode_exhaustive` does just that. `keypoint_decode` finds the same pixel in
two steps: the resized map at every n-th pixel, with n such that a few samples a cell remain, then all the pixels
around the largest sample. Bicubic interpolation is separable, so each step is two matrix products for all joints at
once, which exports to plain ONNX. Boxes of up to samples_per_cell * 56 pixels have n = 1: there the answer is the
exhaustive one by construction.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from gcpose_trt.model.ops import native

CUBIC_A = -0.75  # PyTorch's and OpenCV's bicubic coefficient


def _cubic(distance: Tensor) -> Tensor:
    """Return the bicubic kernel (Keys 1981, a = -0.75) at `distance`."""
    x = distance.abs()
    near = ((CUBIC_A + 2) * x - (CUBIC_A + 3)) * x * x + 1
    far = ((x - 5) * x + 8) * x * CUBIC_A - 4 * CUBIC_A
    return torch.where(x <= 1, near, torch.where(x < 2, far, torch.zeros_like(x)))


def _interpolation(pixel: Tensor, pixels: Tensor, size: int) -> Tensor:
    """Return the weights (N, ..., S + 4) that read a map, padded by two cells, at `pixel` (N, ...) of `pixels` (N,)."""
    step = (size / pixels).reshape(-1, *[1] * (pixel.dim() - 1))
    position = (pixel + 0.5) * step - 0.5
    cells = torch.arange(-2, size + 2, device=pixel.device, dtype=pixel.dtype)
    return _cubic(position[..., None] - cells)


def _coarse_pixels(pixels: Tensor, most: int) -> tuple[Tensor, Tensor]:
    """Return the pixels (N, G <= most) of the first step along one axis and the distance (N,) between them."""
    stride = torch.ceil(pixels / most)
    samples = int(torch.ceil(pixels / stride).max())
    return torch.arange(samples, device=pixels.device, dtype=pixels.dtype) * stride[:, None], stride


def _fine_pixels(coarse: Tensor, stride: Tensor) -> Tensor:
    """Return the pixels (N, K, M) closer than `stride` (N,) to `coarse` (N, K); boxes that have fewer repeat them."""
    reach = int(stride.max()) - 1
    offset = torch.arange(2 * reach + 1, device=coarse.device, dtype=coarse.dtype) - reach
    limit = (stride - 1)[:, None, None]
    return coarse[..., None] + torch.minimum(torch.maximum(offset, -limit), limit)


def _near(pixel: Tensor, pixels: Tensor, size: int, radius: float) -> Tensor:
    """Return (N, K, S): the part of each cell that is within `radius` of `pixel` (N, K) of `pixels` (N,)."""
    position = (pixel + 0.5) * (size / pixels)[:, None] - 0.5
    cells = torch.arange(size, device=pixel.device, dtype=pixel.dtype)
    return (radius + 0.5 - (position[..., None] - cells).abs()).clamp(0, 1)


def _largest(maps: Tensor, inside: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return value, row and column (N, K) of the first largest entry of `maps` (N, K, R, C) where `inside` holds."""
    maps = torch.where(inside, maps, torch.full_like(maps, -1e30))
    value, place = maps.flatten(2).max(2)
    columns = maps.shape[3]
    row = torch.div(place, columns, rounding_mode="floor")
    return value, row, place - row * columns


def _box_pixels(boxes: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    width = torch.clamp(boxes[:, 2] - boxes[:, 0], min=1)
    height = torch.clamp(boxes[:, 3] - boxes[:, 1], min=1)
    return width, height, torch.ceil(width), torch.ceil(height)


def keypoint_decode(logits: Tensor, boxes: Tensor, *, samples_per_cell: int = 4, score_radius: float = 0.0) -> Tensor:
    """Find each joint's place and score.

    Args:
        logits: (N, K, S, S) float.
        boxes: (N, 4) float32 xyxy, the enlarged boxes that the maps cover.
        samples_per_cell: of the first step. Two find the peak of any smooth map; four also that of white noise, in 199
            cases of 200.
        score_radius: 0 scores a joint by its softmax peak, as the paper does; a positive number of cells by the
            probability that lies no farther from the joint than this along either axis, which depends less on how
            sharp the maps are and orders people better.

    Returns:
        (N, K, 3) float32: x, y in the pixels of the boxes, and the score.
    """
    n, joints = logits.shape[:2]
    if torch.onnx.is_in_onnx_export():
        return torch.onnx.ops.symbolic(
            "gcpose::KeypointDecode",
            [logits, boxes],
            {"samples_per_cell": samples_per_cell, "score_radius": float(score_radius)},
            dtype=torch.float32,
            shape=[n, joints, 3],
            version=1,
        )
    if logits.shape[-1] <= native.LARGEST_MAP and native.serves(logits):
        return native.keypoint_decode(logits, boxes, samples_per_cell, float(score_radius))
    if n == 0:
        return logits.new_zeros(0, joints, 3, dtype=torch.float32)
    # Half a byte of mantissa is a step of a pixel and more: float32 whatever autocast says.
    with torch.autocast(logits.device.type, enabled=False):
        return _decode(logits.float(), boxes.float(), samples_per_cell, score_radius)


def _decode(logits: Tensor, boxes: Tensor, samples_per_cell: int, score_radius: float) -> Tensor:
    size = logits.shape[-1]
    width, height, pixel_width, pixel_height = _box_pixels(boxes)
    padded = F.pad(logits, (2, 2, 2, 2), mode="replicate")

    columns, column_stride = _coarse_pixels(pixel_width, samples_per_cell * size)
    rows, row_stride = _coarse_pixels(pixel_height, samples_per_cell * size)
    row_weights = _interpolation(rows, pixel_height, size)[:, None]
    column_weights = _interpolation(columns, pixel_width, size)[:, None]
    inside = (rows < pixel_height[:, None])[:, None, :, None] & (columns < pixel_width[:, None])[:, None, None, :]
    _, row, column = _largest(row_weights @ (padded @ column_weights.transpose(2, 3)), inside)

    columns = _fine_pixels(columns.gather(1, column), column_stride)
    rows = _fine_pixels(rows.gather(1, row), row_stride)
    row_inside = (rows >= 0) & (rows < pixel_height[:, None, None])
    column_inside = (columns >= 0) & (columns < pixel_width[:, None, None])
    row_weights = _interpolation(rows, pixel_height, size)
    column_weights = _interpolation(columns, pixel_width, size)
    fine = row_weights @ (padded @ column_weights.transpose(2, 3))
    peak, row, column = _largest(fine, row_inside[..., :, None] & column_inside[..., None, :])

    column_pixel = columns.gather(2, column[..., None])[..., 0]
    row_pixel = rows.gather(2, row[..., None])[..., 0]
    x = boxes[:, :1] + (column_pixel + 0.5) * (width / pixel_width)[:, None]
    y = boxes[:, 1:2] + (row_pixel + 0.5) * (height / pixel_height)[:, None]
    exponential = torch.exp(logits - peak[..., None, None])
    score = 1 / exponential.sum((2, 3))
    if score_radius > 0:
        near_row = _near(row_pixel, pixel_height, size, score_radius)[:, :, None]
        near_column = _near(column_pixel, pixel_width, size, score_radius)[..., None]
        score = score * (near_row @ exponential @ near_column)[..., 0, 0]
    return torch.stack([x, y, score], 2)


def keypoint_decode_exhaustive(logits: Tensor, boxes: Tensor) -> Tensor:
    """Decode by resizing every map to all the pixels of its box; arguments and result as `keypoint_decode`."""
    width, height, pixel_width, pixel_height = _box_pixels(boxes)
    out = logits.new_zeros(len(logits), logits.shape[1], 3)
    for n, maps in enumerate(logits):
        shape = (int(pixel_height[n]), int(pixel_width[n]))
        resized = F.interpolate(maps[None], size=shape, mode="bicubic", align_corners=False)[0].flatten(1)
        peak, place = resized.max(1)
        out[n, :, 0] = boxes[n, 0] + (place % shape[1] + 0.5) * width[n] / pixel_width[n]
        row = torch.div(place, shape[1], rounding_mode="floor")
        out[n, :, 1] = boxes[n, 1] + (row + 0.5) * height[n] / pixel_height[n]
        out[n, :, 2] = 1 / torch.exp(maps.flatten(1) - peak[:, None]).sum(1)
    return out
