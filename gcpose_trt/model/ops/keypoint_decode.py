"""From keypoint logits to coordinates.

The reference decode (Mask R-CNN's, as in the paper's implementation) resizes the 56x56 logits bicubically to the pixels of
the box and takes the largest. `keypoint_decode_exhaustive` does just that; `keypoint_decode` evaluates the same resized map
at the same pixels, but only around the highest cell, as two small matrix products for all joints at once, which is what
exports to ONNX and what the TensorRT plugin computes.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

SEARCH_CELLS = 1.0  # the peak of the interpolated map is sought within this many cells of the highest cell...
SEARCH_PIXELS = 4.0  # ...and at least this many pixels, which covers boxes smaller than the map
CUBIC_A = -0.75  # PyTorch's and OpenCV's bicubic coefficient


def _cubic(distance: Tensor) -> Tensor:
    """Return the bicubic kernel (Keys 1981, a = -0.75) at `distance`."""
    x = distance.abs()
    near = ((CUBIC_A + 2) * x - (CUBIC_A + 3)) * x * x + 1
    far = ((x - 5) * x + 8) * x * CUBIC_A - 4 * CUBIC_A
    return torch.where(x <= 1, near, torch.where(x < 2, far, torch.zeros_like(x)))


def _search_axis(peak: Tensor, pixels: Tensor, size: int) -> tuple[Tensor, Tensor, Tensor]:
    """Return the pixels to look at along one axis.

    Args:
        peak: (N, K) float, the highest cell.
        pixels: (N, 1) float, how many pixels the box has along the axis.
        size: cells of the map, S.

    Returns:
        pixel (N, K, M) float, inside (N, K, M) bool, and weights (N, K, M, S + 4) that interpolate a map padded by two.
    """
    step = size / pixels  # cells a pixel
    reach = torch.clamp(step * SEARCH_PIXELS, min=SEARCH_CELLS)
    first = torch.clamp(torch.ceil((peak - reach + 0.5) / step - 0.5), min=0)
    candidates = torch.floor(2 * reach / step).max() + 1
    pixel = first[..., None] + torch.arange(candidates, device=peak.device, dtype=peak.dtype)
    inside = pixel < pixels[..., None]
    position = (pixel + 0.5) * step[..., None] - 0.5
    cells = torch.arange(-2, size + 2, device=peak.device, dtype=peak.dtype)
    return pixel, inside, _cubic(position[..., None] - cells)


def _box_pixels(boxes: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    width = torch.clamp(boxes[:, 2] - boxes[:, 0], min=1)
    height = torch.clamp(boxes[:, 3] - boxes[:, 1], min=1)
    return width, height, torch.ceil(width), torch.ceil(height)


def keypoint_decode(logits: Tensor, boxes: Tensor) -> Tensor:
    """Find each joint's place and score.

    Args:
        logits: (N, K, S, S) float32.
        boxes: (N, 4) float32 xyxy, the enlarged boxes that the maps cover.

    Returns:
        (N, K, 3) float32: x, y in the pixels of the boxes, and the softmax peak.
    """
    n, joints, size, _ = logits.shape
    if torch.onnx.is_in_onnx_export():
        return torch.onnx.ops.symbolic(
            "gcpose::KeypointDecode", [logits, boxes], {}, dtype=torch.float32, shape=[n, joints, 3], version=1
        )
    if n == 0:
        return logits.new_zeros(0, joints, 3)
    width, height, pixel_width, pixel_height = _box_pixels(boxes)
    cell = logits.flatten(2).argmax(2)
    columns, column_inside, column_weights = _search_axis((cell % size).float(), pixel_width[:, None], size)
    rows, row_inside, row_weights = _search_axis(
        torch.div(cell, size, rounding_mode="floor").float(), pixel_height[:, None], size
    )
    padded = F.pad(logits, (2, 2, 2, 2), mode="replicate")
    resized = row_weights @ padded @ column_weights.transpose(2, 3)  # (N, K, rows, columns)
    resized = resized.masked_fill(~(row_inside[..., :, None] & column_inside[..., None, :]), -torch.inf)
    peak, place = resized.flatten(2).max(2)
    column = columns.gather(2, (place % columns.shape[2])[..., None])[..., 0]
    row = rows.gather(2, torch.div(place, columns.shape[2], rounding_mode="floor")[..., None])[..., 0]
    x = boxes[:, :1] + (column + 0.5) * (width / pixel_width)[:, None]
    y = boxes[:, 1:2] + (row + 0.5) * (height / pixel_height)[:, None]
    score = 1 / torch.exp(logits.flatten(2) - peak[..., None]).sum(2)
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
